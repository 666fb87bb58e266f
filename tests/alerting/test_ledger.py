"""The ledger: one transaction, one chain, nothing twice, nothing unsaid."""

import sqlite3
from datetime import timedelta

import polars as pl
import pytest
from alerting_rows import RULE, T0, block

from alerting.acts import Act
from alerting.ledger import Ledger, LedgerError
from alerting.office import Alerting

QUARTER = timedelta(minutes=15)


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.db", lambda: T0)
    yield made
    made.close()


def test_a_fired_alert_is_stored_with_its_values_texts_act_and_notice(ledger):
    (alert_id,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    alert = ledger.alert(alert_id)
    assert alert.facts["state"] == "firing"
    assert alert.facts["fired_at"] == T0 + timedelta(minutes=15)
    assert alert.facts["text_zh"] == "a 2026-11-23 02:15 需量 120.0 kW"
    assert alert.facts["text_en"] == "— 120.0"
    assert [link.act for link in alert.links] == [Act.FIRED, Act.NOTIFIED]
    assert [one.alert_id for one in ledger.outbox.waiting("hook")] == [alert_id]
    assert ledger.verify_chain() == ""


def test_it_resolves_and_a_replay_after_a_restart_changes_nothing(tmp_path, ledger):
    frames = [block(0, 120.0), block(1, 130.0), block(2, 90.0)]
    office = Alerting([RULE], ledger)
    for one in frames:
        office.observe("site_interval", one)
    before = ledger.head()
    assert ledger.alerts()["state"].to_list() == ["resolved"]
    again = Alerting([RULE], ledger)
    for one in frames:
        assert again.observe("site_interval", one) == []
    assert ledger.head() == before


def test_a_firing_alert_survives_a_restart_and_resolves_once(ledger):
    (first,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    later = Alerting([RULE], ledger)
    assert later.observe("site_interval", block(1, 130.0)) == []
    assert later.observe("site_interval", block(2, 90.0)) == [first]


def test_a_breach_that_becomes_known_late_is_told_once_and_disturbs_nothing(ledger):
    office = Alerting([RULE], ledger)
    for n in (0, 1, 2, 9):
        office.observe("site_interval", block(n, 50.0))
    late = pl.concat([block(1, 120.0), block(2, 130.0), block(4, None), block(5, 120.0)])
    assert len(office.observe("site_interval", late)) == 4
    alerts = ledger.alerts()
    assert alerts["state"].to_list() == ["resolved", "resolved"]
    first = alerts.row(1, named=True)
    assert (first["since"], first["resolved_at"]) == (T0 + 1 * QUARTER, T0 + 3 * QUARTER)
    assert office.observe("site_interval", late) == []
    assert office.observe("site_interval", block(1, 140.0)) == []
    assert len(office.observe("site_interval", block(10, 120.0))) == 1
    assert office.observe("site_interval", block(9, 50.0)) == []


def test_late_rows_of_an_alert_that_is_firing_are_part_of_it(ledger):
    office = Alerting([RULE], ledger)
    for n in (0, 1, 2):
        office.observe("site_interval", block(n, 120.0))
    assert office.observe("site_interval", block(1, 150.0)) == []
    assert ledger.alerts()["state"].to_list() == ["firing"]


def test_when_the_ledger_cannot_store_the_state_waits_and_the_rows_can_be_told_again(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db", lambda: T0)
    office = Alerting([RULE], ledger)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON states "
                      "BEGIN SELECT RAISE(ABORT, 'disk full'); END")  # fmt: skip
    with pytest.raises(sqlite3.Error, match="disk full"):
        office.observe("site_interval", block(0, 120.0))
    assert ledger.alerts().is_empty()
    assert ledger.outbox.waiting("hook") == []
    other.execute("DROP TRIGGER full")
    other.close()
    assert len(office.observe("site_interval", block(0, 120.0))) == 1
    ledger.close()


def test_people_handle_alerts_and_every_act_names_them(ledger):
    (alert_id,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    ledger.acknowledge(alert_id, "Li Wei")
    ledger.dispute(alert_id, "Factory A", "CT ratio was changed")
    ledger.settle(alert_id, "Inspector", accepted=False, reason="certificate says 200/5")
    ledger.close_alert(alert_id, "Li Wei", "fined")
    timeline = ledger.timeline(alert_id)
    assert timeline["act"].to_list()[2:] == [
        "acknowledged", "disputed", "dispute_rejected", "closed",
    ]  # fmt: skip
    assert timeline["actor"].to_list()[3] == "Factory A"
    assert ledger.alerts(handling="closed")["note"].to_list() == ["fined"]
    assert ledger.verify_chain() == ""


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda led, one: led.acknowledge("nobody", "Li"), "there is no alert"),
        (lambda led, one: led.acknowledge(one, " "), "name of who"),
        (lambda led, one: led.dispute(one, "Li", ""), "needs a reason"),
        (lambda led, one: led.settle(one, "Li", accepted=True, reason="x"), "is open"),
    ],
)
def test_an_act_that_does_not_fit_is_refused_with_the_reason(ledger, act, says):
    (alert_id,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    before = ledger.head()
    with pytest.raises(LedgerError, match=says):
        act(ledger, alert_id)
    assert ledger.head() == before


def test_acts_cannot_be_changed_and_a_change_behind_the_ledger_is_found(tmp_path, ledger):
    (alert_id,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    ledger.acknowledge(alert_id, "Li Wei")
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        with pytest.raises(sqlite3.Error, match="never changed"):
            other.execute("UPDATE acts SET actor = 'Wang' WHERE act = 'acknowledged'")
        with pytest.raises(sqlite3.Error, match="never removed"):
            other.execute("DELETE FROM acts")
        other.execute("DROP TRIGGER acts_never_change")
        other.execute("UPDATE acts SET actor = 'Wang' WHERE act = 'acknowledged'")
    other.close()
    assert ledger.verify_chain() == "act 3 was changed after it was recorded"


def test_an_alert_row_changed_behind_the_ledger_is_found(tmp_path, ledger):
    (alert_id,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("UPDATE alerts SET site_id = 'b'")
    other.close()
    assert alert_id in ledger.verify_chain()


def test_two_processes_share_one_chain(tmp_path, ledger):
    (alert_id,) = Alerting([RULE], ledger).observe("site_interval", block(0, 120.0))
    second = Ledger(tmp_path / "ledger.db", lambda: T0)
    second.acknowledge(alert_id, "Li Wei")
    ledger.exported(alert_id, "Inspector", "00")
    assert second.verify_chain() == ""
    assert second.head() == ledger.head()
    second.close()


def test_alerts_are_found_by_time_site_and_state(ledger):
    office = Alerting([RULE], ledger)
    office.observe("site_interval", pl.concat([block(0, 120.0, "a"), block(4, 120.0, "b")]))
    assert ledger.alerts()["site_id"].to_list() == ["b", "a"]
    assert ledger.alerts(until=T0 + timedelta(hours=1))["site_id"].to_list() == ["a"]
    assert ledger.alerts(sites=["b"], state="firing").height == 1
    assert ledger.alerts(sites=[]).is_empty()
