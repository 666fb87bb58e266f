"""The InfluxDB sink: nothing missing, nothing stale, whatever the server does meanwhile."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from history_rows import T0, book, intervals, readings
from pydantic import SecretStr
from waiting import until

from collector.metrics import Metrics
from dashboards.influx import InfluxSink
from dashboards.line_protocol import heads, interval_lines
from dashboards.settings import InfluxSettings
from processors.book import Book
from processors.history.store import History
from processors.interval import BLOCK

METERS = ["m-1", "m-2"]
NOW = T0 + timedelta(days=400)


class Rig:
    """A history and a sink that follows it, as the map wires them."""

    def __init__(self, folder: Path, url: str, **settings) -> None:
        self.settings = InfluxSettings(url=url, token=SecretStr("u:p"), timeout_s=2, **settings)
        self.folder, self.metrics = folder, Metrics()
        self.history = History(folder / "history", lambda: NOW, book(*METERS))
        self.sink = self.another()
        self.seq = 0

    def another(self) -> InfluxSink:
        cursor = self.folder / "cursor.json"
        return InfluxSink(self.settings, self.history, book(*METERS), cursor, self.metrics)

    def add(self, rows: pl.DataFrame) -> None:
        self.seq += 1
        self.history.add(self.seq, readings([], T0, 0), rows)

    def caught_up(self) -> bool:
        return self.history.intervals_since(self.sink.status().cursor, 1).is_empty()


@pytest.fixture
def rig(tmp_path, influx):
    made = Rig(tmp_path, influx.url, batch_rows=500)
    yield made
    made.sink.stop()


def rows_of(influx, columns="energy_kwh", where="") -> list[list[object]]:
    found = influx.query(f"SELECT {columns} FROM interval {where}")
    return found[0]["values"] if found else []


@pytest.mark.influxdb
def test_every_interval_arrives_with_its_tags_and_fields(rig, influx):
    rig.add(intervals(METERS, T0, 700, T0))
    rig.sink.start()
    until(rig.caught_up, 20)
    assert influx.query("SELECT count(energy_kwh) FROM interval")[0]["values"][0][1] == 1400
    series = influx.query("SELECT * FROM interval WHERE meter_id = 'm-2' LIMIT 1")[0]
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    micros = int(T0.timestamp() * 1e6)
    assert row.pop("power_factor", None) is None
    assert row == {
        "time": micros,
        "district": "east",
        "site_id": "site-of-m-2",
        "meter_id": "m-2",
        "role": "main",
        "energy_kwh": 1,
        "demand_kw": 4,
        "max_demand_kw": 5,
        "max_demand_at": micros + 20 * 60 * 1_000_000,
        "coverage": 1,
        "quality": "measured",
        "flags": "",
        "revision": 0,
        "computed_at": micros,
    }
    assert rig.metrics.value("demandwatch_influx_rows_total") == 1400


@pytest.mark.influxdb
def test_a_later_revision_overwrites_and_a_missing_block_is_no_zero(rig, influx):
    rig.add(intervals(["m-1"], T0, 2, T0, 1.0))
    rig.add(intervals(["m-1"], T0, 1, T0 + BLOCK, 7.0, revision=1))
    rig.add(intervals(["m-1"], T0 + 2 * BLOCK, 1, T0 + BLOCK, None))
    rig.sink.start()
    until(rig.caught_up, 20)
    assert [value for _, value in rows_of(influx)] == [7, 1]
    assert [value for _, value in rows_of(influx, "quality")] == ["measured", "measured", "missing"]


@pytest.mark.influxdb
def test_the_server_is_away_in_the_middle_and_nothing_is_missing(rig, influx):
    rig.sink.start()
    for k in range(60):
        rig.add(intervals(METERS, T0 + k * BLOCK, 1, T0 + k * BLOCK))
        if k == 20:
            until(rig.caught_up, 20)
            influx.stop()
        if k == 40:
            until(lambda: rig.sink.status().error, 10)
            influx.start()
    until(rig.caught_up, 20)
    assert [len(rows_of(influx, where=f"WHERE meter_id='{m}'")) for m in METERS] == [60, 60]
    until(lambda: rig.sink.status().error == "", 5)
    assert (rig.metrics.value("demandwatch_influx_failures_total", {"reason": "http_502"}) or 0) > 0


@pytest.mark.influxdb
def test_a_restart_goes_on_at_the_cursor_and_another_bucket_begins_anew(rig, influx):
    rig.add(intervals(METERS, T0, 10, T0))
    rig.sink.start()
    until(rig.caught_up, 20)
    rig.sink.stop()
    influx.query("DROP MEASUREMENT interval")
    rig.add(intervals(METERS, T0 + 10 * BLOCK, 10, T0 + BLOCK))
    rig.sink = rig.another()
    rig.sink.start()
    until(rig.caught_up, 20)
    assert len(rows_of(influx)) == 20, "only what came after the cursor"
    rig.sink.stop()
    influx.query("CREATE DATABASE other")
    rig.settings = rig.settings.model_copy(update={"bucket": "other"})
    rig.sink = rig.another()
    rig.sink.start()
    until(rig.caught_up, 20)
    assert influx.query("SELECT count(energy_kwh) FROM interval", "other")[0]["values"][0][1] == 40


@pytest.mark.influxdb
def test_rows_older_than_the_bucket_keeps_stop_nothing(rig, influx):
    influx.query(
        "ALTER RETENTION POLICY autogen ON demandwatch DURATION 1h SHARD DURATION 1h DEFAULT"
    )
    rig.add(intervals(METERS, datetime(2018, 1, 1, tzinfo=UTC), 10, T0))
    rig.sink.start()
    until(rig.caught_up, 20)
    counted = {"reason": "beyond_retention"}
    assert (rig.metrics.value("demandwatch_influx_failures_total", counted) or 0) > 0


@pytest.mark.influxdb
def test_a_request_the_server_finds_too_large_is_halved(tmp_path, influx):
    influx.limit_bodies("8k")
    rig = Rig(tmp_path, influx.url, batch_rows=20_000)
    rig.add(intervals(METERS, T0, 3000, T0))
    rig.sink.start()
    until(rig.caught_up, 30)
    rig.sink.stop()
    assert influx.query("SELECT count(energy_kwh) FROM interval")[0]["values"][0][1] == 6000


def test_a_torn_cursor_file_sends_all_again(tmp_path):
    rig = Rig(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "cursor.json").write_text('{"computed')
    assert rig.another().status().cursor < T0


def test_names_cannot_break_a_line():
    meters = book("m-1").meters.with_columns(district=pl.lit("城 东,a=b\n\\"))
    rows = intervals(["m-1", "stranger"], T0, 1, T0).with_columns(
        energy_kwh=pl.Series([float("nan"), float("inf")])
    )
    first, second = interval_lines(rows, heads(Book(meters)))
    assert first.startswith(r"interval,district=城\ 东\,a\=b,meter_id=m-1,role=main,site_id=")
    assert second.startswith("interval,meter_id=stranger demand_kw=4.0,")
    assert "\n" not in first
    assert "nan" not in first.lower()
    assert "inf" not in second.lower()


def test_each_row_is_one_line_in_the_order_given():
    ids = [f"m-{k}" for k in range(2000)]
    rows = intervals(ids, T0, 10, T0)
    made = list(interval_lines(rows, heads(book(*ids))))
    assert len(made) == rows.height
    assert made[-1].endswith(str(int((T0 + 9 * BLOCK).timestamp() * 1e6)))
