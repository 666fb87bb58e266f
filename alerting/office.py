"""The alerting office: takes frames from the engine, judges them, records what it finds."""

import threading
from collections.abc import Callable, Iterable, Sequence

import polars as pl
import structlog

from alerting.late import late_breaches
from alerting.ledger import Ledger
from alerting.lifecycle import Advance, Transition, advance
from alerting.notices import Place, event
from alerting.rules import Compiled
from alerting.subjects import Subject
from collector.site import Site

Log = structlog.stdlib.BoundLogger


class Alerting:
    """Holds the state of every rule. Thread-safe: frames of one kind are judged one at a time."""

    def __init__(
        self,
        rules: Sequence[Compiled],
        ledger: Ledger,
        sites: Iterable[Site] = (),
        on_notices: Callable[[], None] = lambda: None,
    ) -> None:
        """Take up the states where the ledger left them.

        Args:
            rules: what to judge by.
            ledger: where findings go.
            sites: names and time zones for the texts.
            on_notices: called after notices were queued, e.g. `Courier.wake`.
        """
        self._rules = tuple(rules)
        self._ledger = ledger
        self._places = {site.id: Place.of(site) for site in sites}
        self._on_notices = on_notices
        self._states = {one.rule.id: ledger.states(one.rule.id) for one in rules}
        self._lock = threading.Lock()
        self._log: Log = structlog.get_logger("alerting")

    def observe(self, kind: str, frame: pl.DataFrame) -> list[str]:
        """Judge rows of one kind of subject (columns: alerting.subjects.columns).

        If the ledger cannot store, it raises and the state stays: the same rows can be told again.

        Returns:
            Ids of the alerts that fired or resolved.

        Raises:
            ValueError: there is no such kind of subject.
            sqlite3.Error: the ledger could not store.
            polars.exceptions.PolarsError: a column has another type.
        """
        subject = Subject(kind)
        told: list[str] = []
        with self._lock:
            for rule in self._rules:
                if rule.rule.on is subject and frame.height:
                    told += self._judge(rule, frame)
        if told:
            self._on_notices()
        return told

    def _judge(self, rule: Compiled, frame: pl.DataFrame) -> list[str]:
        name = rule.rule.id
        found: Advance = advance(self._states[name], rule, frame)
        transitions = [*self._late(rule, frame), *found.transitions]
        told: list[str] = []
        if transitions or found.changed.height:
            events = [event(rule.rule, one, self._place(one)) for one in transitions]
            told = self._ledger.record(name, events, found.changed)
        self._states[name] = found.state
        for one in transitions:
            self._log.info(f"alert {one.change}", rule=name, subject=one.subject_id, at=one.at)
        return told

    def _late(self, rule: Compiled, frame: pl.DataFrame) -> list[Transition]:
        """Return breaches in late rows that no alert tells of yet."""
        name = rule.rule.id
        return [
            one
            for pair in late_breaches(self._states[name], rule, frame)
            if not self._ledger.tells_of(name, pair[0].subject_id, pair[0].since, pair[1].at)
            for one in pair
        ]

    def _place(self, transition: Transition) -> Place:
        site = transition.site_id
        return self._places.get(site) or Place(site, site, "UTC")
