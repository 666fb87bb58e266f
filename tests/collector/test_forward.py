"""The way upstream, over a real broker."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from services import Mosquitto
from services_edge import NOW, EdgeRig, numbers, rows, upper
from waiting import until

from collector.reading import conform

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def rig(mosquitto: Mosquitto, tmp_path: Path):
    made = EdgeRig(tmp_path, mosquitto.port)
    yield made
    made.journal.close()


def test_readings_arrive_as_the_edge_took_them(rig: EdgeRig, mosquitto: Mosquitto, tmp_path: Path):
    first = rows(0, 30, power_kw=[1.5] * 30, register_words=["40001:0A0B"] * 30)
    with upper(mosquitto, tmp_path) as (desk, _), rig.forwarding():
        rig.journal.append(first).result(5)
        rig.journal.append(rows(30, 10)).result(5)
        until(lambda: len(numbers(desk)) == 40)
        got = desk.journal.read(0, 1000).frame
        assert_frame_equal(got, pl.concat([conform(first), conform(rows(30, 10))]))
        assert not desk.rejects.counts()
        until(lambda: rig.forwarded("live") == 40)


def test_thingsboard_gateway_2157_what_nobody_takes_is_not_forwarded(
    rig: EdgeRig, mosquitto: Mosquitto, tmp_path: Path
):
    """The broker would say yes and throw the batch away: MQTT 5 tells us, and we keep it."""
    rig.journal.append(rows(0, 25)).result(5)
    with rig.forwarding() as forwarder:
        until(lambda: "nobody" in (forwarder.status.last_error or ""))
        assert not forwarder.status.connected
        assert forwarder.progress.live == 0
        with upper(mosquitto, tmp_path) as (desk, _):
            until(lambda: len(numbers(desk)) == 25)
            until(lambda: forwarder.status.connected)


def test_large_commits_go_in_several_messages(mosquitto: Mosquitto, tmp_path: Path):
    upstream = {"port": mosquitto.port, "max_payload_bytes": 4096}
    rig = EdgeRig(tmp_path, mosquitto.port, {"batch_rows": 1000, "upstream": upstream})
    with upper(mosquitto, tmp_path) as (desk, _), rig.forwarding():
        rig.journal.append(rows(0, 5000)).result(5)
        until(lambda: sorted(numbers(desk)) == [float(n) for n in range(5000)])
        assert not desk.rejects.counts()
        until(lambda: rig.forwarder.progress.live == 1)
    rig.journal.close()


def test_after_a_day_offline_live_readings_come_first_and_all_arrives_once(
    mosquitto: Mosquitto, tmp_path: Path
):
    rig = EdgeRig(tmp_path, mosquitto.port, {"catch_up_readings_per_s": 20_000})
    mosquitto.stop()
    with rig.forwarding() as forwarder:
        for hour in range(24):  # the clock is stepped: a day passes in a second
            at = rig.now = NOW - timedelta(hours=24 - hour)
            rig.journal.append(rows(2500 * hour, 2500, at)).result(5)
        backlog = 60_000
        rig.now = NOW
        until(lambda: forwarder.status.last_error)
        mosquitto.start()
        with upper(mosquitto, tmp_path) as (desk, _):
            until(lambda: forwarder.status.connected)
            rig.journal.append(rows(backlog, 20)).result(5)
            until(lambda: float(backlog) in numbers(desk), 3, "the live readings to arrive")
            assert len(numbers(desk)) < backlog, "the backlog must still be draining"
            until(lambda: not forwarder.progress.pending(rig.journal.last()), 20)
            until(lambda: len(set(numbers(desk))) == backlog + 20)
            assert len(numbers(desk)) == backlog + 20, "nothing twice while nothing broke"
    assert rig.forwarded("backlog") == backlog
    rig.journal.close()


def test_the_broker_restarts_and_the_forwarder_is_replaced_and_no_reading_changes(
    rig: EdgeRig, mosquitto: Mosquitto, tmp_path: Path
):
    with upper(mosquitto, tmp_path) as (desk, reader):
        for turn in range(3):
            with rig.forwarding() as forwarder:
                for n in range(20):
                    rig.journal.append(rows(1000 * turn + 50 * n, 50)).result(5)
                if turn == 1:
                    mosquitto.stop()
                    mosquitto.start()
                    until(lambda: reader.status().connected)
                until(lambda f=forwarder: not f.progress.pending(rig.journal.last()), 20)
            rig.forwarder = rig.fresh()  # reads the saved cursor
            assert not rig.forwarder.progress.pending(rig.journal.last())
        wanted = {float(n) for n in range(3000)}
        until(lambda: set(numbers(desk)) == wanted)
        frame = desk.journal.read(0, 10**6).frame
        assert frame.unique().height == 3000  # sent twice or not: each is the same in every column


def test_a_damaged_cursor_and_another_journal_cost_repetition_not_readings(rig: EdgeRig):
    cursor = rig.folder / "edge.cursor"
    rig.journal.append(rows(0, 5)).result(5)
    cursor.write_text('{"live": 1, "holes": []}')
    assert rig.fresh().progress.live == 1
    cursor.write_text('{"live": 7, "holes": []}')
    assert rig.fresh().progress.live == 0
    cursor.write_text("{")
    assert rig.fresh().progress.live == 0
    assert cursor.with_suffix(".damaged").exists()
