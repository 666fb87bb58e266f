"""Looks for metering anomalies now and then beside the engine, as one look at all of it would.

A look settles what lies `look_back_hours` back and goes on from there the next time; what is newer
it looks at again each time, for data are late. What comes later still takes the sites it concerns
back to the last midnight before it. So what is known is what one look over all of the time finds.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Protocol

import polars as pl
import structlog

from collector.anomaly_limits import AnomalyLimits, Kind
from collector.clock import Clock
from collector.site import Site
from processors.anomalies import Found, within
from processors.anomalies_month import suspects
from processors.anomaly import ANOMALY, SOUGHT, Bound, bounds
from processors.anomaly_arrivals import Mark
from processors.anomaly_carry import Carry, joined
from processors.anomaly_facts import NO_ENERGY
from processors.anomaly_look import Look, Past, months, names, span
from processors.anomaly_state import ENDED, PointError, Points, State, load, next_point, save
from processors.anomaly_told import active, told
from processors.policy.load import Packs
from processors.settings import ProcessorsSettings

_IDLE_S = 0.2
_LEAST_WAIT_S = 5.0
"""Real seconds between looks, however fast the site's clock is."""
_TICK = timedelta(microseconds=1)


class Late(Protocol):
    """What tells of late data: `anomaly_arrivals.Arrivals`."""

    def mark(self, computed_at: datetime) -> Mark:
        """Return the mark of this moment."""

    def since(self, mark: Mark, before: datetime) -> tuple[pl.DataFrame, Mark]:
        """Return LATE rows of what came since, and the mark of this moment."""


class AnomalyKeeper:
    """The anomalies of a running system. `run` in a thread of its own; the rest from any."""

    def __init__(
        self,
        past: Past,
        late: Late,
        sites: Sequence[Site],
        packs: Packs,
        settings: ProcessorsSettings,
        clock: Clock,
        folder: Path,
        tell: Callable[[pl.DataFrame], object] = lambda _: None,
    ) -> None:
        """Take up what was known.

        Args:
            past: history.
            late: tells what came late.
            sites: all sites.
            packs: the policy folder.
            settings: thresholds and pace.
            clock: site time.
            folder: keeps the state.
            tell: gets the rows of `anomaly_told.told` after each look.
        """
        self._past, self._late, self._sites, self._packs = past, late, tuple(sites), packs
        self._settings, self._clock, self._tell = settings, clock, tell
        self._path, self._points = folder / "state.arrow", Points(folder / "points")
        self._lock, self._stop = threading.Lock(), Event()
        self._state = load(self._path)

    def anomalies(self) -> pl.DataFrame:
        """Return what is known, schema ANOMALY."""
        with self._lock:
            return self._state.known if self._state else pl.DataFrame(schema=ANOMALY)

    def sought(self) -> pl.DataFrame:
        """Return what the last look looked for, schema SOUGHT."""
        with self._lock:
            return self._state.sought if self._state else pl.DataFrame(schema=SOUGHT)

    def run(self, stop: Event, ready: Event) -> None:
        """Look at the pace of the settings, once what waited in the journal is processed."""
        every = self._settings.anomalies.every_s
        if not every:
            return
        self._stop = stop
        while not stop.is_set() and not ready.wait(_IDLE_S):
            pass
        while not stop.is_set():
            self.look()
            stop.wait(max(self._clock.wall_seconds(every), _LEAST_WAIT_S))

    def look(self) -> None:
        """Look once.

        Raises:
            OSError: what is known cannot be written; the next look does it again.
        """
        now, settings = self._clock.now(), self._settings.anomalies
        settled = (now - timedelta(hours=settings.look_back_hours)).replace(
            minute=0, second=0, microsecond=0
        )
        before = self._state or self._begin(settled)
        try:
            state = self._again(before, now)
        except PointError:
            structlog.get_logger().exception("anomalies are looked for as on the first start")
            before = state = self._begin(settled)
        state = self._onward(state, settled, now)
        if self._stop.is_set():
            return
        found = self._look(self._sites, state.at, now, state.carry, now)
        oldest = now - timedelta(days=settings.keep_days)
        ended = state.ended.filter(pl.col("until") >= oldest)
        episodes = within(pl.concat([ended.drop("decided"), found.anomalies]), state.since, now)
        known = pl.concat([episodes, self._suspects(episodes, oldest, now)])
        told_now = active(before.known, known)
        state = replace(state, ended=ended, known=known, active=told_now, sought=found.sought)
        self._tell(told(before.active, told_now, known, now))
        save(self._path, state)
        self._points.forget(now - timedelta(days=settings.look_again_days))
        with self._lock:
            self._state = state

    def _begin(self, at: datetime) -> State:
        self._points.clear()
        self._points.put(at, None)
        return State.beginning(at, self._late.mark(at))

    def _onward(self, state: State, until: datetime, now: datetime) -> State:
        """Settle what lies before `until`, a day at a time."""
        while state.at < until and not self._stop.is_set():
            to = min(until, next_point(state.at))
            carry, ended = self._span(self._sites, state.at, to, state.carry, now)
            if to == next_point(state.at):
                self._points.put(to, carry)
            state = replace(state, at=to, carry=carry, ended=pl.concat([state.ended, ended]))
        return state

    def _again(self, state: State, now: datetime) -> State:
        """Look again where late data make it necessary."""
        late, mark = self._late.since(state.mark, state.at)
        firsts = dict(late.iter_rows())
        back: dict[datetime, list[Site]] = {}
        for site in self._sites:
            looked = [one.id for one in site.meters if one.role not in NO_ENERGY]
            mine = [firsts[one] for one in looked if one in firsts]
            point = self._points.before(min(mine)) if mine else None
            if point is not None and point < state.at:
                back.setdefault(point, []).append(site)
        for point, sites in back.items():
            state = self._replay(state, point, sites, now)
        return replace(state, mark=mark)

    def _replay(self, state: State, point: datetime, sites: list[Site], now: datetime) -> State:
        """Look at some sites again from a point on, up to where it is settled."""
        mine, at = names(sites), point
        found = self._points.get(at)
        carry = found.of(mine) if found else None
        ids = pl.col("site_id").is_in([one.id for one in sites])
        parts = [state.ended.filter(~ids | (pl.col("decided") <= point))]
        while at < state.at:
            if self._stop.is_set():
                return state
            to = min(state.at, next_point(at))
            carry, ended = self._span(sites, at, to, carry, now)
            parts.append(ended)
            if to == next_point(at):
                self._points.replace(to, carry, mine)
            at = to
        if state.carry is None or carry is None:
            return state
        whole = joined([state.carry.of(mine, others=True), carry])
        return replace(state, carry=whole, ended=pl.concat(parts))

    def _span(
        self, sites: Sequence[Site], at: datetime, to: datetime, carry: Carry | None, now: datetime
    ) -> tuple[Carry, pl.DataFrame]:
        """Return what is known at `to`, and what ended on the way (schema ENDED)."""
        found = self._look(sites, at, to + _TICK, carry, now, sought=False)
        ended = found.anomalies.filter(pl.col("until").is_not_null())
        kept = ended.with_columns(pl.lit(to, ENDED["decided"]).alias("decided"))
        return found.carry, kept

    def _suspects(self, episodes: pl.DataFrame, oldest: datetime, now: datetime) -> pl.DataFrame:
        """Return what losses of months come to that are known whole."""
        found = suspects(episodes, months(self._sites, self._bounds(now)), now)
        return found.filter(pl.col("since").dt.offset_by("-1mo") >= oldest)

    def _look(
        self,
        sites: Sequence[Site],
        start: datetime,
        end: datetime,
        carry: Carry | None,
        now: datetime,
        *,
        sought: bool = True,
    ) -> Found:
        asked = Look(
            start=start,
            end=end,
            bounds=self._bounds(now),
            least_coverage=self._settings.indices.min_coverage,
            carry=carry,
            sought=sought,
        )
        return span(self._past, sites, asked)

    def _bounds(self, now: datetime) -> Callable[[AnomalyLimits], Mapping[Kind, Bound | str]]:
        settings = self._settings.anomalies
        return partial(bounds, self._packs.anomaly(settings.pack, now.date()), settings)
