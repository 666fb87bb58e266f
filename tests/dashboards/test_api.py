"""The API over real HTTP: rows, alerts, acknowledgement, health."""

import json
import socket
import urllib.error
import urllib.request
from dataclasses import replace

import console_world as world
import pytest

from dashboards.console.server import Console, PortTakenError
from dashboards.settings import ConsoleSettings
from processors.activity import DeclarationError


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("api")
    package = tmp_path / "A-0001.zip"
    package.write_bytes(b"PK")
    sources = replace(world.sources(tmp_path), export=lambda alert_id, by: package)
    console = Console(sources, ConsoleSettings(port=0), "1.2.3")
    console.start()
    yield console
    console.stop()


def get(console, path, data=None):
    """Return status, headers and body."""
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(console.url + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read()


def rows(console, path):
    status, _, body = get(console, path)
    assert status == 200, body
    return json.loads(body)


def test_intervals_of_a_site_in_a_span(console):
    told = rows(console, "/api/v1/intervals?site=zhongxing&from=2026-11-23T08:00:00%2B08:00"
                "&to=2026-11-23T09:00:00%2B08:00")  # fmt: skip
    assert len(told) == 3 * 4
    assert told[0]["start"] == "2026-11-23T00:00:00+00:00"
    assert {row["meter_id"] for row in told} == {"zhongxing-m1", "zhongxing-m2", "zhongxing-s1"}


def test_unknown_energy_is_null(console):
    told = rows(console, "/api/v1/intervals?meter=zhongxing-m1&from=2026-11-22T18:30:00Z"
                "&to=2026-11-22T18:45:00Z")  # fmt: skip
    assert [row["energy_kwh"] for row in told] == [None]


def test_days_curve_running_fleet_quotas_verdicts_and_sites(console):
    assert len(rows(console, "/api/v1/days?meter=huaqiang-m1&from=2026-11-01&to=2026-11-11")) == 10
    assert len(rows(console, "/api/v1/sites/huaqiang/curve?day=2026-11-20")) == 96
    assert len(rows(console, "/api/v1/running")) == 14
    assert len(rows(console, "/api/v1/fleet")) == 16
    assert len(rows(console, "/api/v1/quotas")) == 14
    (year,), (cap,) = (rows(console, f"/api/v1/quotas/{one}") for one in ("years", "caps"))
    assert (year["kind"], year["site_id"]) == ("year", "zhongxing")
    assert 0 < year["crosses_in_days"] < 38
    assert (cap["cap_kw"], cap["hours_above"]) == (1500.0, cap["blocks_above"] / 4)
    assert len(rows(console, "/api/v1/verdicts")) == 4
    assert rows(console, "/api/v1/sites")[0]["contract_demand_kw"][0]["from"] == "2026-01-01"
    assert rows(console, "/api/v1/rejects") == []


def test_indices_by_period_of_sites_and_meters(console):
    span = "from=2026-11-21&to=2026-11-23"
    told = rows(console, f"/api/v1/indices?{span}&period=day&site=luohu-hotel")
    assert [row["day"] for row in told] == ["2026-11-21", "2026-11-22"]
    assert {row["subject_id"] for row in told} == {"luohu-hotel"}
    assert all(0 < row["load_factor"] < 1 for row in told)
    assert len(rows(console, f"/api/v1/indices?{span}")) == 14
    assert get(console, f"/api/v1/indices?{span}&meter=nobody")[0] == 404
    assert get(console, "/api/v1/indices?from=2026-11-23&to=2026-11-23")[0] == 422


def test_an_alert_is_read_acknowledged_once_and_refused_the_second_time(console):
    assert [row["alert_id"] for row in rows(console, "/api/v1/alerts?severity=critical")] == [
        "A-0001", "A-0002",
    ]  # fmt: skip
    assert rows(console, "/api/v1/alerts")[0]["site_name"]["en"] == "Zhongxing Precision"
    path = "/api/v1/alerts/A-0001/acknowledge"
    status, _, body = get(console, path, {"actor": "Li", "note": "seen"})
    assert status == 200
    assert json.loads(body)["alert"]["handled_by"] == "Li"
    assert get(console, path, {"actor": "Li"})[0] == 409
    assert get(console, path, {"actor": ""})[0] == 422


def test_the_evidence_package_is_downloaded(console):
    status, headers, body = get(console, "/api/v1/alerts/A-0001/evidence?by=Li")
    assert (status, body) == (200, b"PK")
    assert "A-0001.zip" in headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/alerts/nothing", 404),
        ("/api/v1/sites/nobody/curve?day=2026-11-20", 404),
        ("/api/v1/days?site=nobody&from=2026-11-01&to=2026-11-11", 404),
        ("/api/v1/days?from=yesterday&to=2026-11-11", 422),
        ("/api/v1/intervals?from=2026-11-23T08:00:00&to=2026-11-23T09:00:00", 422),
        ("/site/nobody", 200),
        ("/alerts?id=nothing", 200),
        ("/site/zhongxing?day=tomorrow", 422),
        ("/?lang=xx", 200),
    ],
)
def test_what_is_not_there_is_told_and_nothing_breaks(console, path, status):
    assert get(console, path)[0] == status


def test_metrics_health_and_readiness(console, tmp_path):
    assert get(console, "/metrics")[2].startswith(b"demandwatch_up 1\n# HELP demandwatch_meters ")
    assert get(console, "/healthz")[0] == 200
    assert get(console, "/readyz")[0] == 200
    assert json.loads(get(console, "/api/openapi.json")[2])["info"]["version"] == "1.2.3"


def test_readiness_is_503_and_says_why(tmp_path):
    console = Console(world.sources(tmp_path, filled=False), ConsoleSettings(port=0))
    console.start()
    try:
        status, _, body = get(console, "/readyz")
    finally:
        console.stop()
    assert status == 503
    assert json.loads(body)["problems"] == {"history": "no data yet"}


def test_a_taken_port_is_a_clear_error_or_the_next_one(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        console = Console(world.sources(tmp_path), ConsoleSettings(port=port))
        with pytest.raises(PortTakenError, match=rf"port {port} on 127\.0\.0\.1 is in use"):
            console.start()
        console.stop()
        other = Console(console.desk.sources, ConsoleSettings(port=port, try_next_ports=20))
        other.start()
        other.stop()
        assert other.url != f"http://127.0.0.1:{port}"


def test_activity_is_declared_with_a_name_revised_and_read_back(tmp_path):
    kept = []

    def declare(site_id, one):
        if one.value > 1e6:
            raise DeclarationError("declaration 1 stands in the way")
        kept.append((site_id, one))
        return len(kept), len(kept) == 1

    sources = replace(world.sources(tmp_path, filled=False), declare=declare)
    console = Console(sources, ConsoleSettings(port=0))
    console.start()
    path = "/api/v1/sites/luohu-hotel/activity"
    told = {"activity": "guests", "from": "2026-10-01", "until": "2026-11-01", "value": 812,
            "unit": "guest", "declared_by": "Li"}  # fmt: skip
    try:
        assert get(console, path, told)[0] == 201
        assert get(console, path, told)[0] == 200
        assert get(console, path, told | {"value": 1e7})[0] == 409
        assert get(console, path, {k: v for k, v in told.items() if k != "declared_by"})[0] == 422
        assert get(console, path, told | {"declared_by": " "})[0] == 422
        assert get(console, path.replace("luohu", "no"), told)[0] == 404
        assert rows(console, path) == []
        assert get(console, path + "?as_of=2026-10-01T00:00:00")[0] == 422
    finally:
        console.stop()
    site, one = kept[0]
    assert (site, one.value, one.declared_by) == ("luohu-hotel", 812, "Li")
