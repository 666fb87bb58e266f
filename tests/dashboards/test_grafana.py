"""The Site board: the file is what the code builds, and every query of it finds rows."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import polars as pl
import pytest
import yaml
from history_rows import T0, book, intervals, readings
from pydantic import SecretStr
from waiting import until

from collector.metrics import Metrics
from collector.site import Site
from dashboards.grafana.build import BOARDS, build, text
from dashboards.grafana.push import push
from dashboards.influx import InfluxSink
from dashboards.settings import InfluxSettings
from processors.history.store import History

DEPLOY = Path(__file__).parents[2] / "deploy" / "grafana"
SITE = {
    "id": "site-of-m-1",
    "name": {"zh": "一号厂", "en": "Works 1"},
    "kind": "factory",
    "district": "east",
    "contract_demand_kw": [{"from": "2026-01-01", "value": 630}],
    "meters": [{"id": "m-1"}],
}


def queries() -> list[tuple[str, str]]:
    board = json.loads(text("site"))
    panels = [(p["title"], t["query"]) for p in board["panels"] for t in p["targets"]]
    return panels + [(v["name"], v["query"]) for v in board["templating"]["list"]]


def filled_in(query: str) -> str:
    span = f"time >= {int(T0.timestamp())}s AND time < {int(T0.timestamp()) + 86_400}s"
    values = {"$timeFilter": span, "$site": "site-of-m-1", "$district": "east"}
    for name, value in values.items():
        query = query.replace(name, value)
    assert "$" not in query, f"a variable nobody fills in: {query}"
    return query


@pytest.mark.parametrize("name", BOARDS)
def test_the_file_is_what_the_code_builds(name, tmp_path):
    assert (DEPLOY / "dashboards" / f"{name}.json").read_text(encoding="utf-8") == text(name)
    assert build(tmp_path)[0].read_text(encoding="utf-8") == text(name)


def test_every_panel_uses_the_provisioned_source_and_says_what_it_shows():
    board = json.loads(text("site"))
    source = yaml.safe_load((DEPLOY / "provisioning/datasources/demandwatch.yaml").read_text())
    uid = source["datasources"][0]["uid"]
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == uid
        assert panel["title"]
        assert all(target["datasource"]["uid"] == uid for target in panel["targets"])
        assert panel["fieldConfig"]["defaults"]["noValue"] == "—", "no data is never a zero"
    provider = yaml.safe_load((DEPLOY / "provisioning/dashboards/demandwatch.yaml").read_text())
    assert provider["providers"][0]["type"] == "file"


@pytest.mark.influxdb
def test_every_query_of_the_board_finds_rows(tmp_path, influx):
    now = T0 + timedelta(days=1)
    history = History(tmp_path / "history", lambda: now, book("m-1", "m-2"))
    loads = (pl.int_range(pl.len()) % 96).cast(pl.Float64)
    rows = intervals(["m-1", "m-2"], T0, 96, now).with_columns(
        demand_kw=loads, power_factor=pl.lit(0.93)
    )
    history.add(1, readings([], T0, 0), rows)
    settings = InfluxSettings(url=influx.url)
    sites = [Site.model_validate(SITE)]
    cursor = tmp_path / "cursor.json"
    sink = InfluxSink(settings, history, book("m-1", "m-2"), cursor, Metrics(), sites)
    sink.start()
    until(lambda: history.intervals_since(sink.status().cursor, 1).is_empty(), 20)
    sink.stop()
    found = {title: influx.query(filled_in(query)) for title, query in queries()}
    assert {title for title, series in found.items() if not series} == set()
    answers = {title: series[0]["values"][0] for title, series in found.items()}
    assert answers["最大区间需量 · Maximum block demand"][1] == 95
    assert answers["合同需量 · Contract demand"][1] == 630
    assert answers["电量 · Energy"][1] == 96
    assert answers["district"][1] == "east"


def test_boards_are_pushed_to_a_running_grafana():
    told: list[tuple[str, str, dict[str, object]]] = []

    class Grafana(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.append((self.path, self.headers["Authorization"], body))
            answer = b'{"status": "success", "url": "/d/demandwatch-site/site"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Grafana) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert push(f"http://127.0.0.1:{server.server_port}", SecretStr("secret")) == [
                "/d/demandwatch-site/site"
            ]
        finally:
            server.shutdown()
            thread.join()
    path, authorization, body = told[0]
    assert path == "/api/dashboards/db"
    assert authorization == "Bearer secret"
    assert body["overwrite"] is True
    assert body["dashboard"] == json.loads(text("site"))
