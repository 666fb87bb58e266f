"""Metering anomalies worked by hand: each kind found, and not found where it is none."""

from datetime import date, timedelta

import pytest
from anomaly_world import START, a_site, look, normal, of, readings
from history_rows import intervals
from policy_rows import at, day_rows
from sum_rows import frame, row

from collector.anomaly_limits import Kind
from processors.anomalies import within
from processors.anomaly_sought import Why


def minute(n):
    return START + timedelta(minutes=n)


def seen(**over):
    """Ten minutes of readings, wrong from the third to the sixth."""
    return readings([normal(n, **(over if 3 <= n <= 6 else {})) for n in range(10)])


@pytest.mark.parametrize(
    ("kind", "phase", "over", "value"),
    [
        ("loss_of_voltage", "b", {"voltage_b_v": 110.0}, 0.5),
        ("undervoltage", "a", {"voltage_a_v": 154.0}, 0.7),
        ("overvoltage", "b", {"voltage_b_v": 275.0}, 1.25),
        ("overcurrent", "c", {"current_c_a": 130.0}, 1.3),
        ("overload", "", {"power_kw": 99.0}, 1.5),
        ("overload", "a", {"power_a_kw": 33.0}, 1.5),
        ("low_power_factor", "", {"power_factor": 0.25}, 0.25),
        ("phase_failure", "a", {"voltage_a_v": 22.0, "current_a_a": 0.2}, 0.1),
        ("loss_of_current", "c", {"current_c_a": 0.4}, 0.004),
        ("reverse_power", "", {"power_kw": -2.2}, -0.1),
        ("reverse_power", "b", {"power_b_kw": -1.1}, -0.05),
        ("voltage_unbalance", "", {"voltage_c_v": 132.0}, 0.4),
        ("current_unbalance", "", {"current_a_a": 30.0}, 0.5),
        ("severe_current_unbalance", "", {"current_a_a": 3.0}, 0.95),
    ],
)
def test_each_electric_kind_has_its_beginning_end_and_worst_value(kind, phase, over, value):
    found, _ = look(seen(**over))
    rows = of(found, kind)
    assert rows == [(phase, minute(3), minute(7), False, pytest.approx(value))]
    assert set(found["standing"]) == {"clue"}
    assert not set(found["provenance"]) & {"published"}
    clean, sought = look(seen())
    assert clean.is_empty()
    assert sought.filter(kind=kind)["reason"].to_list() == [None]


def test_what_is_just_at_a_threshold_or_too_short_is_nothing():
    for kind, over in (
        ("loss_of_voltage", {"voltage_b_v": 171.6}),
        ("loss_of_current", {"current_c_a": 0.5}),
        ("reverse_power", {"power_kw": -0.11}),
    ):
        assert of(look(seen(**over))[0], kind) == []
    short = readings([normal(n / 2, **({"power_kw": -5.0} if n == 4 else {})) for n in range(10)])
    assert look(short)[0].is_empty()


def test_loss_of_voltage_ends_above_its_clearing_limit_only():
    volts = [220, 220, 110, 110, 180, 186, 188, 220]
    found, _ = look(readings([normal(n, voltage_a_v=float(v)) for n, v in enumerate(volts)]))
    assert of(found, "loss_of_voltage") == [("a", minute(2), minute(6), False, 0.5)]


def test_with_all_phases_gone_it_is_a_loss_of_supply_and_no_phase_is_accused():
    over = {f"voltage_{p}_v": 3.0 for p in "abc"} | {f"current_{p}_a": 0.0 for p in "abc"}
    over |= {"power_kw": 0.0, "reactive_power_kvar": 0.0}
    assert look(seen(**over))[0].is_empty()
    low = [normal(n, voltage_a_v=110.0) for n in range(3)]
    gone = [normal(n, **over) for n in range(3, 6)]
    assert of(look(readings(low + gone))[0], "loss_of_voltage") == [
        ("a", minute(0), minute(3), True, 0.5)
    ]


def test_an_episode_does_not_bridge_a_gap_and_stays_open_at_the_last_reading():
    times = [0, 1, 2, 90, 91, 92]
    found, _ = look(readings([normal(n, power_kw=-9.0) for n in times]))
    rows = of(found, "reverse_power")
    assert [one[1:4] for one in rows] == [
        (minute(0), minute(2), True),
        (minute(90), None, True),
    ]


def test_power_that_flows_back_by_design_is_no_anomaly():
    roof = a_site({"id": "m"}, {"id": "pv", "role": "generation"})
    found, sought = look(seen(power_kw=-9.0), [roof])
    assert found.is_empty()
    told = sought.filter(meter_id="m", kind="reverse_power")
    assert told.select("judged", "reason").row(0) == (0, Why.TWO_WAY.value)


def test_three_wire_metering_has_no_phase_b():
    lines = {"voltage_b_v": 0.0, "current_b_a": 0.0, "power_b_kw": -3.0, "power_a_kw": -1.0}
    wired = a_site({"id": "m", "three_wire": True})
    found, sought = look(readings([normal(n, **lines) for n in range(10)]), [wired])
    assert found.is_empty()
    assert sought.filter(kind="current_unbalance")["reason"].item() == Why.THREE_WIRE.value


def test_a_register_that_falls_is_dated_and_sized_and_a_rollover_is_none():
    kwh = [900.0, 910.0, 400.0, 390.0, 405.0, 410.0]
    rows = [normal(n, energy_import_kwh=v) for n, v in enumerate(kwh)]
    found, _ = look(readings(rows))
    row_ = found.filter(kind="register_decrease").row(0, named=True)
    assert (row_["since"], row_["until"], row_["observed"]) == (minute(2), minute(4), 520.0)
    assert not row_["since_is_bound"]
    rolls = a_site({"id": "m", "register_modulus_kwh": 1000.0})
    over = readings([normal(n, energy_import_kwh=v) for n, v in enumerate([998.0, 999.5, 0.4])])
    assert look(over, [rolls])[0].is_empty()
    assert look(over)[0]["kind"].to_list() == ["register_decrease"]
    changed = a_site({"id": "m", "changes": [{"at": minute(2).isoformat(), "declared_by": "x"}]})
    assert look(over, [changed])[0].is_empty()


def closing(kwh):
    return readings([normal(15 * n, energy_import_kwh=v) for n, v in enumerate(kwh)])


def test_a_register_that_runs_away_passes_both_limits():
    """66 kW rated: 16.5 kWh in a block; 22 is over 1.2 times that and 2.2, 40 over 2 times."""
    found, _ = look(closing([0.0, 10.0, 33.0, 43.0, 83.0, 93.0]))
    slow, fast = (of(found, kind) for kind in ("energy_deviation", "register_fly"))
    assert [one[1:3] for one in slow] == [(minute(15), minute(30)), (minute(45), minute(60))]
    assert [one[1:3] for one in fast] == [(minute(45), minute(60))]
    assert fast[0][4] == pytest.approx(40 / 16.5)
    assert look(closing([0.0, 10.0, 0.0, 0.0, 20.0, 30.0]))[0]["kind"].to_list() == [
        "register_decrease"
    ]


def test_a_register_that_stands_while_power_flows():
    rows = [normal(n, energy_import_kwh=500.0) for n in range(120)]
    still = intervals(["m"], START, 6, START, 0.0)
    found, _ = look(readings(rows), intervals=still)
    told = found.filter(kind="register_stop").row(0, named=True)
    assert (told["since"], told["until"], told["value"]) == (START, None, 1.5)
    assert told["observed"] == pytest.approx(6 * 39.6 / 4)
    idle = readings([normal(n, energy_import_kwh=500.0, power_kw=0.0) for n in range(120)])
    assert of(look(idle, intervals=still)[0], "register_stop") == []
    dark = intervals(["m"], START, 6, START, None)
    _, sought = look(readings(rows), intervals=dark)
    assert sought.filter(kind="register_stop")["reason"].item() == Why.TOO_LITTLE.value


def test_a_sudden_drop_and_days_of_nothing():
    first = date(2026, 3, 2)
    until = first + timedelta(days=60)

    def level(day):
        return 100.0 if day < first + timedelta(days=45) else 20.0

    days = day_rows("m", first, until, level)
    found, _ = look(readings([normal(0)]), days=days)
    (drop,) = of(found, "sudden_drop")
    # the sixth day: 5 x 20 + 2 x 100 = 300 of 700 is 43 %, 6 x 20 + 100 = 220 is 31 %
    assert drop[1:3] == (at(first + timedelta(days=50)), None)
    assert drop[4] == pytest.approx(0.2)
    gone = day_rows("m", first, until, lambda day: 100.0 if level(day) > 50 else 0.0)
    found, _ = look(readings([normal(0)]), days=gone)
    (zero,) = of(found, "zero_use")
    assert zero[1:] == (at(first + timedelta(days=45)), None, False, 15.0)
    unknown = day_rows("m", first, until, lambda day: 100.0 if level(day) > 50 else None)
    assert look(readings([normal(0)]), days=unknown)[0].is_empty()


def test_a_level_that_doubles_is_a_jump_and_one_that_triples_a_rise_too():
    first = date(2026, 3, 2)

    def found(times):
        until = first + timedelta(days=45)
        kwh = day_rows(
            "m", first, until, lambda day: 100.0 * (times if (day - first).days >= 35 else 1)
        )
        rows = look(readings([normal(0)]), days=kwh)[0]
        return rows.select("kind", "since", "value", "threshold").rows()

    assert found(1.5) == []
    week = at(first + timedelta(days=41))
    assert found(2) == [("ct_ratio_jump", week, 2.0, 2.0)]
    assert ("ct_ratio_jump", week, 2.0, 2.0) in found(0.5)
    # five days of three and two of one are 17 of 7: 2.43; six are 2.71
    sixth = at(first + timedelta(days=40))
    assert found(3) == [("ct_ratio_jump", week, 3.0, 3.0), ("sudden_rise", sixth, 3.0, 2.5)]


def test_what_is_lost_between_a_meter_and_those_behind_it():
    meters = {"id": "m"}, {"id": "s1", "role": "sub"}, {"id": "s2", "role": "sub"}
    tree = a_site(*meters, wholly_sub_metered=True)
    rows = [
        row(meter, kwh, n)
        for n in range(-32, 288 - 32)
        for meter, kwh in (("m", 100.0), ("s1", 60.0), ("s2", 38.0 if n < 64 else 30.0))
    ]
    found, sought = look(readings([normal(0)]), [tree], intervals=frame(rows))
    gap = found.filter(kind="parent_child_gap").row(0, named=True)
    assert (gap["meter_id"], gap["site_id"], gap["value"]) == ("m", "w", pytest.approx(0.1))
    assert gap["until"] is None
    assert gap["observed"] == pytest.approx(960.0)
    assert of(look(readings([normal(0)]), [a_site(*meters)], frame(rows))[0], gap["kind"]) == []
    more = [one | ({"energy_kwh": 80.0} if one["meter_id"] == "s1" else {}) for one in rows]
    found, _ = look(readings([normal(0)]), [a_site(*meters)], frame(more))
    (over,) = found.filter(kind="parent_child_gap").to_dicts()
    assert over["observed"] < 0
    assert 0.1 <= over["value"] < 0.2
    reasons = dict(sought.filter(kind="parent_child_gap").select("meter_id", "reason").rows())
    assert reasons == {"m": None, "s1": "no_sub_meters", "s2": "no_sub_meters"}


def test_what_cannot_be_looked_for_is_said_and_never_passes_as_well():
    bare = a_site({"id": "m", "nominal_voltage_v": None, "rated_power_kw": None,
                   "basic_current_a": None})  # fmt: skip
    register = readings([{"at": n, "energy_import_kwh": 10.0 + n} for n in range(5)])
    found, sought = look(register, [bare], off=["sudden_drop"])
    assert found.is_empty()
    told = dict(sought.select("kind", "reason").rows())
    assert set(told) == {kind.value for kind in Kind}
    assert [kind for kind, why in told.items() if why is None] == ["register_decrease"]
    assert told["loss_of_voltage"] == "no_nominal_voltage"
    assert told["register_fly"] == "no_rated_power"
    assert told["sudden_drop"] == "switched_off"
    silent = look(readings([normal(0)], meter="other"))[1]
    assert silent.filter(kind="reverse_power")["reason"].item() == "no_readings"
    powerless = look(readings([{"at": 0, "voltage_a_v": 220.0}]))[1]
    assert powerless.filter(kind="loss_of_voltage")["reason"].item() == "no_current"


def test_settings_override_the_pack_and_say_so():
    strict = {"limits": {"reverse_power": {"p_reverse": 0.2}}}
    assert look(seen(power_kw=-2.2, reactive_power_kvar=1.0), **strict)[0].is_empty()
    found, _ = look(seen(power_kw=-8.8), **strict)
    assert found.select("threshold", "provenance").row(0) == (-0.2, "settings")
    with pytest.raises(ValueError, match="no limit 'p'; it has p_reverse, delay_s"):
        look(seen(), limits={"reverse_power": {"p": 1.0}})


def test_without_a_basic_current_it_is_derived_and_marked():
    """66 kW over three phases of 220 V: 22 kW and 100 A each."""
    told = a_site({"id": "m", "basic_current_a": None})
    found, _ = look(seen(current_c_a=0.4), [told])
    loss = found.filter(kind="loss_of_current").row(0, named=True)
    assert (loss["basis"], loss["reference"]) == ("rated_power", pytest.approx(100.0))


def test_only_what_touches_the_span_is_told():
    found, _ = look(seen(power_kw=-9.0))
    assert within(found, minute(5), minute(6)).height
    assert within(found, minute(0), minute(3)).is_empty()
    assert within(found, minute(7), minute(9)).is_empty()
