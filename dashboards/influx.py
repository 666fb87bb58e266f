"""The InfluxDB sink: every revision of every interval, in order, with a cursor of its own.

A later revision overwrites the earlier one (same series and time). The server may be away for days:
nothing is lost, nothing else waits. A revision that takes a figure back cannot unwrite the field,
so a reader must leave out `quality` = 'missing', as the boards do.
"""

import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import structlog
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from collector.metrics import Metrics
from collector.site import Site
from dashboards.line_protocol import heads, interval_lines, site_lines
from dashboards.settings import InfluxSettings
from processors.book import Book
from processors.history.store import History

_LOG = structlog.get_logger()
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_POLL_S = 1.0
"""Pause when there is nothing new; a block closes every quarter hour."""
_TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """What the sink is doing, for health pages."""

    cursor: datetime
    """`computed_at` through which everything is on the server."""
    error: str
    """Why the last attempt failed; empty if it did not."""


class InfluxSink:
    """Follows history in a thread of its own; `start` it once.

    Args:
        settings: the server.
        history: read only.
        book: the meters' tags; replace it with `use` when settings are reloaded.
        cursor_path: file that keeps the cursor; one for each server and bucket.
        metrics: gets rows, failures by reason and the cursor.
        sites: their contract demand, floor area and quota are sent at the start.
    """

    def __init__(
        self,
        settings: InfluxSettings,
        history: History,
        book: Book,
        cursor_path: Path,
        metrics: Metrics,
        sites: Sequence[Site] = (),
    ) -> None:
        self._settings, self._history, self._path = settings, history, cursor_path
        self._tags, self._sites = heads(book), tuple(sites)
        self._target = f"{settings.url} {settings.bucket}"
        self._cursor, self._error = _load(cursor_path, self._target), ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self.run, name="influx-sink", daemon=True)
        self._rows = metrics.counter("influx_rows", "Interval rows InfluxDB has accepted")
        self._failures = metrics.counter("influx_failures", "Failed requests", ("reason",))
        self._at = metrics.gauge("influx_cursor_seconds", "computed_at of the last row sent")

    def start(self) -> None:
        """Begin to follow history."""
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """End after the request under way; what was not confirmed is sent again next time."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def use(self, book: Book, sites: Sequence[Site] = ()) -> None:
        """Take the tags and the sites' facts of reloaded settings."""
        self._tags, self._sites = heads(book), tuple(sites)

    def status(self) -> SinkStatus:
        """Return the cursor and the last error."""
        return SinkStatus(self._cursor, self._error)

    def run(self) -> None:
        """Send until stopped; a failing server is asked again with growing pauses."""
        pause_s = 1.0
        with self._client() as client, client.write_api(write_options=SYNCHRONOUS) as api:
            while not self._ended.is_set():
                try:
                    sent = self.send(api)
                except (ApiException, HTTPError, OSError) as fault:
                    self._failed(fault, pause_s)
                    self._ended.wait(pause_s)
                    pause_s = min(pause_s * 2, self._settings.backoff_max_s)
                    continue
                pause_s, self._error = 1.0, ""
                if not sent:
                    self._ended.wait(_POLL_S)

    def send(self, api: WriteApi) -> int:
        """Send the next rows and move the cursor; return how many."""
        if self._sites:
            sites = self._sites
            self._put(api, site_lines(sites))
            self._sites = () if self._sites is sites else self._sites
        rows = self._history.intervals_since(self._cursor, self._settings.batch_rows)
        if rows.is_empty():
            return 0
        for part in rows.iter_slices(self._settings.batch_rows):
            self._write(api, part)
            if self._ended.is_set():
                return 0
        self._cursor = _last(rows)
        _save(self._path, self._target, self._cursor)
        self._at.set(self._cursor.timestamp())
        return rows.height

    def _write(self, api: WriteApi, rows: pl.DataFrame) -> None:
        try:
            self._put(api, interval_lines(rows, self._tags))
        except ApiException as fault:
            if fault.status == _TOO_LARGE and rows.height > 1:
                for half in rows.iter_slices(-(-rows.height // 2)):
                    self._write(api, half)
                return
            if not _beyond_retention(fault):
                raise
            self._failures.labels("beyond_retention").inc()
        self._rows.inc(rows.height)

    def _put(self, api: WriteApi, lines: Iterable[str]) -> None:
        record = "\n".join(lines).encode()
        if not record:  # sites without dated facts; an empty request is refused
            return
        api.write(
            bucket=self._settings.bucket,
            record=record,
            write_precision=WritePrecision.US,  # type: ignore[arg-type]  # their constants are str
        )

    def _client(self) -> InfluxDBClient:
        settings = self._settings
        return InfluxDBClient(
            url=str(settings.url).rstrip("/"),
            token=settings.token.get_secret_value(),
            org=settings.org,
            timeout=int(settings.timeout_s * 1000),
            enable_gzip=True,
        )

    def _failed(self, fault: Exception, pause_s: float) -> None:
        reason, why = "unreachable", str(fault)
        if isinstance(fault, ApiException):
            reason, why = f"http_{fault.status}", f"{fault.status} {fault.reason}"
        self._failures.labels(reason).inc()
        if not self._error:
            _LOG.warning("InfluxDB does not take the intervals", why=why, retry_s=pause_s)
        self._error = why


def _beyond_retention(fault: ApiException) -> bool:
    """Tell whether only rows older than the bucket keeps were refused; the others are written."""
    text = str(fault.body or "").lower()
    return "retention" in text and ("dropped" in text or "beyond" in text or "outside" in text)


def _last(rows: pl.DataFrame) -> datetime:
    newest = rows["computed_at"].max()
    if not isinstance(newest, datetime):
        raise TypeError("rows of history have a computed_at")
    return newest


def _load(path: Path, target: str) -> datetime:
    """Return the cursor kept for `target`; the beginning if there is none: resending is safe."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["target"] == target:
            return datetime.fromisoformat(kept["computed_at"])
    except FileNotFoundError:
        return _BEGINNING
    except (ValueError, KeyError, TypeError) as fault:
        _LOG.warning("the cursor cannot be read: all is sent again", path=str(path), why=str(fault))
    return _BEGINNING


def _save(path: Path, target: str, cursor: datetime) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    text = json.dumps({"target": target, "computed_at": cursor.isoformat()})
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
