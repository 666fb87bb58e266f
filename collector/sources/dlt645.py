"""DL/T 645 source: polls the meters of every line and journals what they say.

One request at a time on a line; meters are staggered over their period, and one that does not
answer is left alone for a growing pause, so that it costs its own slot only. A poll counts, in
health and metrics, when its reading is safe in the journal.

The standard's broadcast (08H) sets clocks and is answered by nobody: a meter's time is read by
asking it for date and time. The offset found is recorded with the reading of the same poll, never
with another, and is good to half the exchange's duration.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import structlog

from collector.clock import Clock
from collector.dlt645.readings import Poll, Target, readings_of, targets_of
from collector.intake import Desk
from collector.journal import JournalError
from collector.linesettings import LineSettings
from collector.reason import Reason
from collector.site import Site
from collector.sources.dlt645link import Link, PollError
from collector.sources.dlt645poll import Asker
from collector.turns import Turns

_log = structlog.get_logger()
_BUFFER = 2_000
"""Polls waiting for the journal before the lines pause; a line yields a few a second at most."""
_RESTART_S = 2.0
"""Pause before a line that crashed is served again."""


class Dlt645Reader:
    """Reads all DL/T 645 meters of some sites, on a thread of its own."""

    def __init__(
        self,
        lines: Sequence[LineSettings],
        sites: Sequence[Site],
        desk: Desk,
        clock: Clock,
        *,
        commit_every_s: float = 0.2,
    ) -> None:
        """Plan the lines; nothing is opened before `start`.

        Args:
            lines: those without meters are left out.
            sites: whose meters with `via: dlt645` are read.
            desk: journal, rejects, health and metrics (`demandwatch_dlt645_*`).
            clock: site time; poll periods are site seconds, timeouts and back-off real ones.
            commit_every_s: real seconds of readings that share one journal entry.
        """
        planned = [(line, targets_of(line.id, sites)) for line in lines]
        self._lines = [(line, targets) for line, targets in planned if targets]
        self._desk, self._clock = desk, clock
        self._commit_every_s = commit_every_s
        metrics = desk.metrics
        self._polls = metrics.counter("dlt645_polls", "Polls by outcome", ("line", "outcome"))
        self._up = metrics.gauge("dlt645_connected", "1 while the line is open", ("line",))
        self._crashes = metrics.counter("dlt645_crashes", "Line tasks restarted after a bug")
        self._buffer: list[Poll] = []
        self._thread = threading.Thread(target=self._run, name="dlt645", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def start(self) -> None:
        """Begin to poll."""
        if self._lines:
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop polling, journal what was read, close the lines."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve_all())
        finally:
            self._loop.close()

    async def _serve_all(self) -> None:
        writer = asyncio.create_task(self._write())
        jobs = [asyncio.create_task(self._guard(line, targets)) for line, targets in self._lines]
        await self._stop.wait()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await writer  # not cancelled: what it is journalling must not be journalled twice
        try:
            await self._commit()
        except JournalError as error:
            _log.warning("polls not journalled at the end", count=len(self._buffer), error=error)

    async def _guard(self, line: LineSettings, targets: Sequence[Target]) -> None:
        asker = Asker(self._clock, self._left_out)
        while not self._stop.is_set():
            link = Link(line)
            turns = Turns(line, targets, self._clock, self._loop.time())
            try:
                await self._serve(line, link, turns, asker)
            except Exception:  # noqa: BLE001 - a bug costs one line a pause, and is counted
                _log.exception("line crashed", line=line.id)
                self._crashes.inc()
                await asyncio.sleep(_RESTART_S)
            finally:
                link.close()
                self._up.labels(line.id).set(0)

    async def _serve(
        self, line: LineSettings, link: Link, turns: Turns[Target], asker: Asker
    ) -> None:
        while not self._stop.is_set():
            wait = turns.next_in(self._loop.time())
            if wait > 0:
                await asyncio.sleep(wait)
            if not self._room.is_set():
                await self._room.wait()
            if not link.connected and not await self._connect(line, link, turns):
                continue
            target = turns.target
            try:
                self._buffer.append(
                    await asker.poll(link, target, 0 if turns.silent else line.retries)
                )
            except PollError as error:
                self._failed(target, error)
                turns.failed(self._loop.time(), answered=error.answered)
                if turns.deaf:
                    link.close()
            else:
                turns.done(self._loop.time())
                if len(self._buffer) >= _BUFFER:
                    self._room.clear()

    async def _connect(self, line: LineSettings, link: Link, turns: Turns[Target]) -> bool:
        connected = await link.connect()
        self._up.labels(line.id).set(int(connected))
        if connected:
            turns.connected(self._loop.time())
            return True
        what = f"{line.where} cannot be opened: {link.last_error}"
        _log.warning("line unreachable", line=line.id, error=link.last_error)
        for target in turns.targets:
            self._desk.health.failed(target.meter_id, "unreachable", self._clock.now())
        self._reject(Reason.UNREACHABLE, f"dlt645:{line.id}", line.id, what)
        self._polls.labels(line.id, "unreachable").inc()
        await asyncio.sleep(turns.unreachable())
        return False

    def _failed(self, target: Target, error: PollError) -> None:
        self._desk.health.failed(target.meter_id, str(error), self._clock.now())
        self._left_out(target, error.reason, str(error))
        line = target.source.removeprefix("dlt645:")
        self._polls.labels(line, error.reason).inc()

    def _left_out(self, target: Target, reason: str, text: str) -> None:
        self._reject(Reason(reason), target.source, target.meter_id, text)

    def _reject(self, reason: Reason, source: str, subject: str, excerpt: str) -> None:
        self._desk.rejects.add(reason, source, subject, excerpt, self._clock.now())

    async def _write(self) -> None:
        pause = self._commit_every_s
        while not self._stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            try:
                await self._commit()
                pause = self._commit_every_s
            except JournalError as error:
                pause = min(2 * pause, 10.0)
                _log.error("journal refuses, polls are kept", count=len(self._buffer), error=error)

    async def _commit(self) -> None:
        """Journal the buffered polls; on failure they stay buffered."""
        polls = self._buffer[:]
        if not polls:
            return
        frame, doubted = readings_of(polls, self._clock.now())
        await asyncio.wrap_future(self._desk.journal.append(frame))
        del self._buffer[: len(polls)]
        self._room.set()
        for one in doubted:
            self._left_out(one.target, one.reason, one.excerpt)
        ids = [poll.target.meter_id for poll in polls]
        took = [poll.response_ms for poll in polls]
        self._desk.health.heard(ids, self._clock.now(), took, frame)
        for source, count in Counter([poll.target.source for poll in polls]).items():
            self._polls.labels(source.removeprefix("dlt645:"), "ok").inc(count)
