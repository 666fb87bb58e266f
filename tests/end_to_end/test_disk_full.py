"""A full disk: nothing is acknowledged, the alarm is raised, and it recovers by itself."""

import json
import urllib.error
import urllib.request

import pytest
from program import Program
from services import Mosquitto, end, free_port
from services_disk import SmallDisk
from services_edge import KNOWN, upper
from test_collect import BEGAN, LATER, EdgeProgram, brokers, publishing, values
from waiting import until

from collector.journal import Journal

__all__ = ["brokers"]
pytestmark = pytest.mark.mosquitto


def readiness(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def refusing(text):
    return "demandwatch_journal_refusing 1.0" in text


def test_an_edge_on_a_full_disk_alarms_and_recovers(brokers, tmp_path, small_disk: SmallDisk):
    field, upstream = brokers
    edge = EdgeProgram(small_disk.folder / "edge", field.port, upstream.port)
    edge.log = tmp_path / "collect.log"
    with upper(upstream, tmp_path, now=LATER) as (desk, _):
        edge.start()
        try:
            until(edge.ready, 30, "the edge to be ready")
            with publishing(field.port) as sent:
                until(lambda: values(desk), 10)
                small_disk.fill(edge.process.pid)
                until(lambda: refusing(edge.get("/metrics")), 20, "the disk to refuse")
                before = sent[0]
                until(lambda: sent[0] > before + 200)
                code, said = readiness(edge.port)
                assert code == 503
                assert "journal" in json.loads(said)["problems"]
                assert len(values(desk)) < sent[0]
                small_disk.free(edge.process.pid)
                until(lambda: not refusing(edge.get("/metrics")), 20, "the edge to recover")
            until(lambda: values(desk) == set(map(float, range(sent[0]))), 30)
            until(edge.ready, 10)
        finally:
            end(edge.process)
    assert edge.log.read_text().count("journal_refused") == 1, "told once, not at every attempt"


def test_a_run_on_a_full_disk_alarms_and_recovers(
    mosquitto: Mosquitto, tmp_path, small_disk: SmallDisk
):
    program = Program.make(
        small_disk.folder / "bureau",
        [{"id": "site", "name": {"zh": "厂", "en": "site"}, "kind": "factory", "district": "d",
          "meters": [{"id": one} for one in sorted(KNOWN)]}],
        collector={"mqtt": {"port": mosquitto.port, "reconnect_max_s": 1}},
        dashboards={"console": {"port": free_port()}},
    )  # fmt: skip
    process = program.start()
    port = program.settings["dashboards"]["console"]["port"]
    journal = Journal(program.folder / "var" / "journal.db", lambda: BEGAN)

    def journalled():
        return set(journal.read(0, 10**8).frame["energy_import_kwh"].to_list())

    try:
        with publishing(mosquitto.port) as sent:
            until(journalled, 10)
            small_disk.fill(process.pid)
            until(lambda: program.metric("demandwatch_journal_refusing") == 1, 20, "a refusal")
            before = sent[0]
            until(lambda: sent[0] > before + 200)
            code, said = readiness(port)
            assert code == 503
            assert "journal" in said
            assert len(journalled()) < sent[0]
            small_disk.free(process.pid)
            until(lambda: program.metric("demandwatch_journal_refusing") == 0, 20, "recovery")
        until(lambda: journalled() == set(map(float, range(sent[0]))), 30)
        until(program.answers, 15, "/readyz to be well again")
        program.stop(process)
    finally:
        end(process)
        journal.close()
