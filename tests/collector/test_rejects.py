import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.metrics import Metrics
from collector.rejects import REJECTED, Reason, Rejects

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def test_notes_are_counted_kept_and_read_newest_first(tmp_path: Path):
    metrics = Metrics()
    rejects = Rejects(tmp_path / "rejects.sqlite", metrics=metrics)
    rejects.add(Reason.NOT_JSON, "mqtt", "demandwatch/v1/m/readings", "{\x1b[31m", T0)
    rejects.add(Reason.TIMEOUT, "modbus:b1", "m2", "no answer", T0 + timedelta(seconds=1), count=3)
    rejects.close()
    again = Rejects(tmp_path / "rejects.sqlite")
    latest = again.latest(10)
    assert latest.schema == REJECTED
    assert latest["reason"].to_list() == ["timeout", "not_json"]
    assert latest["excerpt"][1] == "{\\x1b[31m"
    assert latest["at"][1] == T0
    assert rejects.counts() == {"not_json": 1, "timeout": 3}
    labels = {"reason": "timeout", "source": "modbus:b1"}
    assert metrics.value("demandwatch_rejected_total", labels) == 3
    assert b'demandwatch_rejected_total{reason="not_json",source="mqtt"} 1.0' in metrics.render()
    again.close()


def test_a_flood_is_counted_exactly_kept_within_bounds_and_cheap(tmp_path: Path):
    rejects = Rejects(tmp_path / "rejects.sqlite", limit=100)
    began = time.monotonic()
    for n in range(20_000):
        rejects.add(Reason.NOT_JSON, "mqtt", "topic", str(n), T0)
    assert time.monotonic() - began < 4
    assert rejects.counts() == {"not_json": 20_000}
    kept = rejects.latest(1000)["excerpt"].to_list()
    assert kept == [str(n) for n in range(19_999, 19_899, -1)]
    rejects.close()
