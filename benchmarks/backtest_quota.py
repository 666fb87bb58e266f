"""How often a quota account's 80 % range held the truth, over real buildings and a steel works.

Every origin is a site at 00:00 of a day of a month, told nothing but the days before. Counted are
the energy at the end of the month (or year) and the instant, and its day, at which a quota, set to
a share of the energy that came, was crossed (never, for shares above 1). Energy within a day is
taken as even.

    python benchmarks/backtest_quota.py [FOLDER]      FOLDER: ../shared/data
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from collector.site import Site
from processors.history.days import DAY
from processors.quota import Span, accounts

SHARES = (0.5, 0.7, 0.9, 1.05)
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
) -> pl.DataFrame:
    """Return one row a site, origin and quota: what was said, what came, what the range held.

    Args:
        days: DAY rows.
        starts: first days of the months or years.
        lags: days from each start to an origin.
        span: monthly or yearly quotas.
        shares: quotas in shares of the energy that came.
    """
    meters = days["meter_id"].unique().sort().to_list()
    asked = [(lag, share) for share in shares for lag in lags]
    parts = [one for start in starts for one in _of(days, meters, start, asked, span)]
    return pl.concat(parts)


def _of(
    days: pl.DataFrame, meters: list[str], start: date, asked: list[tuple[int, float]], span: Span
) -> Iterator[pl.DataFrame]:
    came = accounts(days, sites(meters, {}, span), AFTER, month=start, span=span)
    most = 1 if span is Span.MONTH else 7
    whole = came.filter(pl.col("missing_days") < most)
    energy = {row["site_id"]: row["energy_kwh"] for row in whole.iter_rows(named=True)}
    truth = {}
    for lag, share in asked:
        held = sites(energy, {name: kwh * share for name, kwh in energy.items()}, span)
        if share not in truth:
            truth[share] = accounts(days, held, AFTER, month=start, span=span).select(
                "site_id", came_kwh="energy_kwh", crossed_at="crosses_at"
            )
        origin = start + timedelta(days=lag)
        now = datetime(origin.year, origin.month, origin.day, tzinfo=UTC)
        known = days.filter(pl.col("day") < origin)
        said = accounts(known, held, now, month=start, span=span)
        yield _held(said.join(truth[share], on="site_id"), lag, share)


def _held(rows: pl.DataFrame, lag: int, share: float) -> pl.DataFrame:
    instants = pl.col("crosses_early", "crosses_late", "crossed_at").fill_null(NEVER)
    crossing = pl.col("crossed_at")
    bounds = ("projected_low_kwh", "projected_high_kwh")
    told = rows.filter(pl.col("projected_kwh").is_not_null())
    return told.with_columns(instants).select(
        "site_id",
        "month",
        "range_forecasts",
        lag=pl.lit(lag),
        share=pl.lit(share),
        energy_held=pl.col("came_kwh").is_between(*bounds),
        width=(pl.col(bounds[1]) - pl.col(bounds[0])) / pl.col("came_kwh"),
        error=(pl.col("projected_kwh") / pl.col("came_kwh") - 1).abs(),
        open=~pl.col("crossed").fill_null(value=False),
        instant_held=crossing.is_between("crosses_early", "crosses_late"),
        date_held=crossing.dt.date().is_between(
            pl.col("crosses_early").dt.date(), pl.col("crosses_late").dt.date()
        ),
    )


def coverage(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the share of cases held: energies once an origin, dates of quotas not yet crossed."""
    once = pl.col("share") == pl.col("share").min()
    grouped = rows.group_by(*by) if by else rows.group_by(pl.lit("all").alias("cases"))
    return grouped.agg(
        origins=once.sum(),
        energy=pl.col("energy_held").filter(once).mean(),
        width=pl.col("width").filter(once).median(),
        error=pl.col("error").filter(once).median(),
        crossings=pl.col("open").sum(),
        instant=pl.col("instant_held").filter("open").mean(),
        date=pl.col("date_held").filter("open").mean(),
    ).sort(pl.first())


def months(year: int, first: int = 1) -> list[date]:
    """Return the first days of the months of a year."""
    return [date(year, month, 1) for month in range(first, 13)]


def main(folder: Path) -> None:
    """Print the coverage of each data set, whole, by day of the month, and by share."""
    known = {
        "buildings 2017": (buildings(folder / "bdg2"), months(2017), date(2017, 1, 1)),
        "steel works 2018": (steel(folder / "steel_industry_data.csv"), months(2018, 2), None),
    }
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_rows=-1, float_precision=3):
        for name, (days, starts, year) in known.items():
            rows = cases(days, starts, range(0, 28, 3))
            print(f"{name}, months", coverage(rows))
            print(coverage(rows, "lag"), coverage(rows, "share"))
            if year:
                print(f"{name}, year", coverage(cases(days, [year], range(31, 360, 31), Span.YEAR)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared" / "data")
