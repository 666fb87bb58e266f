"""`demandwatch recompute` of 10,000 meters read each 15 minutes, every core at work.

Three days are computed anew and a month is thirty of them by rule of three: a preview's days are
alike. The settings are read by each process, as they are in life.
"""

import json
import os
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from collector.clock import Clock  # noqa: E402 - the path above
from collector.journal import Journal  # noqa: E402 - same
from collector.reading import UTC_US, conform  # noqa: E402 - same
from demandwatch.commands_import import work_up  # noqa: E402 - same
from demandwatch.recomputing import Job, preview  # noqa: E402 - same
from demandwatch.settings import load  # noqa: E402 - same

METERS, DAYS, A_SITE = 10_000, 3, 10
FIRST = date(2026, 3, 2)
START = datetime(2026, 3, 1, 16, tzinfo=UTC)
"""Midnight in Shanghai."""


def run(meters: int = METERS, days: int = DAYS, workers: int | None = None) -> dict[str, float]:
    """Return seconds, and meter-days a second.

    Args:
        meters: ten a site.
        days: computed anew.
        workers: processes; None: one a core.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = load(_settings(Path(folder), meters))
        _read(config.data, meters, days)
        work_up(config, Clock.real())
        names = tuple(sorted(config.book.meters["meter_id"]))
        job = Job.of(config, FIRST, FIRST + timedelta(days=days), names)
        began = time.perf_counter()
        preview(job, workers or os.cpu_count() or 1, lambda _share: None)
        seconds = time.perf_counter() - began
        assert job.rows("intervals").is_empty(), "nothing was changed"
    return {
        f"recompute_{days}_days_s": seconds,
        "recompute_meter_days_per_s": meters * days / seconds,
        "recompute_month_of_10000_meters_s": 10_000 * 30 / (meters * days / seconds),
    }


def _settings(folder: Path, meters: int) -> Path:
    file = {"via": "file"}
    sites = [
        {
            "id": f"s{n:04}", "name": {"zh": "站", "en": "site"}, "kind": "retail", "district": "d",
            "meters": [{"id": f"m{n * A_SITE + k:05}", "source": file} for k in range(A_SITE)],
        }
        for n in range(meters // A_SITE)
    ]  # fmt: skip
    (folder / "sites").mkdir()
    (folder / "rules").mkdir()
    (folder / "rules/rules.yaml").write_text("rules: []\n")
    (folder / "sites/sites.yaml").write_text(yaml.safe_dump({"sites": sites}, allow_unicode=True))
    settings = {
        "name": {"zh": "试", "en": "bench"}, "data": "var",
        "meter_profiles": str(ROOT / "config/meter-profiles"),
        "processors": {"policy_folder": str(ROOT / "config/policy")},
    }  # fmt: skip
    path = folder / "demandwatch.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True))
    (folder / "var").mkdir()
    return path


def _read(data: Path, meters: int, days: int) -> None:
    """Journal one reading a meter and quarter hour."""
    ids = [f"m{n:05}" for n in range(meters)]
    power = np.random.default_rng(5).uniform(5, 100, meters)
    with closing(Journal(data / "journal.db", Clock.real().now)) as journal:
        for n in range(96 * days + 1):
            at = pl.lit(START + n * timedelta(minutes=15)).cast(UTC_US)
            frame = pl.DataFrame({"meter_id": ids, "energy_import_kwh": power * n / 4})
            told = frame.with_columns(measured_at=at, received_at=at, source=pl.lit("bench"))
            last = journal.append(conform(told))
        last.result()


if __name__ == "__main__":
    print(json.dumps(run(*(int(arg) for arg in sys.argv[1:])), indent=2))
