"""The step beside other tools that do the plain part of its job (`peers.py`).

Readings of 10,000 meters at 15 s with 8 quantities; the step does everything (repetitions, energy,
blocks, block and sliding demand, validation, coverage, quality, flags, state). Tools that work row
by row, or meter by meter, get a share of the meters.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
import polars as pl

from collector.reading import UTC_US, conform
from processors.book import BOOK, Book
from processors.step import State, step

METERS, ROUNDS = 10_000, 3
START = 1_767_225_600_000_000  # 2026-01-01 UTC
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SHARES = {"group_by": 1, "duckdb": 1, "pandas": 10, "bytewax": 100}
"""Each peer works on one meter in so many."""
FLEETS = (1_000, 200_000)
"""Meters between which the cost of a reading shall not grow."""


def book_of(meters: int) -> Book:
    """Return a book of `meters` meters, ten a site."""
    numbers = range(meters)
    columns = {
        "meter_id": [f"m{n:06d}" for n in numbers],
        "site_id": [f"s{n // 10:05d}" for n in numbers],
        "district": ["d"] * meters,
        "timezone": ["Asia/Shanghai"] * meters,
        "is_main": [True] * meters,
        "rated_power_kw": [500.0] * meters,
        "register_modulus_kwh": [None] * meters,
        "max_interpolation_gap_s": [1800] * meters,
        "counts": [False] * meters,
    }
    return Book(pl.DataFrame(columns, schema=BOOK))


def readings_of(book: Book, ticks: int, every_s: int = 15) -> pl.DataFrame:
    """Return READING rows of all meters in order of time, as they would arrive."""
    meters = book.meters.height
    rng = np.random.default_rng(1)
    power = rng.uniform(10, 400, (meters, ticks))
    energy = np.cumsum(power * every_s / 3600, axis=1)
    at = np.repeat(START + np.arange(ticks) * every_s * 1_000_000, meters)
    volts = {f"voltage_{p}_v": rng.uniform(218, 222, meters * ticks) for p in "abc"}
    columns = {
        "meter_id": book.meters["meter_id"].gather(np.tile(np.arange(meters), ticks)),
        "measured_at": pl.Series(at).cast(UTC_US),
        "received_at": pl.Series(at).cast(UTC_US),
        "source": pl.repeat("bench", meters * ticks, eager=True),
        "energy_import_kwh": energy.T.ravel(),
        "reactive_import_kvarh": energy.T.ravel() * 0.3,
        "power_kw": power.T.ravel(),
        "current_a_a": power.T.ravel(),
        "frequency_hz": np.full(meters * ticks, 50.0),
        **volts,
    }
    return pl.DataFrame(columns)


def run(
    meters: int = METERS,
    rounds: int = ROUNDS,
    fleets: tuple[int, int] = FLEETS,
    beside: Sequence[str] = tuple(SHARES),
) -> dict[str, float]:
    """Return rates (readings a second, medians) and the ratios of one run.

    Args:
        meters: read for an hour.
        rounds: of which the median counts.
        fleets: sizes between which the growth of the cost is measured.
        beside: peers to stand beside.
    """
    book = book_of(meters)
    hour = conform(readings_of(book, 241))
    batches = list(hour.iter_slices(200_000))
    parts = {name: hour.filter(_share(meters, SHARES[name])) for name in beside}
    work = _peers(parts)
    times: dict[str, list[float]] = {name: [] for name in ("step", *beside)}
    for _ in range(rounds):
        times["step"].append(_timed(lambda: _step(batches, book)))
        for name, job in work.items():
            times[name].append(_timed(job))
    sizes = {"step": hour.height} | {name: part.height for name, part in parts.items()}
    rates = {name: sizes[name] / statistics.median(told) for name, told in times.items()}
    return {
        **{f"{name}_readings_per_s": rate for name, rate in rates.items()},
        **{f"step_vs_{name}": rates["step"] / rates[name] for name in beside},
        **_growth(fleets, rounds),
    }


def _peers(parts: Mapping[str, pl.DataFrame]) -> dict[str, Callable[[], int]]:
    if not parts:
        return {}
    import peers  # noqa: PLC0415 - only `make bench` installs the tools it stands beside

    make = {
        "group_by": peers.in_polars,
        "duckdb": peers.in_duckdb,
        "pandas": peers.in_pandas,
        "bytewax": peers.in_bytewax,
    }
    return {name: make[name](part) for name, part in parts.items()}


def _share(meters: int, one_in: int) -> pl.Expr:
    return pl.col("meter_id") < f"m{max(1, meters // one_in):06d}"


def _growth(fleets: tuple[int, int], rounds: int) -> dict[str, float]:
    """Return the cost of a reading in the large fleet over the small one, and state bytes a meter.

    A quarter of an hour at 60 s, in batches as the engine takes them; the same batches for both.
    """
    cost = {}
    size = 0.0
    for meters in fleets:
        book = book_of(meters)
        batches = list(readings_of(book, 17, 60).iter_slices(200_000))
        rows = meters * 17
        times = [_timed(partial(_step, batches, book)) for _ in range(rounds)]
        cost[meters] = statistics.median(times) / rows
        state = State.empty()
        for batch in batches:
            state, _ = step(state, batch, book, NOW)
        size = state.pending.estimated_size() / meters
    return {
        f"cost_{fleets[1]}_vs_{fleets[0]}_meters": cost[fleets[1]] / cost[fleets[0]],
        "state_bytes_a_meter_at_60_s": size,
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _step(batches: list[pl.DataFrame], book: Book) -> int:
    state, issued = State.empty(), 0
    for batch in batches:
        state, result = step(state, batch, book, NOW)
        issued += result.intervals.height
    return issued


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
