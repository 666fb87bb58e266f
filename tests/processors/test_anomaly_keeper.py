"""Looks of a running system: what rules are told, what late data change, what a disk may do."""

from datetime import timedelta

import polars as pl
import pytest
from anomaly_world import START, a_site, normal, readings
from policy_rows import REPO

from alerting.ledger import Ledger
from alerting.office import Alerting
from alerting.rules import Compiled, Rule, load_rules
from collector.clock import Clock
from collector.journal import Journal
from collector.metrics import Metrics
from processors.anomaly_arrivals import Arrivals
from processors.anomaly_keeper import AnomalyKeeper
from processors.book import Book
from processors.engine import Engine
from processors.history.store import History
from processors.policy.load import load_packs
from processors.settings import ProcessorsSettings

SETTINGS = ProcessorsSettings.model_validate({"anomalies": {"look_back_hours": 1}})
FELL = {
    "id": "fell", "on": "anomaly", "when": "kind = 'register_decrease'",
    "text": {"zh": "线索 {meter_id}", "en": "Clue {meter_id}"},
}  # fmt: skip


class Bureau:
    """Journal, engine and history of one meter, its keeper and rules, at a clock that is set."""

    def __init__(self, folder):
        self.now, self.folder, self.told = START, folder, []
        book, clock = Book.of([a_site()]), Clock(epoch=START, monotonic=self.seconds)
        self.journal = Journal(folder / "journal.db", lambda: self.now)
        self.history = History(folder / "history", lambda: self.now, book)
        self.engine = Engine(
            self.journal, self.history, book, clock, folder / "snapshot", Metrics()
        )
        self.ledger = Ledger(folder / "ledger.db", lambda: self.now)
        rules = load_rules(REPO / "config" / "example" / "rules", ["operations", "site-managers"])
        mine = [one for one in rules.rules if one.rule.on == "anomaly"]
        fell = Compiled.of(Rule.model_validate(FELL))
        self.office = Alerting([*mine, fell], self.ledger)
        self.clock = clock
        self.restart()

    def restart(self):
        packs, _ = load_packs(REPO / "config" / "policy")
        late = Arrivals(self.journal, self.history, lambda: self.engine.cursor)
        self.keeper = AnomalyKeeper(
            self.history,
            late,
            [a_site()],
            packs,
            SETTINGS,
            self.clock,
            self.folder / "a",
            self._tell,
        )

    def seconds(self):
        return (self.now - START).total_seconds()

    def _tell(self, rows):
        self.told.append(rows)
        self.office.observe("anomaly", rows)

    def bring(self, first, last, at=None, **over):
        """Readings of minutes [first, last), known at once, or at a minute; then a look."""
        told = [normal(n, **over) for n in range(first, last)]
        self.journal.append(readings(told)).result()
        self.engine.pass_once()
        self.look(last if at is None else at)

    def look(self, at):
        self.now = START + timedelta(minutes=at)
        self.keeper.look()

    def open(self):
        rows = self.keeper.anomalies().filter(pl.col("until").is_null())
        return rows.select("kind", "since", "since_is_bound").rows()

    def ended(self):
        rows = self.keeper.anomalies().filter(pl.col("until").is_not_null())
        return rows.select("kind", "since", "until", "samples").rows()

    def alerts(self):
        return self.ledger.alerts().select("subject_id", "resolved_at").rows()

    def close(self):
        self.journal.close()
        self.ledger.close()


@pytest.fixture
def bureau(tmp_path):
    made = Bureau(tmp_path)
    yield made
    made.close()


def minute(n):
    return START + timedelta(minutes=n)


def test_an_open_anomaly_keeps_its_beginning_over_looks_silence_and_restarts(bureau):
    bureau.bring(0, 10)
    assert bureau.open() == []
    bureau.bring(10, 40, power_kw=-9.0)
    begun = ("reverse_power", minute(10), False)
    assert bureau.open() == [begun]
    bureau.bring(40, 400, power_kw=-9.0)
    assert bureau.open() == [begun]
    bureau.restart()
    bureau.bring(400, 410, power_kw=-9.0)
    assert bureau.open() == [begun]
    assert bureau.keeper.anomalies()["samples"].to_list() == [400]
    bureau.look(2000)  # nothing was heard for a day
    assert bureau.open() == [begun]
    bureau.bring(2000, 2010)
    assert bureau.open() == []
    assert bureau.ended() == [("reverse_power", minute(10), minute(409), 400)]
    bureau.restart()
    assert bureau.ended() == [("reverse_power", minute(10), minute(409), 400)]


def test_a_rule_fires_once_and_resolves_when_the_anomaly_ends(bureau):
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


def test_what_began_and_ended_between_two_looks_is_told_until_the_next_one(bureau):
    bureau.bring(0, 20)
    bureau.bring(20, 40, energy_import_kwh=400.0)
    bureau.restart()
    assert bureau.alerts() == [("m:register_decrease", None)]
    bureau.bring(40, 60, energy_import_kwh=400.0)
    assert bureau.alerts() == [("m:register_decrease", minute(60))]
    bureau.bring(60, 80, energy_import_kwh=400.0)
    assert bureau.told[-1].is_empty()


def test_a_register_that_falls_over_days_of_silence_is_seen(bureau):
    bureau.bring(0, 30)
    for n in range(1, 10):
        bureau.look(30 + 390 * n)
    bureau.bring(3600, 3610, energy_import_kwh=10.0)
    assert ("register_decrease", minute(3600), minute(3601), 1) in bureau.ended()


def test_data_that_come_a_day_late_are_looked_at_after_a_restart_too(bureau):
    bureau.bring(0, 10)
    bureau.bring(400, 600)
    for n in range(1, 8):
        bureau.look(600 + 300 * n)
    assert bureau.ended() == []
    bureau.restart()
    bureau.bring(10, 60, at=3000, voltage_b_v=100.0)
    kinds = {one[:3] for one in bureau.ended()}
    assert ("undervoltage", minute(10), minute(59)) in kinds
    bureau.bring(200, 210, at=3060, voltage_b_v=100.0)
    assert ("undervoltage", minute(200), minute(209)) in {one[:3] for one in bureau.ended()}
    before = bureau.keeper.anomalies()
    bureau.look(3120)
    assert bureau.keeper.anomalies().equals(before)


def test_a_journal_that_was_trimmed_meanwhile_is_told(bureau, capsys):
    bureau.bring(0, 10)
    late = Arrivals(bureau.journal, bureau.history, lambda: bureau.engine.cursor)
    mark = late.mark(bureau.now)
    for first in (10, 20):
        bureau.bring(first, first + 10)
        bureau.journal.trim(bureau.engine.cursor, bureau.now + timedelta(days=999))
    found, mark = late.since(mark, minute(15))
    assert "were not looked for while the journal was trimmed" in capsys.readouterr().out
    assert (found.height, mark.seq) == (0, bureau.engine.cursor)
    bureau.bring(30, 40)
    found, _ = late.since(mark, minute(35))
    assert found.rows() == [("m", minute(15))]  # the block that these readings closed


@pytest.mark.parametrize("damage", ["state", "points"])
def test_a_damaged_file_is_told_and_looking_begins_anew(bureau, damage, capsys):
    bureau.bring(0, 300, power_kw=-9.0)
    bureau.look(3000)
    folder = bureau.folder / "a"
    for path in folder.rglob("*.arrow"):
        if path.stem == "state" if damage == "state" else path.stem != "state":
            path.write_bytes(path.read_bytes()[:100])
    bureau.restart()
    bureau.bring(100, 101, at=3010, power_kw=-8.0)
    assert "damaged or of another version" in capsys.readouterr().out
    bureau.bring(3010, 3020, power_kw=-9.0)
    assert [kind for kind, *_ in bureau.open()] == ["reverse_power"]


def test_ended_anomalies_and_points_are_forgotten_after_the_days_kept(bureau):
    bureau.bring(0, 30, power_kw=-9.0)
    bureau.bring(30, 60)
    day = 24 * 60
    points = bureau.folder / "a" / "points"
    bureau.look(35 * day)
    assert len(list(points.iterdir())) == 36
    bureau.look(40 * day)
    assert len(list(points.iterdir())) == 36
    bureau.look(100 * day)
    assert len(bureau.ended()) == 1
    bureau.look(101 * day)
    assert bureau.ended() == []
