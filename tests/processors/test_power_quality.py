"""Power quality against plain counts over the same readings and figures worked by hand."""

import cmath
import math
import random
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from history_rows import book, intervals

from collector.reading import conform
from collector.site import Meter
from processors.indices import Length
from processors.interval import BLOCK
from processors.power_quality import SUPPLY, power_quality
from processors.shapes import Span

DAY = date(2026, 5, 4)
START = datetime(2026, 5, 3, 16, tzinfo=UTC)
ZONES = book("m", "n").meters
NONE = intervals([], START, 0, START)


def span(length="day", least=0.9, now=START + timedelta(days=40)):
    first, after = (DAY, DAY + timedelta(1)) if length == "day" else (date(2026, 5, 1),) * 2
    after = after if length == "day" else date(2026, 6, 1)
    return Span(first, after, Length(length), now, least)


def supply(nominal=220.0, phases=3):
    return pl.DataFrame([("m", nominal, phases)], schema=SUPPLY, orient="row")


def told(every_s=300, meter="m", **columns):
    """Readings of one day; each column a list that is repeated, or a number."""
    count = 86_400 // every_s
    rows = {
        name: (values * count)[:count] if isinstance(values, list) else [float(values)] * count
        for name, values in columns.items()
    }
    at = [START + timedelta(seconds=every_s * n) for n in range(count)]
    frame = pl.DataFrame({"meter_id": [meter] * count, "measured_at": at, **rows})
    return conform(frame.with_columns(received_at="measured_at", source=pl.lit("test")))


def by_quantity(readings, supplied=None, wanted=None, blocks=NONE):
    rows = power_quality(
        readings, blocks, ZONES, supply() if supplied is None else supplied, wanted or span()
    )
    return {row["quantity"]: row for row in rows.filter(meter_id="m").iter_rows(named=True)}


def test_voltage_deviation_and_its_share_inside_the_limits():
    """220 V nominal: 236 is +7.27 %, 235.4 exactly +7 %, 204.6 exactly -7 %."""
    got = by_quantity(told(voltage_a_v=[220.0, 235.4, 236.0, 204.6], voltage_b_v=220.0))
    row = got["voltage_deviation_a"]
    assert row["qualified_share"] == 0.75
    assert row["max"] == pytest.approx(16 / 220 * 100)
    assert row["min"] == pytest.approx(-7.0)
    assert (row["limit_low"], row["limit_high"]) == (-7.0, 7.0)
    assert (row["standard"], row["provenance"]) == ("GB/T 12325", "published")
    assert (row["readings"], row["blocks"], row["blocks_expected"]) == (288, 96, 96)
    assert set(got) == {"voltage_deviation_a", "voltage_deviation_b"}


def test_limits_follow_the_supply_and_are_never_invented():
    low = told(voltage_a_v=200.0)
    single = by_quantity(low, supply(phases=1))["voltage_deviation_a"]
    assert (single["qualified_share"], single["provenance"]) == (1.0, "unverified")
    assert by_quantity(low)["voltage_deviation_a"]["qualified_share"] == 0.0
    high = by_quantity(told(voltage_a_v=64_000.0), supply(63_500.0))["voltage_deviation_a"]
    assert (high["qualified_share"], high["reason"]) == (None, "no_limit")
    assert high["mean"] == pytest.approx(500 / 635)
    unknown = by_quantity(low, supply(None))["voltage_deviation_a"]
    assert (unknown["mean"], unknown["reason"]) == (None, "no_nominal_voltage")
    assert unknown["readings"] == 288


def test_a_phase_that_reads_zero_all_day_gives_no_figure_one_that_fails_counts():
    dead = by_quantity(told(voltage_a_v=220.0, voltage_b_v=0.0, voltage_c_v=221.0))
    assert dead["voltage_deviation_b"]["reason"] == "no_voltage"
    assert dead["voltage_unbalance"]["reason"] == "no_voltage"
    assert dead["voltage_unbalance"]["mean"] is None
    lost = by_quantity(told(voltage_a_v=220.0, voltage_b_v=[0.0, 220.0], voltage_c_v=220.0))
    assert lost["voltage_deviation_b"]["min"] == -100.0
    assert lost["voltage_deviation_b"]["qualified_share"] == 0.5
    assert lost["voltage_unbalance"]["max"] == pytest.approx(50.0)


def test_unbalance_is_negative_over_positive_sequence():
    volts = (226.0, 219.0, 215.0)
    turn = cmath.exp(2j * math.pi / 3)
    phasors = [u * turn ** (-n) for n, u in enumerate(volts)]
    positive = abs(sum(p * turn**n for n, p in enumerate(phasors)))
    negative = abs(sum(p * turn ** (2 * n) for n, p in enumerate(phasors)))
    names = dict(zip(("voltage_a_v", "voltage_b_v", "voltage_c_v"), volts, strict=True))
    row = by_quantity(told(**names))["voltage_unbalance"]
    assert row["mean"] == pytest.approx(negative / positive * 100)
    assert (row["limit_high"], row["limit_short"], row["standard"]) == (2.0, 4.0, "GB/T 15543-2008")


def test_statistics_are_those_of_a_plain_count():
    chance = random.Random(7)
    values = [chance.choice([1.0, 4.9, 5.0, 5.1, chance.random() * 8]) for _ in range(288)]
    row = by_quantity(told(thd_voltage_pct=values, frequency_hz=[49.79, 50.0]))
    thd, frequency = row["thd_voltage"], row["frequency"]
    assert thd["qualified_share"] == pytest.approx(sum(v <= 5 for v in values) / 288)
    assert thd["p95"] == sorted(values, reverse=True)[288 * 5 // 100]
    assert thd["mean"] == pytest.approx(sum(values) / 288)
    assert (frequency["qualified_share"], frequency["standard"]) == (0.5, "GB/T 15945")
    sixty = by_quantity(told(frequency_hz=60.0))["frequency"]
    assert (sixty["qualified_share"], sixty["reason"]) == (None, "no_limit")


def test_too_few_readings_give_no_figure_and_the_running_block_is_not_counted():
    half = told(voltage_a_v=230.0)[:144]
    row = by_quantity(half)["voltage_deviation_a"]
    assert (row["mean"], row["reason"], row["coverage"]) == (None, "low_coverage", 0.5)
    now = START + timedelta(hours=12, minutes=7)
    running = by_quantity(told(voltage_a_v=230.0), wanted=span(now=now))["voltage_deviation_a"]
    assert (running["blocks"], running["blocks_expected"], running["coverage"]) == (48, 48, 1.0)


def test_a_corrected_reading_replaces_the_first_whatever_the_order():
    first = told(voltage_a_v=250.0)
    later = told(voltage_a_v=220.0).with_columns(pl.col("received_at") + timedelta(hours=1))
    for both in (pl.concat([first, later]), pl.concat([later, first])):
        row = by_quantity(both)["voltage_deviation_a"]
        assert (row["readings"], row["max"]) == (288, 0.0)


def test_power_factor_is_of_the_months_energies_not_a_mean_of_factors():
    blocks = intervals(["m"], datetime(2026, 4, 30, 16, tzinfo=UTC), 31 * 96, START)
    heavy = pl.col("start") < START
    drawn = blocks.with_columns(
        energy_kwh=pl.when(heavy).then(8.0).otherwise(1.0),
        reactive_kvarh=pl.when(heavy).then(6.0).otherwise(0.0),
    )
    row = by_quantity(told(power_factor=0.5), wanted=span("month"), blocks=drawn)["power_factor"]
    few = drawn.filter(heavy).height
    active, reactive = few * 8.0 + (31 * 96 - few), few * 6.0
    assert row["mean"] == pytest.approx(active / math.hypot(active, reactive))
    assert (row["blocks"], row["coverage"], row["readings"]) == (31 * 96, 1.0, None)
    assert row["standard"] == "(83)水电财字第215号"
    assert (row["basis"], row["provenance"]) == ("drawn", "published")


def test_power_factor_counts_what_was_fed_back_where_the_meter_tells_it():
    blocks = intervals(["m"], START, 96, START).with_columns(energy_kwh=10.0, reactive_kvarh=5.0)
    early = pl.col("start") < START + timedelta(hours=1)
    for back, factor, known, provenance in (
        (pl.lit(3.0), 10 / math.hypot(10, 8), "drawn_and_fed_back", "unverified"),
        (pl.lit(0.0), 10 / math.hypot(10, 5), "drawn_and_fed_back", "published"),
        (pl.when(early).then(None).otherwise(3.0), None, "drawn_and_fed_back", "unverified"),
        (pl.lit(None, pl.Float64), 10 / math.hypot(10, 5), "drawn", "published"),
    ):
        drawn = blocks.with_columns(fed_back_kvarh=back)
        wanted = span(least=0.99)
        row = by_quantity(told(power_factor=0.5), wanted=wanted, blocks=drawn)["power_factor"]
        assert row["mean"] == (factor if factor is None else pytest.approx(factor))
        assert (row["basis"], row["provenance"]) == (known, provenance)
        assert row["reason"] == ("no_limit" if factor else "low_coverage")


def test_a_meter_without_the_quantity_has_no_row_and_settings_say_what_is_nominal():
    readings = pl.concat([told(voltage_a_v=230.0), told(meter="n", frequency_hz=50.0)])
    rows = power_quality(readings, NONE, ZONES, supply(), span())
    assert rows.select("meter_id", "quantity").rows() == [
        ("m", "voltage_deviation_a"),
        ("n", "frequency"),
    ]
    meter = Meter.model_validate({"id": "m", "nominal_voltage_v": 10_000, "supply_phases": 3})
    assert meter.nominal_voltage_v == 10_000
    assert timedelta(minutes=15) == BLOCK
