"""How often a quota account's 80 % ranges held the truth, over real buildings and a steel works.

Every origin is a site at 00:00 of a day of a month or year, told nothing but the days before.
Counted are the energy at the end, once an origin, and the day on which a quota not yet crossed was
used up. Quotas are shares of the energy that came, which are crossed or nearly so (`came`), or of
the pace of the four weeks before, which know nothing of it (`pace`). A case is held if the truth
lies in what was said: "between two days" holds a crossing on one of them or between; "from a day
on, perhaps not" holds none as well; "not within the month" holds none only. The last is right more
often than in four cases of five, for most quotas are not near: `ranged` leaves it out.

    python benchmarks/backtest_quota.py [FOLDER]      FOLDER: ../shared/data
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from collector.site import Site
from processors.history.days import DAY
from processors.quota import accounts
from processors.terms import Span, Terms

SHARES = (0.7, 0.9, 0.97, 1.03, 1.1)
PACES = (0.8, 0.9, 1.0, 1.1, 1.2)
AFTER = datetime(2020, 1, 1, tzinfo=UTC)
NEVER = datetime(2199, 1, 1, tzinfo=UTC)


def buildings(folder: Path) -> pl.DataFrame:
    """Return the DAY rows of the shops, hotels and the restaurant of Building Data Genome 2.

    A day of zeros, or with more than one hour missing, is not known.
    """
    wide = [pl.read_csv(one, try_parse_dates=True) for one in sorted(folder.glob("bgd_*.csv"))]
    long = [one.unpivot(index="timestamp", variable_name="meter_id") for one in wide]
    days = (
        pl.concat(long)
        .group_by("meter_id", day=pl.col("timestamp").dt.date())
        .agg(energy_kwh=pl.col("value").sum(), hours=pl.col("value").count())
    )
    return _shaped(days.filter(pl.col("energy_kwh") > 0, pl.col("hours") >= 23))


def steel(path: Path) -> pl.DataFrame:
    """Return the DAY rows of the steel works; the row stamped 00:00 ends its day."""
    rows = pl.read_csv(path, columns=["date", "Usage_kWh"], infer_schema_length=None)
    day = pl.col("date").str.slice(0, 10).str.to_date("%d/%m/%Y")
    days = rows.group_by(day=day).agg(energy_kwh=pl.col("Usage_kWh").sum())
    return _shaped(days.with_columns(meter_id=pl.lit("steel")))


def _shaped(days: pl.DataFrame) -> pl.DataFrame:
    start = pl.col("day").cast(pl.Datetime("us", "UTC"))
    full = days.with_columns(
        start=start,
        end=start + timedelta(days=1),
        coverage=1.0,
        estimated_share=0.0,
        blocks=96,
        blocks_expected=96,
    )
    absent = [pl.lit(None).alias(name) for name in DAY if name not in full.columns]
    return full.with_columns(absent).select(pl.col(n).cast(t) for n, t in DAY.items())


def sites(meters: Iterable[str], quotas: dict[str, float], span: Span) -> list[Site]:
    """Return one site a meter, with its quota from the beginning of time."""
    return [
        Site.model_validate(
            {
                "id": name,
                "name": {"zh": name, "en": name},
                "kind": "factory",
                "district": "-",
                "timezone": "UTC",
                f"quota_{span}_kwh": [{"from": "2000-01-01", "value": quotas.get(name, 1.0)}],
                "meters": [{"id": name, "source": {"via": "file"}}],
            }
        )
        for name in meters
    ]


def cases(
    days: pl.DataFrame,
    starts: Iterable[date],
    lags: Sequence[int],
    span: Span = Span.MONTH,
    shares: Iterable[float] = SHARES,
    *,
    pace: bool = False,
) -> pl.DataFrame:
    """Return one row a site, origin and quota: what was said, what came, what the range held.

    Args:
        days: DAY rows.
        starts: first days of the months or years.
        lags: days from each start to an origin.
        span: monthly or yearly quotas.
        shares: quotas in shares of the energy that came.
        pace: in shares of the pace of the four weeks before the start instead.
    """
    asked = [(lag, share) for share in shares for lag in lags]
    parts = [one for start in starts for one in _of(days, start, asked, span, pace=pace)]
    half = pl.col("site_id").rank("dense") % 2
    return pl.concat(parts).with_columns(half=half)


def _of(
    days: pl.DataFrame, start: date, asked: list[tuple[int, float]], span: Span, *, pace: bool
) -> Iterator[pl.DataFrame]:
    meters = days["meter_id"].unique().sort().to_list()
    came = accounts(days, sites(meters, {}, span), AFTER, month=start, span=span)
    most = 1 if span is Span.MONTH else 7
    whole = came.filter(pl.col("missing_days") < most)
    energy = {row["site_id"]: row["energy_kwh"] for row in whole.iter_rows(named=True)}
    length = Terms(AFTER, span=span).days(start)
    before = pl.col("day").is_between(start - timedelta(days=28), start, closed="left")
    level = days.filter(before).group_by("meter_id").agg(pl.col("energy_kwh").mean() * length)
    base = {k: v for k, v in level.iter_rows() if k in energy} if pace else energy
    for share in dict.fromkeys(share for _, share in asked):
        held = sites(base, {name: kwh * share for name, kwh in base.items()}, span)
        truth = accounts(days, held, AFTER, month=start, span=span).select(
            "site_id", came_kwh="energy_kwh", crossed_at="crosses_at"
        )
        for lag in (lag for lag, of in asked if of == share):
            origin = start + timedelta(days=lag)
            now = datetime(origin.year, origin.month, origin.day, tzinfo=UTC)
            known = days.filter(pl.col("day") < origin)
            said = accounts(known, held, now, month=start, span=span)
            yield _held(said.join(truth, on="site_id"), lag, share)


def _held(rows: pl.DataFrame, lag: int, share: float) -> pl.DataFrame:
    bounds = ("projected_low_kwh", "projected_high_kwh")
    told = rows.filter(pl.col("projected_kwh").is_not_null())
    return told.select(
        "site_id",
        "month",
        "season",
        lag=pl.lit(lag),
        share=pl.lit(share),
        energy_held=pl.col("came_kwh").is_between(*bounds),
        width=(pl.col(bounds[1]) - pl.col(bounds[0])) / pl.col("came_kwh"),
        error=(pl.col("projected_kwh") / pl.col("came_kwh") - 1).abs(),
        open=~pl.col("crossed").fill_null(value=False),
        ranged=pl.col("crosses_early").is_not_null(),
        days=(pl.col("crosses_late") - pl.col("crosses_early")).dt.total_seconds() / 86400,
        held=pl.col("crossed_at")
        .fill_null(NEVER)
        .is_between(
            pl.col("crosses_early").fill_null(NEVER), pl.col("crosses_late").fill_null(NEVER)
        ),
    )


def coverage(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the share of cases held: energies once an origin, days of quotas not yet crossed."""
    once = pl.col("share") == pl.col("share").min()
    ahead = pl.col("open")
    grouped = rows.group_by(*by) if by else rows.group_by(pl.lit("all").alias("cases"))
    return grouped.agg(
        origins=once.sum(),
        energy=pl.col("energy_held").filter(once).mean(),
        width=pl.col("width").filter(once).median(),
        error=pl.col("error").filter(once).median(),
        crossings=ahead.sum(),
        day=pl.col("held").filter(ahead).mean(),
        ranged=pl.col("held").filter(ahead & pl.col("ranged")).mean(),
        days=pl.col("days").filter(ahead).median(),
    ).sort(pl.first())


def months(year: int, first: int = 1) -> list[date]:
    """Return the first days of the months of a year."""
    return [date(year, month, 1) for month in range(first, 13)]


def main(folder: Path) -> None:
    """Print the coverage of each data set: whole, by half of the sites, by share and by day."""
    shops, works = buildings(folder / "bdg2"), steel(folder / "steel_industry_data.csv")
    half_2016 = [date(2016, month, 1) for month in range(7, 13)]
    month, year = range(0, 28, 3), range(15, 360, 20)
    known = {
        "buildings, months of 2017": (shops, months(2017), month, Span.MONTH),
        "buildings, months of July to December 2016": (shops, half_2016, month, Span.MONTH),
        "steel works, months of 2018": (works, months(2018, 2), month, Span.MONTH),
        "buildings, year 2017": (shops, [date(2017, 1, 1)], year, Span.YEAR),
        "buildings, year 2017 without one before": (
            shops.filter(pl.col("day") >= date(2016, 12, 1)),
            [date(2017, 1, 1)],
            year,
            Span.YEAR,
        ),
        "steel works, year 2018": (works, [date(2018, 1, 1)], year, Span.YEAR),
    }
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_rows=-1, float_precision=3, tbl_cols=-1):
        for name, (days, starts, lags, span) in known.items():
            for pace in (False, True):
                shares = PACES if pace else SHARES
                rows = cases(days, starts, lags, span, shares, pace=pace)
                told = "pace" if pace else "came"
                print(f"{name}, {told}", coverage(rows), coverage(rows, "half"))
                print(coverage(rows, "share"), coverage(rows, "lag"))
                if span is Span.YEAR:
                    print(coverage(rows, "season"), coverage(rows, "season", "half"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared" / "data")
