"""Keeps an edge's journal within its bounds: forgets what is upstream, warns, and when full acts.

`keep_newest` gives up the oldest unforwarded readings, each with a note; `keep_oldest` refuses the
sources until there is room.
"""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import structlog

from collector.capacity import Fill, Inflow, Room, fill, limit_of
from collector.edgesettings import EdgeSettings
from collector.forward import Forwarder
from collector.journal import Journal, JournalError
from collector.metrics import Metrics

LOG = structlog.get_logger()
LOOK_EVERY_S = 1.0
RELEASE_SHARE = 0.97
"""Refused sources are let in again below it, so that they do not come and go."""
_CAUSE = "journal full at the edge"


class Keeper:
    """Runs in one thread; `fill` may be read from any."""

    def __init__(
        self,
        settings: EdgeSettings,
        journal: Journal,
        forwarder: Forwarder,
        folder: Path,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._settings, self._journal, self._forwarder = settings, journal, forwarder
        self._folder, self._now = folder, now
        self._inflow = Inflow()
        self._rate: float | None = None
        self._level = 0
        self._short, self._tidy = False, True
        self._full_since: datetime | None = None
        self._used = metrics.gauge("edge_journal_used_ratio", "Share of the journal in use, 0..1")
        self._left = metrics.gauge(
            "edge_journal_hours_left", "Hours until the journal is full if nothing were forwarded"
        )
        self._held = metrics.gauge(
            "edge_journal_held_hours", "Age in hours of the oldest reading not yet forwarded"
        )
        self._levels = metrics.gauge(
            "edge_journal_level", "Percent last passed, of 50, 80, 95, 100; 0 below"
        )
        self._given_up = metrics.counter(
            "edge_lost_readings", "Unforwarded readings given up for want of room"
        )
        self._left.set(float("nan"))
        self.fill = self._measure()

    def run(self, stop: Event) -> None:
        """Look after the journal until `stop`."""
        while not stop.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> None:
        """Forget, measure, warn and act, once."""
        self._rate = self._inflow.note(self._now(), self._journal.written_bytes)
        try:
            self._forget()
            self.fill = self._measure()
            if self.fill.share >= 1.0:
                self._full()
            self._tidy = True
        except JournalError as error:  # a full disk refuses deletions, too
            if self._tidy:
                LOG.warning("journal_not_tidied", error=str(error))
            self._tidy = False
        self._release()
        self._tell()

    def _forget(self) -> None:
        """Delete what the upper side has."""
        soon = self._now() + timedelta(days=1)
        for span in self._forwarder.progress.done():
            if self._journal.oldest(span.after, span.through) is not None:
                self._journal.trim(span.through, soon, span.after)

    def _measure(self) -> Fill:
        usage, disk = self._journal.usage(), shutil.disk_usage(self._folder)
        capacity = self._settings.capacity_mb * 1_000_000
        limit = limit_of(capacity, usage.used, usage.spare, disk.free, disk.total)
        now = self._now()
        waiting = self._forwarder.progress.pending(self._journal.last())
        oldest = next(
            filter(None, (self._journal.oldest(one.after, one.through) for one in waiting)), now
        )
        held = max((now - oldest) / timedelta(hours=1), 0.0)
        room = Room(usage.used, limit, held, self._settings.capacity_hours)
        return fill(room, self._rate)

    def _full(self) -> None:
        self._full_since = self._full_since or self._now()
        if self._settings.when_full == "keep_oldest":
            self._journal.hold("the journal is full, and set to keep the oldest readings")
            return
        while self.fill.share >= 1.0 and self._give_up(self._full_since):
            self.fill = self._measure()

    def _give_up(self, since: datetime) -> int:
        """Give up a few of the oldest readings nobody has; return how many."""
        for span in self._forwarder.planned.pending(self._journal.last()):
            count = self._journal.drop(span.after, span.through, since, _CAUSE)
            if count:
                self._given_up.inc(count)
                return count
        return 0

    def _release(self) -> None:
        if self.fill.share < RELEASE_SHARE:
            self._full_since = None
            self._journal.hold(None)

    def _tell(self) -> None:
        now = self.fill
        self._used.set(now.share)
        self._held.set(now.held_hours)
        self._levels.set(now.level)
        if now.hours_left is not None:
            self._left.set(now.hours_left)
        about = {
            "level": now.level,
            "percent": round(now.share * 100, 1),
            "hours_left": rounded(now.hours_left),
        }
        if now.level > self._level:
            LOG.warning("journal_fills", policy=self._settings.when_full, **about)
        elif now.level < self._level:
            LOG.info("journal_has_room_again", **about)
        self._level = now.level
        whole, wanted = now.hours_in_all, self._settings.capacity_hours
        short = whole is not None and whole < 0.95 * wanted
        if short and not self._short:
            LOG.warning("the journal cannot hold as long as set", set_hours=wanted,
                        holds_hours=rounded(whole))  # fmt: skip
        self._short = short


def rounded(hours: float | None) -> float | None:
    """Return hours as people read them."""
    return None if hours is None else round(hours, 1 if hours < 100 else 0)
