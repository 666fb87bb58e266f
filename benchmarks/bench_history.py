"""History at the size of a city: commit of a closed block, one meter's day and year, a year's days.

Run: python benchmarks/bench_history.py [meters]
"""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import polars as pl

from collector.reading import empty
from processors.book import BOOK, Book
from processors.history.delta import Tidy
from processors.history.store import History
from processors.interval import BLOCK, INTERVAL

T0 = datetime(2026, 2, 28, 16, tzinfo=UTC)
"""1 March 2026 in Shanghai."""


def block(ids: list[str], start: datetime, blocks: int = 1) -> pl.DataFrame:
    """Return the interval rows of `blocks` closed blocks of every meter."""
    random = np.random.default_rng(7)
    rows = pl.DataFrame({"meter_id": ids}).join(
        pl.DataFrame({"start": [start + BLOCK * k for k in range(blocks)]}), how="cross"
    )
    energy = pl.Series("energy_kwh", random.random(rows.height) * 100)
    return rows.with_columns(
        energy,
        end=pl.col("start") + BLOCK,
        demand_kw=energy * 4,
        max_demand_kw=energy * 4.2,
        max_demand_at=pl.col("start") + BLOCK,
        reactive_kvarh=energy * 0.3,
        power_factor=pl.lit(0.96),
        voltage_unbalance_pct=None,
        coverage=pl.lit(1.0),
        quality=pl.lit("measured"),
        flags=pl.lit([], pl.List(pl.String)),
        revision=0,
        computed_at=pl.col("start") + BLOCK + timedelta(seconds=30),
        method=pl.lit("none"),
        output_count=None,
    ).select(pl.col(n).cast(t) for n, t in INTERVAL.items())


def timed(work: Callable[[], object], times: int = 5) -> float:
    """Return the median of some runs in milliseconds."""
    spans = []
    for _ in range(times):
        began = perf_counter()
        work()
        spans.append((perf_counter() - began) * 1000)
    return median(spans)


def run(meters: int = 10_000, days: int = 4, weeks: int = 53) -> dict[str, float]:
    """Return milliseconds by what was done.

    Args:
        meters: of the city.
        days: of blocks committed one by one.
        weeks: of the year of ten meters.
    """
    ids = [f"city-of-somewhere-meter-{k:06d}" for k in range(meters)]
    rows = [(m, f"site-{m}", "east", "Asia/Shanghai", True, None, None, 1800, False) for m in ids]
    book = Book(pl.DataFrame(rows, BOOK, orient="row"))
    now = [T0]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        history = History(root, lambda: now[0], book)
        last = T0 + timedelta(days=days)
        adds, flushes = [], []
        for k in range(96 * days):
            now[0] = T0 + BLOCK * (k + 1)
            frame = block(ids, T0 + BLOCK * k)
            adds.append(timed(partial(history.add, k + 1, empty(), frame), 1))
            flushes.append(timed(history.flush, 1))
            if k % 48 == 47:
                history.maintain(Tidy())
        out = {
            "meters": meters,
            "add_block_ms": median(adds),
            "flush_block_ms": median(flushes),
            "flush_block_max_ms": max(flushes),
        }
        one, day = [ids[meters // 2]], timedelta(days=1)
        out |= {
            "tidy_ms": timed(history.maintain, 1),
            "today_all_meters_ms": timed(lambda: history.intervals(last - day, last)),
            "today_one_meter_ms": timed(lambda: history.intervals(last - day, last, one)),
            "since_one_block_ms": timed(lambda: history.intervals_since(now[0] - BLOCK, 20_000)),
            "running_day_all_ms": timed(lambda: history.days(last.date(), last.date() + day)),
            "month_all_ms": timed(lambda: history.months(last.date(), last.date() + day)),
            "reopen_ms": timed(lambda: History(root, lambda: now[0], book), 1),
        }
        disk = History.open_readonly(root, book, lambda: now[0])
        out["day_one_meter_disk_ms"] = timed(lambda: disk.intervals(T0 + day, T0 + 2 * day, one))
        size = sum(f.stat().st_size for f in (root / "intervals").rglob("*.parquet"))
        out["day_mb_with_replaced_files"] = size / days / 1e6
    return out | year(weeks)


def year(weeks: int = 53) -> dict[str, float]:
    """Return milliseconds for a year of ten meters, one flush a week."""
    ids = [f"meter-{k}" for k in range(10)]
    rows = [(m, f"site-{m}", "east", "Asia/Shanghai", True, None, None, 1800, False) for m in ids]
    begin, week = datetime(2024, 12, 31, 16, tzinfo=UTC), timedelta(days=7)
    with tempfile.TemporaryDirectory() as folder:
        book = Book(pl.DataFrame(rows, BOOK, orient="row"))
        history = History(Path(folder), lambda: T0, book)
        began = perf_counter()
        for k in range(weeks):
            history.add(k + 1, empty(), block(ids, begin + k * week, 672))
            history.flush()
        history.flush()
        wrote = (perf_counter() - began) * 1000
        first, last, one = begin.date() + timedelta(days=1), T0.date(), ids[3:4]
        return {
            "year_write_ms": wrote,
            "year_days_one_meter_ms": timed(lambda: history.days(first, last, one)),
            "year_months_one_meter_ms": timed(lambda: history.months(first, last, one)),
            "year_intervals_one_meter_ms": timed(lambda: history.intervals(begin, T0, one)),
        }


if __name__ == "__main__":
    print(json.dumps(run(*(int(arg) for arg in sys.argv[1:])), indent=2))
