"""Looks of a running system: what is open keeps its beginning; rules are told of both ends."""

from datetime import timedelta

import polars as pl
from anomaly_world import START, a_site, normal, readings
from policy_rows import REPO

from alerting.ledger import Ledger
from alerting.office import Alerting
from alerting.rules import load_rules
from collector.clock import Clock
from processors.anomaly_keeper import AnomalyKeeper
from processors.book import Book
from processors.history.store import History
from processors.interval import empty
from processors.policy.load import load_packs
from processors.settings import ProcessorsSettings

SETTINGS = ProcessorsSettings.model_validate({"anomalies": {"look_back_hours": 1}})


class Bureau:
    """History of one meter, its keeper and the rules of the example, at a clock that is set."""

    def __init__(self, folder):
        self.now, self.seq, self.folder = START, 0, folder
        self.told = []
        self.history = History(folder / "history", lambda: self.now, Book.of([a_site()]))
        self.ledger = Ledger(folder / "ledger.db", lambda: self.now)
        rules = load_rules(REPO / "config" / "example" / "rules", ["operations", "site-managers"])
        mine = [one for one in rules.rules if one.rule.on == "anomaly"]
        self.office = Alerting(mine, self.ledger)
        self.restart()

    def restart(self):
        packs, _ = load_packs(REPO / "config" / "policy")
        clock = Clock(epoch=START, monotonic=self.seconds)
        self.keeper = AnomalyKeeper(
            self.history, [a_site()], packs, SETTINGS, clock, self.folder / "a.arrow", self._tell
        )

    def seconds(self):
        return (self.now - START).total_seconds()

    def _tell(self, rows):
        self.told.append(rows)
        self.office.observe("anomaly", rows)

    def bring(self, first, last, **over):
        """Readings of minutes [first, last), then a look."""
        self.seq += 1
        rows = readings([normal(n, **over) for n in range(first, last)])
        self.history.add(self.seq, rows, empty())
        self.now = START + timedelta(minutes=last)
        self.keeper.look()

    def open(self):
        rows = self.keeper.anomalies().filter(pl.col("until").is_null())
        return rows.select("kind", "since", "since_is_bound").rows()

    def alerts(self):
        return self.ledger.alerts().select("subject_id", "resolved_at").rows()


def minute(n):
    return START + timedelta(minutes=n)


def test_an_open_anomaly_keeps_its_beginning_over_looks_silence_and_restarts(tmp_path):
    bureau = Bureau(tmp_path)
    bureau.bring(0, 10)
    assert bureau.open() == []
    bureau.bring(10, 40, power_kw=-9.0)
    begun = ("reverse_power", minute(10), False)
    assert bureau.open() == [begun]
    bureau.bring(40, 400, power_kw=-9.0)  # a look covers an hour, and two before for registers
    assert bureau.open() == [begun]
    bureau.restart()
    bureau.bring(400, 410, power_kw=-9.0)
    assert bureau.open() == [begun]
    bureau.now = minute(2000)  # nothing was heard for a day
    bureau.keeper.look()
    assert bureau.open() == [begun]
    bureau.bring(2000, 2010)
    assert bureau.open() == []


def test_a_rule_fires_once_and_resolves_when_the_anomaly_ends(tmp_path):
    bureau = Bureau(tmp_path)
    bureau.bring(0, 20, power_kw=-9.0)
    bureau.bring(20, 40, power_kw=-9.0)
    (fired,) = bureau.alerts()
    assert fired == ("m:reverse_power", None)
    bureau.bring(40, 60)
    ended = bureau.told[-1].row(0, named=True)
    assert (ended["active"], ended["ended_at"], ended["standing"]) == (False, minute(40), "clue")
    assert bureau.alerts() == [("m:reverse_power", minute(60))]
    bureau.bring(60, 80)
    assert bureau.told[-1].is_empty()
    assert bureau.keeper.sought().filter(kind="reverse_power")["reason"].to_list() == [None]
