"""`make bench`: measures the budgets, prints one table of ratios, writes JSON beside it.

Each part runs in a process of its own. Absolute figures depend on the machine; the ratios are of
two things measured side by side in one run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PARTS = ("step", "sums", "mqtt", "modbus", "buses", "history", "edge", "collect", "recompute",
         "anomalies")  # fmt: skip
BUDGETS = {
    "step_readings_per_s": (1_000_000, "at least 1 M readings/s"),
    "array_readings_durable_per_s": (100_000, "at least 100,000 readings/s"),
    "single_to_bare_ratio": (0.9, "at least 0.9 x a bare paho loop"),
    "polls_to_bare_ratio": (0.9, "at least 0.9 x bare pymodbus"),
}
"""Figure -> least value and its words."""
CEILINGS = {
    "sums_close_block_ms": (10.0, "within 10 ms for a block of 10,000 meters"),
    "sums_revise_row_ms": (5.0, "within milliseconds for a revised row"),
    "replay_hour_s": (10.0, "below 10 s for an hour of 10,000 meters"),
    "read_hour_of_trickle_s": (10.0, "below 10 s for an hour of 10,000 meters"),
    "anomalies_look_of_10000_meters_s": (120.0, "within 2 minutes of each hour"),
    "anomalies_memory_mb": (3000.0, "below 3 GB"),
    "live_wait_during_catch_up_max_s": (5.0, "live readings within seconds"),
}
"""Figure -> greatest value and its words."""


def measure(part: str) -> dict[str, float]:
    """Run one part and return its figures."""
    done = subprocess.run(
        [sys.executable, str(HERE / f"bench_{part}.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"bench_{part}.py failed:\n{done.stderr}")
    return dict(json.loads(done.stdout[done.stdout.index("{") :]))


def main() -> None:
    """Measure what was asked for and report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; repeatable")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "bench.json")
    asked = parser.parse_args()
    found = {part: measure(part) for part in asked.only or PARTS}
    table = Table("part", "figure", "value", "budget", title="demandwatch: measured in one run")
    for part, figures in found.items():
        for name, value in figures.items():
            table.add_row(part, name, f"{value:,.3f}", _verdict(name, value))
    Console(width=110).print(table)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }
    when = datetime.now(UTC).isoformat()  # noqa: TID251 - the date of a measurement
    asked.out.write_text(json.dumps({"measured_at": when, **about, **found}, indent=2))
    print(f"written: {asked.out}")


def _verdict(name: str, value: float) -> str:
    if name in CEILINGS:
        most, words = CEILINGS[name]
        return f"{'met' if value <= most else 'NOT MET'}: {words}"
    if name not in BUDGETS:
        return ""
    least, words = BUDGETS[name]
    return f"{'met' if value >= least else 'NOT MET'}: {words}"


if __name__ == "__main__":
    main()
