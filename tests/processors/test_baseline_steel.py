"""An event of a steel works, made of its real days, against an independent pandas calculation."""

import math
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from baseline_rows import event, held, rows, state

from processors.events import BaselineSettings

SEOUL = "Asia/Seoul"
RULE = BaselineSettings(keep=4, of=5, beside_days=0, adjust_cap=0.2)


@pytest.fixture(scope="module")
def plain(real_data):
    """Quarter hours of 2018: kWh by their starts, local time."""
    file = pd.read_csv(real_data / "steel_industry_data.csv")
    starts = pd.date_range("2018-01-01", periods=len(file), freq="15min")
    return pd.Series(file["Usage_kWh"].to_numpy(), index=starts)


@pytest.mark.realdata
@pytest.mark.parametrize("adjust", ["none", "additive", "ratio"])
@pytest.mark.parametrize("day", ["2018-03-15", "2018-06-20", "2018-11-07"])
def test_the_works_event_is_that_of_pandas(plain, day, adjust):
    date = pd.Timestamp(day)
    start = (date + pd.Timedelta("14h")).tz_localize(SEOUL).to_pydatetime().astimezone(UTC)
    one = event(start, start + timedelta(hours=2), start - timedelta(minutes=90), cut_kw=20)
    zoned = plain.index.tz_localize(SEOUL).tz_convert("UTC")
    blocks = {at.to_pydatetime(): (kwh, 1.0, False) for at, kwh in zip(zoned, plain, strict=True)}
    rule = RULE.model_copy(update={"adjust": adjust})
    now = datetime(2019, 2, 1, tzinfo=UTC)
    told = state(rows(blocks), [one], [held(zone=SEOUL)], rule, now)

    table = plain.groupby([plain.index.normalize(), plain.index.time]).first().unstack()
    weekdays = table[(table.index < date) & (table.index.day_of_week < 5)].tail(5)
    hours = [time for time in table.columns if time.hour in {14, 15}]
    chosen = weekdays.loc[weekdays[hours].sum(axis=1).nlargest(4).index]
    base = chosen[hours].mean()
    morning = [time for time in table.columns if 10.5 <= time.hour + time.minute / 60 < 12.5]
    was, now_ = chosen[morning].mean().mean(), table.loc[date, morning].mean()
    if adjust == "additive":
        most = (base * 0.2).clip(upper=abs(now_ - was))
        base += most * math.copysign(1, now_ - was)
    elif adjust == "ratio":
        base *= min(max(now_ / was, 0.8), 1.2)
    actual = table.loc[date, hours]
    mine = told.blocks
    assert mine["baseline_kwh"].to_list() == pytest.approx(base.to_list(), rel=1e-9)
    assert mine["actual_kwh"].to_list() == pytest.approx(actual.to_list(), rel=1e-9)
    enough = base - actual >= 5.0
    assert (mine["verdict"] == "complies").to_list() == enough.to_list()
    used = told.like_days.filter("used")["day"].to_list()
    assert sorted(used) == sorted(at.date() for at in chosen.index)
