"""Metering anomalies against the plain reference; whatever order the readings came in."""

import os
import random
from datetime import date, timedelta

import polars as pl
import pytest
from anomaly_world import IB, START, UN, a_site, look, of, readings
from fakes import reference_anomalies as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import at, day_rows

from collector.anomaly_limits import Kind
from processors.anomalies_register import standing_blocks, stop, stopped
from processors.anomaly import Bound
from processors.anomaly_carry import NOTHING
from processors.anomaly_fold import fold

FUZZ = settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25")), deadline=None)
PAUSE_S = 1800.0
LEVEL = ("sudden_drop", "zero_use")
PB, RATED = UN * IB / 1000, {"": 66.0, "a": 22.0, "b": 22.0, "c": 22.0}
VOLTAGES = [(p, f"voltage_{p}_v") for p in "abc"]
CURRENTS = [(p, f"current_{p}_a") for p in "abc"]
POWERS = [("", "power_kw"), *((p, f"power_{p}_kw") for p in "abc")]
ELECTRIC = {
    "loss_of_voltage": lambda rows: reference.loss_of_voltage(rows, UN, IB, PAUSE_S),
    "phase_failure": lambda rows: reference.phase_failure(rows, UN, IB, PAUSE_S),
    "loss_of_current": lambda rows: reference.loss_of_current(rows, UN, IB, PAUSE_S),
    "reverse_power": lambda rows: reference.reverse_power(rows, PB, PAUSE_S),
    "undervoltage": lambda rows: reference.of_each(
        rows, VOLTAGES, UN, 0.78, PAUSE_S, below=True,
        alive=lambda row: not reference.under(
            reference.most(reference.volts(row, p, UN) for p in "abc"), 0.6
        ),
    ),
    "overvoltage": lambda rows: reference.of_each(rows, VOLTAGES, UN, 1.2, PAUSE_S),
    "overcurrent": lambda rows: reference.of_each(rows, CURRENTS, IB, 1.2, PAUSE_S),
    "overload": lambda rows: reference.of_each(rows, POWERS, RATED, 1.2, PAUSE_S),
    "low_power_factor": lambda rows: reference.power_factor(rows, 3 * PB, 0.3, 0.05, PAUSE_S),
    "voltage_unbalance": lambda rows: reference.unbalance(
        rows, [f"voltage_{p}_v" for p in "abc"], UN, 0.6, 0.3, PAUSE_S
    ),
    "current_unbalance": lambda rows: reference.unbalance(
        rows, [f"current_{p}_a" for p in "abc"], IB, 0.05, 0.3, PAUSE_S
    ),
    "severe_current_unbalance": lambda rows: reference.unbalance(
        rows, [f"current_{p}_a" for p in "abc"], IB, 0.05, 0.9, PAUSE_S
    ),
}  # fmt: skip
VOLTS = st.sampled_from([None, 0.0, 100.0, 131.0, 132.0, 160.0, 171.6, 180.0, 188.0, 220.0, 265.0])
AMPS = st.sampled_from([None, 0.0, 0.4, 0.5, 0.6, 3.0, 5.0, 6.0, -6.0, 60.0, 70.0, 121.0])
POWER = st.sampled_from([None, -9.0, -0.11, -0.12, 0.0, 13.2, 26.4, 27.0, 80.0])
ROW = st.fixed_dictionaries(
    {f"voltage_{p}_v": VOLTS for p in "abc"}
    | {f"current_{p}_a": AMPS for p in "abc"}
    | {f"power_{p}_kw": POWER for p in "abc"}
    | {"power_kw": POWER}
    | {"reactive_power_kvar": st.sampled_from([None, 0.0, 5.0, -40.0])}
    | {"power_factor": st.sampled_from([None, 0.0, 0.3, -0.2, 0.9])}
)
STEP = st.sampled_from([20, 60, 60, 60, 900, 1800, 1801])


def timed(pairs):
    """Rows with their instants, from (seconds since the last, row)."""
    now, rows = START, []
    for step, row in pairs:
        now += timedelta(seconds=step)
        rows.append(row | {"at": now, "end": now})
    return rows


def close_to(rows):
    return [(*one[:4], pytest.approx(one[4])) for one in sorted(rows)]


@FUZZ
@given(st.lists(st.tuples(STEP, ROW), min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_electric_kinds_against_the_reference_in_any_order(pairs, rng):
    rows = timed(pairs)
    told = readings(rows)
    stale = told.with_columns(
        pl.col("received_at") - timedelta(days=1), power_kw=pl.lit(-50.0), voltage_a_v=pl.lit(1.0)
    )
    order = list(range(told.height))
    rng.shuffle(order)
    # what was told before and corrected since counts where the correction says something
    known = [one for one in rows if one["power_kw"] is not None and one["voltage_a_v"] is not None]
    again = stale.filter(pl.col("measured_at").is_in([one["at"] for one in known]))
    found, _ = look(pl.concat([told[order], again]), only=ELECTRIC)
    for kind, judge in ELECTRIC.items():
        assert of(found, kind) == close_to(judge(rows)), kind


@FUZZ
@given(
    st.lists(
        st.tuples(STEP, st.sampled_from([None, 0.0, 5.0, 5.5, 30.0, 900.0, 940.0, 960.0, 999.0])),
        min_size=1,
        max_size=14,
    ),
    st.sampled_from([None, 1000.0]),
    st.lists(st.integers(0, 3000), max_size=2, unique=True),
)
def test_falls_of_registers_against_the_reference(pairs, modulus, changes):
    rows = timed((step, {"energy_import_kwh": kwh}) for step, kwh in pairs)
    dated = sorted(START + timedelta(seconds=one) for one in changes)
    place = a_site(
        {
            "id": "m",
            "register_modulus_kwh": modulus,
            "changes": [{"at": one.isoformat()} for one in dated],
        }
    )
    found, _ = look(readings(rows), [place], only=[Kind.REGISTER_DECREASE])
    wanted = reference.decrease(rows, modulus, 66.0, dated)
    assert of(found, "register_decrease") == close_to(wanted)


@FUZZ
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from([None, 0.0, 0.0, 0.0, 3.0]),
            st.sampled_from([None, -4.0, 0.0, 8.0, 8.0, 30.0]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_standing_registers_against_the_reference(blocks):
    start = [START + timedelta(minutes=15 * n) for n in range(len(blocks))]
    told = [
        {"at": at_, "end": at_ + timedelta(minutes=15), "energy_kwh": kwh,
         "told_kwh": None if kw is None else kw / 4}
        for at_, (there, kwh, kw) in zip(start, blocks, strict=True)
        if there
    ]  # fmt: skip
    rows = readings(
        [{"at": n, "power_kw": kw} for n, (_, _, kw) in zip(start, blocks, strict=True)]
    )
    frame = pl.DataFrame(
        [("m", one["at"], one["end"], one["energy_kwh"], "measured") for one in told],
        schema={"meter_id": pl.String, "start": pl.Datetime("us", "UTC"),
                "end": pl.Datetime("us", "UTC"), "energy_kwh": pl.Float64, "quality": pl.String},
        orient="row",
    )  # fmt: skip
    known = rows.with_columns(at="measured_at")
    bound = Bound(Kind.REGISTER_STOP, {"hours": 1.0, "least_kwh": 5.0})
    asked = [(standing_blocks(known, frame), stop(bound))]
    found = stopped(fold(asked, NOTHING.signals, NOTHING.at).episodes)
    assert of(found, "register_stop") == close_to(reference.stop(told, 1.0, 5.0))


@FUZZ
@given(
    st.lists(st.sampled_from([None, 0.0, 5.0, 11.0, 30.0, 30.0, 30.0]), min_size=40, max_size=75),
    st.integers(0, 100),
)
def test_levels_of_days_against_the_reference(energy, seed):
    zeros = random.Random(seed).randrange(len(energy))
    energy = energy[:zeros] + [0.0] * (seed % 6) + energy[zeros:]
    first = date(2026, 3, 2)
    by_day = {first + timedelta(days=n): kwh for n, kwh in enumerate(energy)}
    days = day_rows("m", first, max(by_day) + timedelta(days=1), lambda day: by_day[day])
    covered = pl.when(pl.col("energy_kwh").is_not_null()).then(1.0).otherwise(0.0)
    found, _ = look(readings([{"at": 0}]), days=days.with_columns(coverage=covered), only=LEVEL)
    zero = [(one[1], one[4]) for one in of(found, "zero_use")]
    wanted = reference.zero_use(by_day, first, 3, 10.0)
    assert zero == [(at(day), float(count)) for day, count in wanted]
    dropped = {
        day
        for since, until in found.filter(kind="sudden_drop").select("since", "until").rows()
        for day in by_day
        if since <= at(day) and (until is None or at(day) < until) and day_told(by_day, day)
    }
    shares = {day: reference.sudden_drop(by_day, day) for day in by_day}
    assert dropped == {day for day, one in shares.items() if one is not None and one < 0.4}


def day_told(by_day, day):
    return reference.sudden_drop(by_day, day) is not None
