"""Load indices of a steel works' year against an independent calculation in pandas."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pandas as pd
import polars as pl
import pytest

from collector.reading import KEY_SCHEMA, UTC_US, conform
from collector.site import Site
from processors.blocks import intervals_of
from processors.book import Book
from processors.calendar import Calendar
from processors.history.days import day_rows
from processors.indices import Length
from processors.load_report import Wanted, of_sites, tell
from processors.power_quality import power_quality, supplies
from processors.shapes import Span

SITE = Site.model_validate(
    {
        "id": "steel",
        "name": {"zh": "钢厂", "en": "Steel works"},
        "kind": "factory",
        "district": "gwangyang",
        "timezone": "Asia/Seoul",
        "meters": [{"id": "steel-works", "rated_power_kw": 1000}],
    }
)
BOOK = Book.of([SITE])
NOW = datetime(2019, 2, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Held:
    """History in memory."""

    blocks: pl.DataFrame

    def days(self, start, end, meters=None, as_of=None):
        rows = day_rows(self.blocks, BOOK.meters, NOW)
        return rows.filter(pl.col("day").is_between(start, end, closed="left"))

    def intervals(self, start, end, meters=None, as_of=None):
        return self.blocks.filter(pl.col("start").is_between(start, end, closed="left"))


@pytest.fixture(scope="module")
def plain(real_data):
    """The file by starts of its quarter hours: kwh, kvarh."""
    rows = pd.read_csv(real_data / "steel_industry_data.csv")
    starts = pd.date_range("2018-01-01", periods=len(rows), freq="15min")
    lagging = rows["Lagging_Current_Reactive.Power_kVarh"].to_numpy()
    return pd.DataFrame({"kwh": rows["Usage_kWh"].to_numpy(), "kvarh": lagging}, index=starts)


@pytest.fixture(scope="module")
def held(plain):
    """The year as registers that start at zero, read every quarter hour."""
    ends = plain.index.tz_localize("Asia/Seoul").tz_convert("UTC") + pd.Timedelta("15min")
    read = {
        "measured_at": [ends[0] - pd.Timedelta("15min"), *ends],
        "energy_import_kwh": [0.0, *plain["kwh"].cumsum()],
        "reactive_import_kvarh": [0.0, *plain["kvarh"].cumsum()],
    }
    told = pl.DataFrame(read).with_columns(
        pl.col("measured_at").cast(UTC_US), meter_id=pl.lit("steel-works"), source=pl.lit("file")
    )
    return Held(intervals_of(conform(told.with_columns(received_at="measured_at")), BOOK))


@pytest.fixture(scope="module")
def ask(held):
    def answer(figure, period):
        asked = Wanted(date(2018, 1, 1), date(2019, 1, 1), Length(period), NOW, 0.95)
        return tell(figure, of_sites(held, BOOK, ["steel"], asked), asked, Calendar())

    return answer


def close(mine, theirs):
    return math.isclose(mine, theirs, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.realdata
@pytest.mark.parametrize(("period", "rule", "count"), [("month", "MS", 12), ("year", "YS", 1)])
def test_indices_of_months_and_the_year(ask, plain, period, rule, count):
    rows = ask("indices", period)
    assert rows.height == count
    for row, (start, part) in zip(
        rows.iter_rows(named=True), plain["kwh"].resample(rule), strict=True
    ):
        kw = part * 4
        assert row["day"] == start.date()
        assert close(row["load_factor"], kw.mean() / kw.max())
        assert close(row["peak_valley_kw"], kw.max() - kw.min())
        assert close(row["peak_valley_ratio"], (kw.max() - kw.min()) / kw.max())
        assert close(row["utilisation_h"], part.sum() / kw.max())
        daily = kw.resample("D").agg(["mean", "max", "min"])
        assert close(row["mean_day_load_factor"], (daily["mean"] / daily["max"]).mean())
        assert close(row["max_day_peak_valley_kw"], (daily["max"] - daily["min"]).max())
        assert (row["blocks"], row["coverage"], row["reason"]) == (len(part), 1.0, None)


@pytest.mark.realdata
def test_the_weeks_profile_and_the_duration_curve_of_the_year(ask, plain):
    days = plain["kwh"].resample("D").sum()
    means = days.groupby(days.index.day_of_week + 1).mean()
    profile = ask("weekdays", "year")
    assert all(map(close, profile["mean_kwh"], means))
    assert profile["days"].to_list() == days.groupby(days.index.day_of_week).size().to_list()
    ranked = (plain["kwh"] * 4).sort_values(ascending=False).to_list()
    curve = ask("duration", "year")["demand_kw"]
    assert close(curve[0], ranked[0])
    assert all(close(curve[k], ranked[math.ceil(k * len(ranked) / 100) - 1]) for k in range(1, 101))


@pytest.mark.realdata
def test_the_typical_weekday_of_a_month(ask, plain):
    march = plain.loc["2018-03", "kwh"] * 4
    weekdays = march[march.index.day_of_week < 5]
    means = weekdays.groupby(weekdays.index.time).mean()
    rows = ask("typical-days", "month").filter(day=date(2018, 3, 1), day_type="weekday")
    assert rows["clock"].to_list() == list(means.index)
    assert all(map(close, rows["mean_kw"], means))


@pytest.mark.realdata
def test_the_months_power_factors(held, plain):
    sums = plain.resample("MS").sum()
    theirs = sums["kwh"] / (sums["kwh"] ** 2 + sums["kvarh"] ** 2) ** 0.5
    span = Span(date(2018, 1, 1), date(2019, 1, 1), Length.MONTH, NOW, 0.95)
    no_readings = conform(pl.DataFrame(schema=KEY_SCHEMA))
    rows = power_quality(no_readings, held.blocks, BOOK.meters, supplies([SITE]), span)
    assert rows["quantity"].to_list() == ["power_factor"] * 12
    assert all(map(close, rows["mean"], theirs))
