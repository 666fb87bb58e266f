"""The journal's bounds at the edge: told in hours, warned of in time, and by choice what goes."""

from datetime import timedelta
from pathlib import Path

import pytest
from services_edge import NOW, EdgeRig, rows
from structlog.testing import capture_logs

from collector.capacity import Fill, Inflow, Room, fill, limit_of
from collector.journal import JournalError
from collector.keeper import Keeper
from collector.progress import Progress


def keeper_of(rig: EdgeRig) -> Keeper:
    return Keeper(rig.settings, rig.journal, rig.forwarder, rig.folder, rig.metrics,
                  lambda: rig.now)  # fmt: skip


def rig_of(folder: Path, **wish: object) -> EdgeRig:
    return EdgeRig(folder, 1, {"capacity_hours": 10, **wish})  # nobody listens on port 1


def hour(rig: EdgeRig, number: int) -> None:
    """One hour passes, and 100 readings are journalled at its end."""
    rig.now = NOW + timedelta(hours=number)
    rig.journal.append(rows(100 * number, 100, rig.now)).result(5)


def test_hours_left_are_those_of_the_disk_or_of_the_settings_whichever_ends_first():
    room = Room(used_bytes=200, limit_bytes=1000, held_hours=2, capacity_hours=72)
    assert fill(room, 100.0) == Fill(0.2, 2, 8.0, 10.0)
    assert fill(room, 1.0) == Fill(0.2, 2, 70.0, 72.0)
    assert fill(room, 0.0).hours_left == 70.0
    assert fill(room, None).hours_left is None
    assert fill(Room(990, 1000, 80, 72), 5.0).level == 100
    assert [Fill(x, 0, None, None).level for x in (0.49, 0.5, 0.8, 0.95, 1.0)] == [
        0,
        50,
        80,
        95,
        100,
    ]


def test_the_limit_is_the_disk_s_where_that_is_smaller_and_leaves_a_reserve():
    assert limit_of(10**9, 0, 0, 10**11, 10**12) == 10**9
    assert limit_of(10**9, 10**8, 10**7, 3 * 10**8, 10**12) == 346_000_000
    assert limit_of(10**9, 10, 0, 0, 10**12) == 1


def test_the_inflow_is_that_of_the_last_hour_and_survives_a_clock_set_back():
    inflow = Inflow()
    assert inflow.note(NOW, 0) is None
    assert inflow.note(NOW + timedelta(minutes=30), 500) == 1000.0
    assert inflow.note(NOW + timedelta(minutes=90), 1000) == 500.0
    assert inflow.note(NOW, 1000) is None


def test_thingsboard_gateway_959_the_operator_is_warned_at_50_80_and_95_percent(tmp_path: Path):
    rig = rig_of(tmp_path)
    keeper = keeper_of(rig)
    rig.journal.append(rows(0, 10, NOW)).result(5)
    told = []
    with capture_logs() as logs:
        for minutes in range(0, 600, 10):
            rig.now = NOW + timedelta(minutes=minutes)
            keeper.look()
            told.append(keeper.fill.hours_left)
        rig.forwarder.progress = Progress(live=1)
        keeper.look()
    found = [(one["event"], one.get("level")) for one in logs]
    assert found == [("journal_fills", 50), ("journal_fills", 80), ("journal_fills", 95),
                     ("journal_has_room_again", 0)]  # fmt: skip
    assert told[30] == pytest.approx(5.0)
    assert rig.metrics.value("demandwatch_edge_journal_level") == 0
    rig.journal.close()


def test_keep_newest_gives_up_the_oldest_and_notes_meters_span_and_cause(tmp_path: Path):
    rig = rig_of(tmp_path, when_full="keep_newest")
    keeper = keeper_of(rig)
    for number in range(14):
        hour(rig, number)
        keeper.look()
    kept = rig.journal.read(0, 10**6).frame
    assert kept["measured_at"].min() > rig.now - timedelta(hours=10)
    lost = rig.journal.lost()
    assert lost["readings"].sum() + kept.height == 1400
    assert rig.metrics.value("demandwatch_edge_lost_readings_total") == lost["readings"].sum()
    assert set(lost["meter_id"]) == {f"m{n}" for n in range(20)}
    assert lost["last_measured_at"].max() < kept["measured_at"].min()
    assert lost["cause"].unique().to_list() == ["journal full at the edge"]
    rig.journal.append(rows(9000, 5, rig.now)).result(5)  # nobody was refused
    rig.journal.close()


def test_keep_oldest_refuses_the_sources_until_the_upper_side_has_taken_some(tmp_path: Path):
    rig = rig_of(tmp_path, when_full="keep_oldest")
    keeper = keeper_of(rig)
    for number in range(10):
        hour(rig, number)
        keeper.look()
    rig.now = NOW + timedelta(hours=10)
    keeper.look()
    with pytest.raises(JournalError, match="full"):
        rig.journal.append(rows(9000, 5, rig.now)).result(5)
    assert rig.journal.lost().is_empty()
    rig.forwarder.progress = Progress(live=3)
    keeper.look()
    rig.journal.append(rows(9000, 5, rig.now)).result(5)
    assert rig.journal.read(0, 10**6).frame.height == 705
    rig.journal.close()


def test_bytes_bound_the_journal_as_hours_do(tmp_path: Path):
    rig = rig_of(tmp_path, capacity_mb=1, capacity_hours=1000)
    keeper = keeper_of(rig)
    for number in range(40):
        rig.now = NOW + timedelta(seconds=15 * number)
        rig.journal.append(rows(2000 * number, 2000, rig.now)).result(5)
        keeper.look()
    assert rig.journal.usage().used <= 1_000_000
    kept = rig.journal.read(0, 10**6).frame
    assert rig.journal.lost()["readings"].sum() + kept.height == 80_000
    assert kept["energy_import_kwh"].max() == 79_999.0
    assert keeper.fill.hours_left is not None
    assert keeper.fill.hours_in_all < 1
    rig.journal.close()


def test_what_is_upstream_is_forgotten_also_behind_a_hole(tmp_path: Path):
    rig = rig_of(tmp_path)
    keeper = keeper_of(rig)
    for number in range(6):
        hour(rig, number)
    rig.forwarder.progress = Progress(live=2).jump(4).forwarded(4, 6)
    keeper.look()
    left = rig.journal.read(0, 10**6).frame["energy_import_kwh"].to_list()
    assert left == [float(n) for n in range(200, 400)]
    assert keeper.fill.held_hours == pytest.approx(3.0)
    rig.journal.close()
