"""The hourly look for metering anomalies at meters read every 15 s: seconds, memory and disk.

It looks at a part of the sites at a time, about 1,000 meters: two such parts are measured, and
10,000 meters are five times that; the memory is the same. An hour is settled and six are looked at
again, all electric quantities; the blocks of the last local days and 130 days of levels. History is
in memory: what is measured is the arithmetic of the look, and writing what is known.

Run: python benchmarks/bench_anomalies.py [meters]
"""

import json
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from collector.clock import Clock  # noqa: E402 - the path above
from collector.reading import UTC_US, conform  # noqa: E402 - same
from collector.site import Site  # noqa: E402 - same
from processors.anomaly_arrivals import LATE, Mark  # noqa: E402 - same
from processors.anomaly_keeper import AnomalyKeeper  # noqa: E402 - same
from processors.history.days import DAY  # noqa: E402 - same
from processors.interval import INTERVAL  # noqa: E402 - same
from processors.policy.load import load_packs  # noqa: E402 - same
from processors.settings import ProcessorsSettings  # noqa: E402 - same

METERS, A_SITE, PACE_S = 2_000, 10, 15
NOW = datetime(2026, 5, 4, 4, tzinfo=UTC)
ELECTRIC = {"nominal_voltage_v": 220.0, "basic_current_a": 100.0, "rated_power_kw": 66.0}


class Past:
    """History in memory: every meter tells the same, but under its own name."""

    def __init__(self) -> None:
        """Make what one meter tells."""
        start = NOW - timedelta(hours=8)
        rows = int((NOW - start).total_seconds()) // PACE_S
        power = np.random.default_rng(3).uniform(20, 50, rows)
        phases = {f"voltage_{p}_v": 220.0 for p in "abc"} | {f"current_{p}_a": 60.0 for p in "abc"}
        told = {f"power_{p}_kw": pl.Series(power / 3) for p in "abc"} | {
            "power_kw": pl.Series(power),
            "reactive_power_kvar": pl.Series(power / 4),
            "energy_import_kwh": pl.Series(1000 + power.cumsum() * PACE_S / 3600),
        }
        at = pl.Series([start + timedelta(seconds=PACE_S * n) for n in range(rows)])
        frame = pl.DataFrame(told | {"measured_at": at.cast(UTC_US)})
        given = [pl.lit(value).alias(name) for name, value in phases.items()]
        full = frame.with_columns(*given, meter_id=pl.lit(""), source=pl.lit("bench"))
        self._readings = conform(full.with_columns(received_at="measured_at"))

    def readings(
        self, start: datetime, end: datetime, meters: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return the readings of the time, whoever is asked for."""
        mine = self._readings.filter(pl.col("measured_at").is_between(start, end, closed="left"))
        return _each(mine, meters)

    def mark(self, computed_at: datetime) -> Mark:
        """Return a mark: nothing is late."""
        return Mark(0, computed_at)

    def since(self, mark: Mark, before: datetime) -> tuple[pl.DataFrame, Mark]:  # noqa: ARG002
        """Return nothing."""
        return pl.DataFrame(schema=LATE), mark

    def intervals(
        self,
        start: datetime,
        end: datetime,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,  # noqa: ARG002 - of the protocol
    ) -> pl.DataFrame:
        """Return blocks of 9 kWh."""
        first = start.replace(minute=0)
        starts = pl.datetime_range(first, end, "15m", closed="left", time_unit="us", eager=True)
        known = {"energy_kwh": 9.0, "coverage": 1.0, "quality": "measured", "revision": 0}
        return _of(INTERVAL, starts, timedelta(minutes=15), known, meters)

    def days(
        self,
        start: date,
        end: date,
        meters: Sequence[str] | None = None,
        as_of: datetime | None = None,  # noqa: ARG002 - of the protocol
    ) -> pl.DataFrame:
        """Return days of 864 kWh."""
        first = datetime(start.year, start.month, start.day, 16, tzinfo=UTC) - timedelta(days=1)
        starts = pl.datetime_range(first, NOW, "1d", time_unit="us", eager=True)
        known = {"energy_kwh": 864.0, "coverage": 1.0, "revision": 0}
        return _of(DAY, starts, timedelta(days=1), known, meters).filter(pl.col("day") < end)


def _of(
    schema: dict[str, pl.DataType],
    starts: pl.Series,
    length: timedelta,
    known: Mapping[str, object],
    meters: Sequence[str] | None,
) -> pl.DataFrame:
    frame = pl.DataFrame({"start": starts}).with_columns(
        *(pl.lit(value).alias(name) for name, value in known.items()),
        meter_id=pl.lit(""),
        end=pl.col("start") + length,
        day=(pl.col("start") + timedelta(hours=8)).dt.date(),
        computed_at=pl.col("start") + length,
    )
    absent = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    full = frame.with_columns(absent).select(pl.col(n).cast(t) for n, t in schema.items())
    return _each(full, meters)


def _each(rows: pl.DataFrame, meters: Sequence[str] | None) -> pl.DataFrame:
    ids = pl.DataFrame({"meter_id": list(meters or ())}, schema={"meter_id": pl.String})
    return ids.join(rows.drop("meter_id"), how="cross").select(rows.columns)


def run(meters: int = METERS) -> dict[str, float]:
    """Return the seconds of a look and the most memory of the process."""
    sites = [
        Site.model_validate(
            {
                "id": f"s{n:05}",
                "name": {"zh": "站", "en": "site"},
                "kind": "retail",
                "district": "d",
                "meters": [{"id": f"m{n * A_SITE + k:06}"} | ELECTRIC for k in range(A_SITE)],
            }
        )
        for n in range(meters // A_SITE)
    ]
    packs, _ = load_packs(ROOT / "config" / "policy")
    past, hour = Past(), [0.0]
    clock = Clock(epoch=NOW - timedelta(hours=1), monotonic=lambda: hour[0])
    with tempfile.TemporaryDirectory() as folder:
        keeper = AnomalyKeeper(past, past, sites, packs, ProcessorsSettings(), clock, Path(folder))
        keeper.look()
        hour[0] = 3600.0
        began = perf_counter()
        keeper.look()
        seconds = perf_counter() - began
        kept = sum(path.stat().st_size for path in Path(folder).glob("*.arrow"))
    assert keeper.anomalies().is_empty(), "nothing is wrong"
    assert keeper.sought()["judged"].sum() > 0, "something was judged"
    return {
        "anomalies_look_of_10000_meters_s": seconds * 10_000 / meters,
        "anomalies_readings_per_s": meters * 7 * 3600 / PACE_S / seconds,
        "anomalies_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "anomalies_state_bytes_per_meter": kept / meters,
    }


if __name__ == "__main__":
    print(json.dumps(run(*(int(arg) for arg in sys.argv[1:])), indent=2))
