"""Forwards the journal upstream: live readings first, the backlog of an outage beside them.

A batch counts as forwarded when the upstream broker has acknowledged it. The cursor is a file of
its own, saved after that; what was acknowledged but not yet saved when we fell is sent again, and
is the same reading told twice.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import polars as pl
import structlog

from collector.batches import encode_batch, topic_of
from collector.edgesettings import EdgeSettings
from collector.forwardlink import Ack, Uplink, UplinkError
from collector.journal import Batch, Journal
from collector.metrics import Metrics
from collector.progress import Hole, Progress

LOG = structlog.get_logger()
WINDOW = 8
"""Messages under way at most; brokers take 20 (Mosquitto's receive maximum) or more."""
LIVE_SLOTS = 2
"""Of these, kept free for live readings."""
STALE = timedelta(seconds=10)
"""Readings that waited longer are a backlog, not live."""
_FIRST_PAUSE_S = 1.0
_SAVE_EVERY_S = 0.25
_IDLE_S = 0.05


@dataclass(frozen=True, slots=True)
class ForwardStatus:
    """What the operator sees of the way upstream."""

    connected: bool = False
    since: datetime | None = None
    """Instant of the last change of `connected`."""
    last_error: str | None = None
    """Why the last connection ended or was refused; kept after the recovery."""
    forwarded_at: datetime | None = None
    """When the broker last took a batch."""


@dataclass(slots=True)
class _Sent:
    """A span under way: forwarded when its last message is."""

    span: Hole
    live: bool
    rows: int
    parts: int


class Forwarder:
    """Runs in one thread; `progress`, `planned` and `status` may be read from any."""

    def __init__(
        self,
        settings: EdgeSettings,
        journal: Journal,
        cursor: Path,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        """Take up the cursor; nothing is opened before `run`."""
        self._settings, self._journal, self._cursor, self._now = settings, journal, cursor, now
        self.progress = _load(cursor, journal.last())
        """What the upper side has."""
        self.planned = self.progress
        """What it will have once everything under way has arrived."""
        self._saved, self._savable = self.progress, True
        self._saved_at = self._live_at = self._paced_at = time.monotonic()
        self._allowed = 0.0  # readings of the backlog that may go now
        self._sent: dict[int, _Sent] = {}
        self.status = ForwardStatus()
        self._lock = threading.Lock()
        self._connected = metrics.gauge("edge_connected", "1 while the upstream broker is there")
        self._lost = metrics.counter("edge_disconnects", "Upstream connections refused or lost")
        self._forwarded = metrics.counter(
            "edge_forwarded", "Readings the upstream broker has acknowledged", ("kind",)
        )
        for kind in ("live", "backlog"):
            self._forwarded.labels(kind)

    def run(self, stop: Event) -> None:
        """Forward until `stop`; reconnects for ever."""
        pause_s = _FIRST_PAUSE_S
        while not stop.is_set():
            error = self._serve(stop)
            if error is None:
                break
            if self.status.connected:
                pause_s = _FIRST_PAUSE_S
            self._lost.inc()
            self._note(connected=False, error=error)
            LOG.warning("upstream_lost", error=error, retry_in_s=pause_s)
            stop.wait(pause_s)
            pause_s = min(pause_s * 2, self._settings.upstream.reconnect_max_s)
        self._note(connected=False)
        self._save()

    def _serve(self, stop: Event) -> str | None:
        """Serve one connection; return why it ended, None if we ended it."""
        self.planned, self._sent = self.progress, {}
        link = None
        try:
            link = Uplink(self._settings.upstream, f"demandwatch-edge-{self._settings.id}")
            while not stop.is_set():
                sent = self._send(link)
                idle = not sent and not self._sent
                self._take(link.poll(0 if sent else _IDLE_S if idle else 0.01))
                if time.monotonic() - self._saved_at >= _SAVE_EVERY_S:
                    self._save()
            self._drain(link)
        except (UplinkError, OSError, ValueError) as error:  # ValueError: a faulty certificate
            return str(error)
        finally:
            if link is not None:
                link.close()
        return None

    def _drain(self, link: Uplink) -> None:
        """Wait a little for what is under way, so that it need not be sent again."""
        deadline = time.monotonic() + 1.0
        while self._sent and time.monotonic() < deadline:
            self._take(link.poll(0.05))

    def _send(self, link: Uplink) -> bool:
        """Publish what is due: live readings first; return whether there was anything."""
        if len(self._sent) >= WINDOW:
            return False
        return self._send_live(link) or self._send_backlog(link)

    def _send_live(self, link: Uplink) -> bool:
        since = time.monotonic() - self._live_at
        if since < self._settings.batch_within_s:
            return False
        last, live = self._journal.last(), self.planned.live
        oldest = self._journal.oldest(live) if last > live else None
        if oldest is not None and self._now() - oldest > STALE:
            self.planned = self.planned.jump(last)
            live = self.planned.live
        batch = self._journal.read(live, self._settings.batch_rows, last)
        if batch.frame.height < self._settings.batch_rows / 2:
            self._live_at = time.monotonic()  # more of a full flow is fetched at once
        if batch.last_seq == live:
            return False
        self._publish(link, batch, Hole(live, batch.last_seq), live=True)
        return True

    def _send_backlog(self, link: Uplink) -> bool:
        now = time.monotonic()
        pace = self._settings.catch_up_readings_per_s
        self._allowed = min(self._allowed + (now - self._paced_at) * pace, pace)
        self._paced_at = now
        under_way = sum(not one.live for one in self._sent.values())
        if not self.planned.holes or self._allowed <= 0 or under_way >= WINDOW - LIVE_SLOTS:
            return False
        hole = self.planned.holes[0]
        batch = self._journal.read(hole.after, self._settings.batch_rows, hole.through)
        if batch.last_seq == hole.after:  # given up for want of room: nothing is left there
            self.planned = self.planned.forwarded(hole.after, hole.through)
            self.progress = self.progress.forwarded(hole.after, hole.through)
            return True
        self._allowed -= batch.frame.height
        self._publish(link, batch, Hole(hole.after, batch.last_seq), live=False)
        return True

    def _publish(self, link: Uplink, batch: Batch, span: Hole, *, live: bool) -> None:
        payloads = list(
            _payloads(batch.frame, self._settings.batch_rows,
                      self._settings.upstream.max_payload_bytes)
        )  # fmt: skip
        sent = _Sent(span, live, batch.frame.height, len(payloads))
        for one in payloads:
            self._sent[link.publish(topic_of(self._settings.id), one)] = sent
        self.planned = self.planned.forwarded(span.after, span.through)

    def _take(self, acks: list[Ack]) -> None:
        """Count what has arrived.

        Raises:
            UplinkError: the broker did not take a message; all that is under way is sent again.
        """
        for ack in acks:
            if ack.refusal:
                raise UplinkError(f"a batch was not taken: {ack.refusal}")
            one = self._sent.pop(ack.mid)
            one.parts -= 1
            if one.parts:
                continue
            self.progress = self.progress.forwarded(one.span.after, one.span.through)
            self._forwarded.labels("live" if one.live else "backlog").inc(one.rows)
            if not self.status.connected:
                self._note(connected=True)
            self.status = replace(self.status, forwarded_at=self._now())
        if (
            not self.status.connected
            and not self._sent
            and not self.planned.pending(self._journal.last())
        ):
            self._note(connected=True)  # nothing to prove it with, and nothing that waits

    def _save(self) -> None:
        """Save the cursor; a full disk only means that something is sent twice after a crash."""
        self._saved_at = time.monotonic()
        progress = self.progress
        if progress == self._saved:
            return
        fresh = self._cursor.with_suffix(".new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(progress.text())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._cursor)
        except OSError as error:
            if self._savable:
                LOG.warning("cursor_not_saved", error=str(error))
            self._savable = False
            return
        self._saved, self._savable = progress, True

    def _note(self, *, connected: bool, error: str | None = None) -> None:
        before = self.status
        changed = before.connected != connected
        self._connected.set(float(connected))
        if connected and changed:
            upstream = self._settings.upstream
            LOG.info("upstream_connected", host=upstream.host, port=upstream.port)
        self.status = replace(
            before,
            connected=connected,
            since=self._now() if changed else before.since,
            last_error=error or before.last_error,
        )


def _payloads(frame: pl.DataFrame, rows: int, max_bytes: int) -> Iterator[bytes]:
    """Yield the messages of a frame, each within both limits where a single reading is."""
    for part in frame.iter_slices(rows):
        payload = encode_batch(part)
        if len(payload) <= max_bytes or part.height == 1:
            yield payload
        else:
            yield from _payloads(part, (part.height + 1) // 2, max_bytes)


def _load(path: Path, last: int) -> Progress:
    """Return the saved cursor; without a sound one everything is forwarded again."""
    try:
        found = Progress.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Progress()
    except ValueError:
        LOG.exception("the cursor is damaged: set aside, the journal is forwarded from its start")
        path.replace(path.with_suffix(".damaged"))
        return Progress()
    if found.live > last:
        LOG.error("the cursor is ahead of the journal, which is another one: forwarded from its "
                  "start", cursor=found.live, journal=last)  # fmt: skip
        return Progress()
    return found
