"""Looks of a running system, one after another, find what one look at all of it finds.

Of the kinds of phases and powers, at a meter that is never silent for longer than a look covers.
"""

import os
from datetime import timedelta
from functools import partial

import polars as pl
from anomaly_world import START, a_site, normal, readings, shipped
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from collector.anomaly_limits import Kind
from processors.anomaly import ANOMALY, bounds
from processors.anomaly_carry import carried
from processors.anomaly_look import Look, look
from processors.anomaly_settings import AnomalySettings
from processors.history.days import DAY
from processors.interval import INTERVAL

FUZZ = settings(
    max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "6")),
    deadline=None,
    phases=[Phase.generate],
)
SITES = [a_site()]
ELECTRIC = (
    *("loss_of_voltage", "undervoltage", "overvoltage", "phase_failure", "loss_of_current"),
    *("overcurrent", "reverse_power", "overload", "voltage_unbalance", "current_unbalance"),
    *("severe_current_unbalance", "low_power_factor"),
)
OFF = AnomalySettings.model_validate({"off": [kind for kind in Kind if kind not in ELECTRIC]})
ODD = st.sampled_from(
    [
        {},
        {"voltage_a_v": 110.0},
        {"voltage_a_v": 180.0},
        {"voltage_b_v": 20.0, "current_b_a": 0.1},
        {"voltage_c_v": 270.0, "current_a_a": 130.0},
        {"current_c_a": 0.2},
        {"current_c_a": 3.0},
        {"power_kw": -9.0, "power_a_kw": 30.0},
    ]
)
RUNS = st.lists(st.tuples(ODD, st.integers(1, 40), st.sampled_from([60, 600])), min_size=3,
                max_size=9)  # fmt: skip


class Past:
    def __init__(self, told):
        self.told = told

    def readings(self, start, end, meters=None):
        at = pl.col("measured_at")
        return self.told.filter(at >= start, at < end)

    def intervals(self, *_):
        return pl.DataFrame(schema=INTERVAL)

    def days(self, *_):
        return pl.DataFrame(schema=DAY)


def seen(rows, *, closed):
    """Kind, phase, beginning and end."""
    state = pl.col("until").is_not_null() if closed else pl.col("until").is_null()
    return set(rows.filter(state).select("kind", "phase", "since", "until").rows())


@FUZZ
@given(RUNS)
def test_looks_one_after_another_find_what_one_look_finds(runs):
    now, told = START, []
    for odd, count, step in runs:
        for _ in range(count):
            now += timedelta(seconds=step)
            told.append(normal(0, **odd) | {"at": now})
    past = Past(readings(told))
    end = now + timedelta(seconds=1)
    judged = partial(bounds, shipped(), OFF)
    whole, _ = look(past, SITES, Look(START, end, bounds=judged))
    known, closed, at = pl.DataFrame(schema=ANOMALY), set(), START
    while at < end:
        at = min(at + timedelta(hours=1), end)
        start = at - timedelta(hours=1, minutes=30)
        asked = Look(start, at, bounds=judged, before=known)
        found, sought = look(past, SITES, asked)
        known = carried(known, found, sought)
        closed |= seen(known, closed=True)
    assert closed == seen(whole, closed=True)
    assert seen(known, closed=False) == seen(whole, closed=False)
