"""Every part of `make bench` still fits the code: each runs at a tiny size and tells its figures.

What it measures at that size means nothing; that it measures does.
"""

import importlib
import math
from functools import cache
from pathlib import Path

import pytest

from benchmarks import bench

SMALL = {
    # the tools the step stands beside are installed by `make bench` alone
    "step": {"meters": 20, "rounds": 1, "fleets": (10, 40), "beside": ()},
    "sums": {"meters": 100, "rounds": 3},
    "mqtt": {"singles": 200, "arrays": 10, "rounds": 1},
    "modbus": {"seconds": 0.3, "rounds": 1},
    "buses": {"meters": 2, "seconds": 1.2},
    "history": {"meters": 10, "days": 1, "weeks": 2},
    "edge": {"meters": 100, "rounds": 3, "hour": 20},
    "collect": {"units": 1, "seconds": 0.2, "many": 20},
    "recompute": {"meters": 20, "days": 1, "workers": 1},
    "anomalies": {"meters": 20},
}
BY_BROKER = {"mqtt", "edge", "collect"}
COARSE = {"cpu_percent_per_1000_meters_at_15_s"}
"""Counted in hundredths of a second: 0 in so short a time."""

parts = pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, marks=pytest.mark.mosquitto if part in BY_BROKER else ())
        for part in bench.PARTS
    ],
)


@cache
def figures_of(part):
    return importlib.import_module(f"benchmarks.bench_{part}").run(**SMALL[part])


@parts
def test_a_part_of_the_bench_runs_and_tells_figures(part):
    found = figures_of(part)
    assert found
    for name, value in found.items():
        assert math.isfinite(value), name
        assert value > 0 or (name in COARSE and value == 0), name


def test_make_bench_runs_every_part_there_is():
    folder = Path(bench.__file__).parent
    assert {one.stem.removeprefix("bench_") for one in folder.glob("bench_*.py")} == {*bench.PARTS}


@pytest.mark.mosquitto
def test_every_budget_is_of_a_figure_that_some_part_tells():
    told = {name for part in bench.PARTS for name in figures_of(part)}
    assert {*bench.BUDGETS, *bench.CEILINGS} <= told
