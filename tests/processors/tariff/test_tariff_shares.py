"""Shares of tariff periods by the contract in force: against the plain words of the notice."""

import os
from datetime import UTC, date, timedelta

import polars as pl
import pytest
from bill_world import LATER, PACKS, billed, midnight
from fakes import reference_indices as plain
from fakes.reference_tariff import guangdong_period
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import meter
from tariff_rows import blocks

from processors.calendar import Calendar, HotDay
from processors.history.days import day_rows
from processors.indices import Length
from processors.interval import INTERVAL
from processors.load_report import Wanted
from processors.tariff.desk import Tariffs
from processors.tariff.report import SHARES, figure_of

BERLIN, SHANGHAI = "Europe/Berlin", "Asia/Shanghai"
HOT = date(2026, 10, 24)
TARIFFS = Tariffs(PACKS, calendar=Calendar(hot=(HotDay(day=HOT, max_c=36.0, source="told"),)))


class Rows:
    """A history of these blocks."""

    def __init__(self, frame, zone):
        self.frame, self.zone = frame, zone

    def intervals(self, start, end, meters=None, as_of=None):
        inside = self.frame.filter((pl.col("start") >= start) & (pl.col("start") < end))
        return inside if meters is None else inside.filter(pl.col("meter_id").is_in(meters))

    def days(self, start, end, meters=None, as_of=None):
        zones = self.frame.select(pl.col("meter_id").unique(), timezone=pl.lit(self.zone))
        return day_rows(self.frame, zones, LATER).filter(
            pl.col("day").is_between(start, end, closed="left")
        )

    def readings(self, start, end, meters=None):
        return pl.DataFrame(schema={"measured_at": pl.Datetime("us", "UTC")})


def told(site, frame, first, after, length=Length.DAY, meters=("m",), least=0.75, now=LATER):
    asked = Wanted(first, after, length, now, least)
    return figure_of(SHARES, asked, meters, (), [site], TARIFFS, Rows(frame, site.timezone))


@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "8")), deadline=None)
@given(
    st.sampled_from([date(2026, 3, 28), date(2026, 10, 23), date(2026, 8, 30)]),
    st.lists(st.one_of(st.none(), st.floats(0, 50)), min_size=96, max_size=300),
)
def test_shares_are_those_of_the_notices_own_words(first, kwh):
    """On days of 23 and 25 hours, in summer, and on a day announced hot."""
    frame = blocks(midnight(first, BERLIN), kwh)
    site = billed(timezone=BERLIN, meters=[meter("m")])
    rows = told(site, frame, first, first + timedelta(days=4))
    simple = [(r["start"], r["energy_kwh"], r["coverage"], False) for r in frame.to_dicts()]
    label = lambda at: guangdong_period(at, BERLIN, {HOT})  # noqa: E731 - a name for a rule
    for day in rows["day"].unique():
        theirs = plain.shares(simple, day, "day", BERLIN, LATER, 0.75, label)
        mine = rows.filter(day=day)
        assert set(mine["tariff_period"]) == set(theirs)
        for row in mine.to_dicts():
            energy, share, count, expected = theirs[row["tariff_period"]]
            assert (row["energy_kwh"], row["share"]) == pytest.approx((energy, share))
            assert (row["blocks"], row["blocks_expected"]) == (count, expected)


def test_days_months_and_years_and_meters_like_their_site():
    frame = blocks(midnight(date(2026, 10, 1)), [10.0] * 96 * 31)
    site = billed(meters=[meter("m"), meter("sub", role="sub")])
    span = date(2026, 10, 1), date(2026, 11, 1)
    month = told(site, frame, *span, Length.MONTH)
    assert dict(month.select("tariff_period", "energy_kwh").rows()) == {
        "sharp": 120.0, "peak": 8560.0, "flat": 11160.0, "valley": 9920.0,
    }  # fmt: skip
    assert month["share"].sum() == pytest.approx(1.0)
    assert set(month["coverage"]) == {1.0}
    assert set(month["heat_unknown_days"]) == {30}  # of one day it is told that it was hot
    year = told(site, frame, *span, Length.YEAR, least=0.0)
    assert year["energy_kwh"].sum() == 29_760.0
    assert year["coverage"].max() < 0.1
    sub = told(site, frame.with_columns(meter_id=pl.lit("sub")), *span, Length.MONTH, ("sub",))
    assert sub.drop("subject_id").equals(month.drop("subject_id"))


def test_two_mains_of_which_one_is_silent_part_no_block_wrongly():
    first = date(2026, 6, 1)
    both = [blocks(midnight(first), [10.0] * 96), blocks(midnight(first), [30.0] * 64, "n")]
    site = billed(meters=[meter("m"), meter("n")])
    asked = Wanted(first, first + timedelta(1), Length.DAY, LATER, 0.4)
    rows = figure_of(SHARES, asked, (), ("s",), [site], TARIFFS, Rows(pl.concat(both), SHANGHAI))
    by = {row["tariff_period"]: row for row in rows.to_dicts()}
    assert by["valley"]["share"] == pytest.approx(32 / 64)  # n spoke until 16:00
    assert by["peak"]["coverage"] == pytest.approx((16 + 12 / 2) / 28)
    assert by["peak"]["energy_kwh"] == 16 * 40.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"from": "2026-10-03"}, "no_supply"),
        ({"from": "2020-01-01"}, "no_tariff"),
    ],
)
def test_energy_no_tariff_applies_to_has_no_share_and_says_why(change, why):
    first = date(2026, 10, 1) if why == "no_supply" else date(2021, 9, 29)
    frame = blocks(midnight(first), [10.0] * 96 * 4)
    rows = told(billed(change, meters=[meter("m")]), frame, first, first + timedelta(days=4))
    bare = rows.filter(pl.col("tariff_period").is_null())
    assert bare["energy_kwh"].to_list() == [960.0] * 2
    assert bare["share"].null_count() == 2
    assert set(bare["reason"]) == {why}
    assert rows.filter(pl.col("tariff_period").is_not_null())["reason"].null_count() == 6


def test_a_correction_moves_a_share_and_a_running_day_expects_what_has_ended():
    first = date(2026, 6, 1)
    now = midnight(first).astimezone(UTC) + timedelta(hours=10)
    site = billed(meters=[meter("m")])
    frame = blocks(midnight(first), [10.0] * 40)
    rows = told(site, frame, first, first + timedelta(days=1), now=now)
    assert dict(rows.select("tariff_period", "share").rows()) == {"valley": 0.8, "flat": 0.2}
    assert set(rows["coverage"]) == {1.0}
    assert set(rows["heat_unknown_days"]) == {0}  # before 11:00 no hour could have been sharp
    better = frame.with_columns(energy_kwh=pl.when(pl.int_range(40) < 32).then(5.0).otherwise(10.0))
    rows = told(site, better, first, first + timedelta(days=1), now=now)
    assert rows.filter(tariff_period="valley")["share"][0] == pytest.approx(160 / 240)


def test_nothing_known_is_an_empty_table():
    none = pl.DataFrame(schema=INTERVAL)
    assert told(billed(), none, date(2026, 6, 1), date(2026, 7, 1)).is_empty()


def test_sites_under_other_editions_are_laid_out_apart():
    """One has the summer's sharp hours since an edition the other left."""
    first = date(2026, 7, 1)
    frame = pl.concat(blocks(midnight(first), [10.0] * 96, one) for one in ("m", "n"))
    a = billed(meters=[meter("m")])
    b = billed({"tariff": "shenzhen-tou"}, id="t", meters=[meter("n")])
    asked = Wanted(first, first + timedelta(1), Length.DAY, LATER, 0.75)
    rows = figure_of(SHARES, asked, ("m", "n"), (), [a, b], TARIFFS, Rows(frame, SHANGHAI))
    alone = figure_of(SHARES, asked, ("n",), (), [b], TARIFFS, Rows(frame, SHANGHAI))
    assert rows.filter(subject_id="n").equals(alone)
    assert set(rows["tariff_period"]) == {"sharp", "peak", "flat", "valley"}
