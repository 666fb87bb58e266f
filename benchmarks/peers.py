"""The plain part of the step's job in other tools: energy, mean and greatest power of each block.

Each gets its input in memory, in the form it likes best; only the work is timed. None does what the
step does beyond: repetitions, order, resets, gaps, quality, state. Boundaries by interpolation and
sliding demand only pandas does here, meter by meter.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import bytewax.operators.windowing as windows
import duckdb
import pandas as pd
import polars as pl
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

BLOCK = timedelta(minutes=15)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_SQL = """SELECT meter_id, time_bucket(INTERVAL 15 MINUTES, measured_at) AS start,
  max_by(energy_import_kwh, measured_at) - min_by(energy_import_kwh, measured_at) AS energy_kwh,
  avg(power_kw), max(power_kw) FROM readings GROUP BY ALL"""
_USED = ["meter_id", "measured_at", "energy_import_kwh", "power_kw"]

Work = Callable[[], int]
"""Does the job once; returns how many blocks it made."""


def in_polars(readings: pl.DataFrame) -> Work:
    """Return the job as one group-by."""
    block = pl.col("measured_at").dt.truncate("15m")
    return lambda: readings.group_by("meter_id", block.alias("start")).agg(
        pl.col("energy_import_kwh").last() - pl.col("energy_import_kwh").first(),
        pl.col("power_kw").mean(),
        pl.col("power_kw").max().alias("top"),
    ).height  # fmt: skip


def in_duckdb(readings: pl.DataFrame) -> Work:
    """Return the job as one query over a table in memory."""
    base = duckdb.connect()
    naive = pl.col("measured_at").dt.replace_time_zone(None)  # zones would need an extension
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "readings.parquet"
        readings.select(_USED).with_columns(naive).write_parquet(path)
        base.execute("CREATE TABLE readings AS SELECT * FROM read_parquet(?)", [str(path)])
    return lambda: len(base.execute(_SQL).fetchnumpy()["start"])


def in_bytewax(readings: pl.DataFrame) -> Work:
    """Return the job as a dataflow of tumbling windows by event time, one worker."""
    rows = [
        (meter, (at, energy, power))
        for meter, at, energy, power in readings.select(_USED).iter_rows()
    ]

    def work() -> int:
        out: list[object] = []
        flow = Dataflow("blocks")
        clock = windows.EventClock(lambda one: one[0], wait_for_system_duration=timedelta())
        folded = windows.fold_window(
            "fold", op.input("in", flow, TestingSource(rows, batch_size=10_000)), clock,
            windows.TumblingWindower(BLOCK, EPOCH), list, _fold, lambda one, two: one + two,
        )  # fmt: skip
        op.output("out", folded.down, TestingSink(out))
        run_main(flow)
        return len(out)

    return work


def _fold(state: list[float], value: tuple[datetime, float, float]) -> list[float]:
    _, energy, power = value
    if not state:
        return [energy, energy, power, 1.0, power]
    state[1], state[2], state[3] = energy, state[2] + power, state[3] + 1
    state[4] = max(state[4], power)
    return state


def in_pandas(readings: pl.DataFrame) -> Work:
    """Return the job with energy, block and sliding demand by interpolation, meter by meter."""
    # without pyarrow, which polars' own conversion asks for
    frame = pd.DataFrame({name: readings[name].to_numpy() for name in _USED[:3]})

    def work() -> int:
        count = 0
        ordered = frame.drop_duplicates(["meter_id", "measured_at"]).sort_values(
            ["meter_id", "measured_at"]
        )
        for _, one in ordered.groupby("meter_id", sort=False):
            register = one.set_index("measured_at")["energy_import_kwh"]
            edges = pd.date_range(register.index[0].ceil("15min"), register.index[-1], freq="15min")
            whole = register.reindex(register.index.union(edges)).interpolate("time")
            energy = whole.reindex(edges).diff().dropna()
            minute = whole.resample("1min").last().interpolate("time")
            sliding = (minute - minute.shift(15)) * 4
            sliding.resample("15min", closed="right", label="left").max()
            count += len(energy * 4)
        return count

    return work
