"""Modbus source: polls the meters of every bus and journals what they say.

One connection a bus, one request at a time on it; meters are staggered over their period, and one
that does not answer is left alone for a growing pause, so that it costs its own slot only. A poll
counts, in health and metrics, when its reading is safe in the journal.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from collector.clock import Clock
from collector.health import Health
from collector.journal import Journal, JournalError
from collector.metrics import Metrics
from collector.polls import Poll, Target, micros, readings_of, targets_of
from collector.profiles import Profile
from collector.reason import Reason
from collector.rejects import Rejects
from collector.settings import BusSettings
from collector.site import Site
from collector.sources.modbuslink import Link, PollError, context_of
from collector.turns import Turns

_log = structlog.get_logger()
_BUFFER = 20_000
"""Polls waiting for the journal before the buses pause: with the disk full, meters keep counting
themselves, and memory stays bounded."""
_RESTART_S = 2.0
"""Pause before a bus that crashed is served again."""


class ModbusReader:
    """Reads all Modbus meters of some sites, on a thread of its own."""

    def __init__(
        self,
        buses: Sequence[BusSettings],
        sites: Sequence[Site],
        profiles: Mapping[str, Profile],
        *,
        journal: Journal,
        rejects: Rejects,
        health: Health,
        metrics: Metrics,
        clock: Clock,
        commit_every_s: float = 0.2,
    ) -> None:
        """Plan the buses; nothing is opened before `start`.

        Args:
            buses: links; those without meters are left out.
            sites: whose meters with `via: modbus` are read.
            profiles: register maps by id.
            journal: where readings are made durable.
            rejects: where failed polls and doubtful values go.
            health: told of each poll once it is durable, and of each failure.
            metrics: `demandwatch_modbus_*`.
            clock: site time; poll periods are site seconds, timeouts and back-off real ones.
            commit_every_s: real seconds of readings that share one journal entry.

        Raises:
            ValueError: a profile is unknown or does not fit its bus; a certificate is unusable.
        """
        planned = [(bus, targets_of(bus, sites, profiles)) for bus in buses]
        self._buses = [(bus, targets) for bus, targets in planned if targets]
        for bus, _ in self._buses:
            context_of(bus)
        self._journal, self._rejects, self._health = journal, rejects, health
        self._clock = clock
        self._commit_every_s = commit_every_s
        self._polls = metrics.counter("modbus_polls", "Modbus polls by outcome", ("bus", "outcome"))
        self._up = metrics.gauge("modbus_connected", "1 while the bus is connected", ("bus",))
        self._crashes = metrics.counter("modbus_crashes", "Bus tasks restarted after a bug")
        self._buffer: list[Poll] = []
        self._thread = threading.Thread(target=self._run, name="modbus", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def start(self) -> None:
        """Begin to poll."""
        if self._buses:
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop polling, journal what was read, close the links."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_asyncio_said)
        try:
            self._loop.run_until_complete(self._serve_all())
        finally:
            self._loop.close()

    async def _serve_all(self) -> None:
        writer = asyncio.create_task(self._write())
        jobs = [asyncio.create_task(self._guard(bus, targets)) for bus, targets in self._buses]
        await self._stop.wait()
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await writer  # not cancelled: what it is journalling must not be journalled twice
        try:
            await self._commit()
        except JournalError as error:
            _log.warning("polls not journalled at the end", count=len(self._buffer), error=error)

    async def _guard(self, bus: BusSettings, targets: Sequence[Target]) -> None:
        # the flag, beside cancellation: before Python 3.12 `wait_for` in pymodbus may swallow that
        link = Link(bus)  # one for good: it remembers who may still answer
        while not self._stop.is_set():
            try:
                await self._serve(bus, link, Turns(bus, targets, self._clock, self._loop.time()))
            except Exception:  # noqa: BLE001 - a bug costs one bus a pause, and is counted
                _log.exception("bus crashed", bus=bus.id)
                self._crashes.inc()
                await asyncio.sleep(_RESTART_S)
            finally:
                link.close()
                self._up.labels(bus.id).set(0)

    async def _serve(self, bus: BusSettings, link: Link, turns: Turns[Target]) -> None:
        while not self._stop.is_set():
            wait = turns.next_in(self._loop.time())
            if wait > 0:
                await asyncio.sleep(wait)
            if not self._room.is_set():
                await self._room.wait()
            if not link.connected and not await self._connect(bus, link, turns):
                continue
            target = turns.target
            try:
                await self._poll(link, target, 0 if turns.silent else target.retries)
            except PollError as error:
                self._failed(target, error)
                turns.failed(self._loop.time(), answered=error.answered)
                if turns.deaf:
                    link.close()
            else:
                turns.done(self._loop.time())

    async def _connect(self, bus: BusSettings, link: Link, turns: Turns[Target]) -> bool:
        what = f"{bus.where} accepts no connection"
        try:
            connected = await link.connect()
        except ValueError as error:  # a certificate that is just being replaced, say
            connected, what = False, str(error)
        self._up.labels(bus.id).set(int(connected))
        if connected:
            turns.connected(self._loop.time())
            return True
        _log.warning("bus unreachable", bus=bus.id, problem=what)
        for target in turns.targets:
            self._health.failed(target.meter_id, "unreachable", self._clock.now())
        self._reject(Reason.UNREACHABLE, f"modbus:{bus.id}", bus.id, what)
        self._polls.labels(bus.id, "unreachable").inc()
        await asyncio.sleep(turns.unreachable())
        return False

    async def _poll(self, link: Link, target: Target, retries: int) -> None:
        blocks = target.layout.blocks
        await link.settle(blocks[0], target)
        strays, began = link.strays(target.unit), self._loop.time()
        words = b""
        for block in blocks:
            words += await link.read(block, target, retries)
        took = self._loop.time() - began
        # one look at the clock: a step of it between two would move the reading by half the step
        at = micros(self._clock.now()) - round(took * self._clock.speed * 500_000)
        await link.confirm(target, strays)
        self._buffer.append(Poll(target, at, words, took * 1000))
        if len(self._buffer) >= _BUFFER:
            self._room.clear()

    def _failed(self, target: Target, error: PollError) -> None:
        self._health.failed(target.meter_id, str(error), self._clock.now())
        self._reject(Reason(error.reason), target.source, target.meter_id, str(error))
        bus = target.source.removeprefix("modbus:")
        self._polls.labels(bus, error.reason).inc()

    def _reject(self, reason: Reason, source: str, subject: str, excerpt: str) -> None:
        self._rejects.add(reason, source, subject, excerpt, self._clock.now())

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
        await asyncio.wrap_future(self._journal.append(frame))
        del self._buffer[: len(polls)]
        self._room.set()
        for one in doubted:
            self._reject(Reason(one.reason), one.target.source, one.target.meter_id, one.excerpt)
        ids = [poll.target.meter_id for poll in polls]
        took = [poll.response_ms for poll in polls]
        self._health.heard(ids, self._clock.now(), took, frame)
        for source, count in Counter([poll.target.source for poll in polls]).items():
            self._polls.labels(source.removeprefix("modbus:"), "ok").inc(count)


def _asyncio_said(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """Log what pymodbus raises inside a callback: an answer that cannot be decoded."""
    _log.warning(
        "modbus answer refused", message=context.get("message"), error=context.get("exception")
    )
