"""Validation rules: what each finds, its limits by settings < site < meter, and that off is off."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from fakes.stream_driver import Stream, readings_of

from collector.reading import conform
from collector.site import Site
from collector.validation import Validation, over, resolved
from demandwatch.sitefiles import with_validation
from processors.blocks import intervals_of
from processors.book import Book

T0 = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def site(own=None, meter=None):
    return Site.model_validate({
        "id": "s", "name": {"zh": "s", "en": "s"}, "kind": "retail", "district": "d",
        "validation": own or {},
        "meters": [{"id": "m", "rated_power_kw": 100, "validation": meter or {}}]})  # fmt: skip


def readings(register, **columns):
    """Minute readings of register and other quantities; scalars are repeated."""
    at = [T0 + n * MINUTE for n in range(len(register))]
    frame = pl.DataFrame({"measured_at": at, "energy_import_kwh": register}).with_columns(
        meter_id=pl.lit("m"), received_at=pl.col("measured_at"), source=pl.lit("t"),
        **{name: pl.Series(v, dtype=pl.Float64) if isinstance(v, list) else pl.lit(v, pl.Float64)
           for name, v in columns.items()},
    )  # fmt: skip
    return conform(frame)


def flags(frame, **rules):
    found = intervals_of(frame, Book.of([site(meter=rules)]))
    return [set(one) - {"block_demand_only"} for one in found["flags"].to_list()]


STEADY = [60.0 * n / 60 for n in range(31)]  # 60 kW
CASES = {
    "range": readings(STEADY, power_kw=[60.0] * 20 + [121.0] + [60.0] * 10),
    "stuck": readings([*STEADY[:16], *[STEADY[15]] * 15], power_kw=60.0),
    "energy_power": readings(STEADY, power_kw=[60.0] * 15 + [90.0] * 16),
    "clock_offset": readings(STEADY, clock_offset_s=[0.0] * 15 + [-301.0] * 16),
    "phase_sum": readings(
        STEADY, power_kw=60.0, power_a_kw=20.0, power_b_kw=20.0,
        power_c_kw=[20.0] * 15 + [16.0] * 16),
}  # fmt: skip


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_flags_the_block_it_is_about_and_off_is_off(rule):
    first, second = flags(CASES[rule])
    assert rule not in first
    assert rule in second
    assert all(rule not in one for one in flags(CASES[rule], **{rule: {"enabled": False}}))


@pytest.mark.parametrize(("rule", "limit"), [
    ("range", {"share": 1.3}), ("stuck", {"min_kwh": 16.0}), ("energy_power", {"share": 0.5}),
    ("energy_power", {"min_readings": 16}), ("clock_offset", {"max_s": 600.0}),
    ("phase_sum", {"share": 0.1}), ("phase_sum", {"floor_kw": 5.0}),
])  # fmt: skip
def test_each_limit_is_the_meters_own(rule, limit):
    assert all(rule not in one for one in flags(CASES[rule], **{rule: limit}))


def test_no_rule_speaks_where_nothing_was_told():
    assert flags(readings(STEADY)) == [set(), set()]


def test_a_coarse_register_and_an_exporting_meter_contradict_nothing():
    coarse = [float(round(value)) for value in STEADY]
    assert flags(readings(coarse, power_kw=61.0)) == [set(), set()]
    assert flags(readings([5.0] * 31, power_kw=-60.0)) == [set(), set()]


def test_spike_off_takes_every_rise_as_it_is():
    spiked = [*STEADY[:20], *[value + 500 for value in STEADY[20:]]]
    assert flags(readings(spiked))[1] == {"spike_rejected", "partial", "sliding_incomplete"}
    found = intervals_of(readings(spiked), Book.of([site(meter={"spike": {"enabled": False}})]))
    assert found["energy_kwh"].to_list() == pytest.approx([15.0, 515.0])
    assert "spike_rejected" not in found["flags"][1].to_list()
    wider = intervals_of(readings(spiked), Book.of([site(meter={"spike": {"share": 400.0}})]))
    assert wider["energy_kwh"][1] == pytest.approx(515.0)


def test_decrease_off_rejects_no_dip_flags_no_reset_and_states_nothing_across_a_fall():
    dipped = [*STEADY[:20], 0.0, *STEADY[21:]]
    on = intervals_of(readings(dipped), Book.of([site()]))
    assert on["energy_kwh"].to_list() == pytest.approx([15.0, 15.0])
    off = intervals_of(readings(dipped), Book.of([site(meter={"decrease": {"enabled": False}})]))
    assert off["energy_kwh"][1] < 15.0
    assert not {"dip_rejected", "counter_reset"} & set(off["flags"][1].to_list())


def test_limits_are_resolved_from_settings_to_site_to_meter():
    told = {"range": {"share": 2.0}, "stuck": {"min_kwh": 3.0}, "spike": {"enabled": False}}
    settings = Validation.model_validate(told)
    own = site({"range": {"share": 3.0}}, {"range": {"enabled": False}, "stuck": {"min_kwh": 4.0}})
    (told,) = with_validation((own,), settings)
    book = Book.of([told])
    row = book.rules.row(0, named=True)
    assert (row["range_share"], row["stuck_kwh"], row["spike_share"]) == (None, 4.0, None)
    assert row["clock_s"] == 300.0
    (site_only,) = with_validation((site({"range": {"share": 3.0}}),), settings)
    assert Book.of([site_only]).rules["range_share"].to_list() == [3.0]
    assert resolved(over()) == resolved()


def test_stream_and_batch_flag_alike():
    frame = pl.concat(list(CASES.values())).unique(["measured_at"], keep="last").sort("measured_at")
    book = Book.of([site()])
    stream = Stream(book)
    for part in frame.sample(fraction=1, shuffle=True, seed=3).iter_slices(5):
        stream.take(part)
    key = ["meter_id", "start", "flags"]
    assert (
        stream.latest().select(key).to_dicts() == intervals_of(frame, book).select(key).to_dicts()
    )


def test_float_noise_is_no_event_and_no_energy_is_negative():
    noisy = [100.0 + (n % 2) * 1e-9 for n in range(61)]
    found = intervals_of(readings_of([("m", T0 + n * MINUTE, v) for n, v in enumerate(noisy)]),
                         Book.of([site()]))  # fmt: skip
    assert found["energy_kwh"].min() >= 0.0
    assert found["energy_kwh"].sum() == pytest.approx(0.0, abs=1e-6)
    assert all(not set(one) & {"counter_reset", "dip_rejected"} for one in found["flags"])
