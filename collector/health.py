"""Health of the meters: who was heard, who failed or was refused, when, how fast, and why.

Everything is kept in arrays by meter, so that ten thousand meters a second cost little. Counts of
"the hour" cover the running ten minutes and the six before.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.columns import Columns
from collector.healthrow import HEALTH
from collector.reading import UTC_US
from collector.reason import Reason
from collector.repeats import Repeats

__all__ = ["HEALTH", "Health"]

_NEVER = np.iinfo(np.int64).min
_SLOT_US = 600_000_000
_SLOTS = 7
_BINS = 42
_RATIO = 1.3
"""Answer times are counted in bins, each 1.3 times as wide as the one before, from 1 ms to 60 s."""
_FAILURES = frozenset(
    {
        *(Reason.TIMEOUT, Reason.UNREACHABLE, Reason.SHORT_FRAME, Reason.STRAY_ANSWER),
        *(Reason.MODBUS_EXCEPTION, Reason.DLT645_ERROR),
    }
)
"""Reasons of failed polls, told by `failed` as well; the others are refused data."""
_HARMLESS = frozenset({Reason.UNKNOWN_QUANTITY, Reason.UNKNOWN_METER, Reason.RETAINED})
"""Notes about a reading that was kept, about no meter of ours, or what a broker remembers."""

Ints = npt.NDArray[np.int64]


class Health:
    """Thread-safe book of the meters' communication.

    Args:
        known: meters that may be told of; others are added when they are heard or fail.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._lock = Lock()
        self._code: dict[str, int] = {}
        self._rows = Columns(
            {
                "heard": (_NEVER, np.int64, ()),
                "failed": (_NEVER, np.int64, ()),
                "refused_at": (_NEVER, np.int64, ()),
                "successes": (0, np.int64, ()),
                "failures": (0, np.int64, ()),
                "refused": (0, np.int64, ()),
                "response": (np.nan, np.float64, ()),
                "every": (np.nan, np.float64, ()),
                "ok_slots": (0, np.uint32, (_SLOTS,)),
                "bad_slots": (0, np.uint32, (_SLOTS,)),
                "refused_slots": (0, np.uint32, (_SLOTS,)),
            }
        )
        self._answers = Columns(
            {
                "bins": (0, np.uint16, (_SLOTS, _BINS)),
                "total": (0.0, np.float64, (_SLOTS,)),
            }
        )
        """Only as long as the last meter that is polled needs."""
        self._repeats = Repeats()
        self._error: dict[int, tuple[str, str | None]] = {}
        self._refusal: dict[int, str] = {}
        self._slot_number = 0
        for meter_id in known:
            self._code_of(meter_id)

    def heard(
        self,
        meter_ids: Sequence[str],
        at: datetime,
        response_ms: Sequence[float] | None = None,
        readings: pl.DataFrame | None = None,
    ) -> None:
        """Note readings that are safe in the journal; a meter may be named more than once.

        Args:
            meter_ids: one entry a poll or message.
            at: now.
            response_ms: answer time of each entry.
            readings: the READING rows themselves, for clock offset and repetition.
        """
        us = _micros(at)
        with self._lock:
            code = self._codes_of(meter_ids)
            slot, rows = self._slot(us), self._rows
            _space(rows["every"], rows["heard"], code, us)
            rows["heard"][code] = np.maximum(rows["heard"][code], us)
            _count(rows["successes"], code)
            _count(rows["ok_slots"], code * _SLOTS + slot)
            if response_ms is not None:
                self._answered(code, slot, np.asarray(response_ms, dtype=np.float64))
            if readings is not None and readings.height:
                self._repeats.took(self._codes_of(readings["meter_id"].to_list()), readings)

    def failed(self, meter_id: str, reason: str, at: datetime) -> None:
        """Note one failed poll and its reason in words."""
        us = _micros(at)
        with self._lock:
            code, rows = self._code_of(meter_id), self._rows
            rows["failures"][code] += 1
            rows["bad_slots"][code, self._slot(us)] += 1
            rows["failed"][code] = max(int(rows["failed"][code]), us)
            how = Reason.UNREACHABLE.value if reason == Reason.UNREACHABLE.value else None
            self._error[code] = (reason, how)

    def noted(self, reason: Reason, subject: str, at: datetime, count: int = 1) -> None:
        """Note what `Rejects` was told: how a poll failed, or that a meter's data were refused.

        `subject` is a meter, or the topic it speaks on; anything else concerns no meter.
        """
        if reason in _HARMLESS:
            return
        with self._lock:
            code = next((self._code[one] for one in subject.split("/") if one in self._code), None)
            if code is None:
                return
            if reason in _FAILURES:
                words = self._error.get(code, (reason.value, None))[0]
                self._error[code] = (words, reason.value)
                return
            self._rows["refused"][code] += count
            self._rows["refused_slots"][code, self._slot(_micros(at))] += count
            self._rows["refused_at"][code] = max(int(self._rows["refused_at"][code]), _micros(at))
            self._refusal[code] = reason.value

    def restore(self, known: pl.DataFrame) -> None:
        """Take up when each meter was last heard and failed from an earlier process's snapshot."""
        with self._lock:
            for row in known.iter_rows(named=True):
                code, rows = self._code_of(row["meter_id"]), self._rows
                for name, column in _INSTANTS.items():
                    if row[column] is not None:
                        rows[name][code] = max(int(rows[name][code]), _micros(row[column]))
                if row["last_error"] is not None:
                    self._error.setdefault(code, (row["last_error"], row["failed_how"]))
                if row["refused_why"] is not None:
                    self._refusal.setdefault(code, row["refused_why"])

    def snapshot(self, at: datetime | None = None) -> pl.DataFrame:
        """Return the state at `at` (None: at the last event), schema HEALTH, sorted by meter_id."""
        with self._lock:
            if at is not None:
                self._slot(_micros(at))
            frame = self._frame()
        told = pl.any_horizontal(
            pl.col(name).is_not_null() for name in ("last_heard_at", "last_error_at", "refused_at")
        )
        return frame.filter(told).sort("meter_id")

    def _frame(self) -> pl.DataFrame:
        size, rows = len(self._code), self._rows
        mean, p95 = self._times(size)
        codes = range(size)
        columns: dict[str, Any] = {
            "meter_id": list(self._code),
            **{column: _instants(rows[name][:size]) for name, column in _INSTANTS.items()},
            "last_error": [self._error.get(code, (None, None))[0] for code in codes],
            "failed_how": [self._error.get(code, (None, None))[1] for code in codes],
            "refused_why": [self._refusal.get(code) for code in codes],
            "failures": rows["failures"][:size],
            "successes": rows["successes"][:size],
            "refused": rows["refused"][:size],
            "response_ms": rows["response"][:size],
            "successes_hour": rows["ok_slots"][:size].sum(axis=1),
            "failures_hour": rows["bad_slots"][:size].sum(axis=1),
            "refused_hour": rows["refused_slots"][:size].sum(axis=1),
            "response_mean_ms": mean,
            "response_p95_ms": p95,
            "every_s": rows["every"][:size],
            **self._repeats.columns(size),
        }
        frame = pl.DataFrame(columns, schema_overrides={"last_error": pl.String()}, strict=False)
        return frame.select(
            (pl.col(name).fill_nan(None) if kind == pl.Float64() else pl.col(name)).cast(kind)
            for name, kind in HEALTH.items()
        )

    def _times(self, size: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return mean and 95th percentile of the hour's answer times, NaN without any."""
        mean, p95 = np.full(size, np.nan), np.full(size, np.nan)
        polled = min(len(self._answers), size)
        if polled:
            bins = self._answers["bins"][:polled].sum(axis=1, dtype=np.int64)
            count = bins.sum(axis=1)
            some = count > 0
            total = self._answers["total"][:polled].sum(axis=1)
            mean[:polled][some] = total[some] / count[some]
            reached = np.cumsum(bins, axis=1) >= np.ceil(0.95 * count)[:, None]
            p95[:polled][some] = _RATIO ** (reached.argmax(axis=1)[some] + 0.5)
        return mean, p95

    def _answered(self, code: Ints, slot: int, took_ms: npt.NDArray[np.float64]) -> None:
        self._rows["response"][code] = took_ms
        self._answers.reach(int(code.max(initial=-1)) + 1)
        places = (np.log(np.maximum(took_ms, 1.0)) / np.log(_RATIO)).astype(np.int64)
        cell = code * _SLOTS + slot
        _count(self._answers["bins"], cell * _BINS + np.minimum(places, _BINS - 1))
        _count(self._answers["total"], cell, took_ms)

    def _slot(self, us: int) -> int:
        """Return the running slot; those passed since the last call are emptied."""
        number = max(us // _SLOT_US, self._slot_number)
        passed = min(number - self._slot_number, _SLOTS)
        for back in range(passed):
            old = (number - back) % _SLOTS
            for table, names in (
                (self._rows, ("ok_slots", "bad_slots", "refused_slots")),
                (self._answers, ("bins", "total")),
            ):
                for name in names:
                    table[name][:, old] = 0
        self._slot_number = number
        return number % _SLOTS

    def _codes_of(self, meter_ids: Sequence[str]) -> Ints:
        known = self._code.get
        code = np.array([known(one, -1) for one in meter_ids], dtype=np.int64)
        for place in np.flatnonzero(code < 0).tolist():
            code[place] = self._code_of(meter_ids[place])
        return code

    def _code_of(self, meter_id: str) -> int:
        code = self._code.get(meter_id)
        if code is None:
            code = self._code[meter_id] = len(self._code)
            self._rows.reach(code + 1)
            self._repeats.reach(code + 1)
        return code


_INSTANTS = {"heard": "last_heard_at", "failed": "last_error_at", "refused_at": "refused_at"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _count(table: npt.NDArray[Any], cells: Ints, amount: npt.ArrayLike = 1) -> None:
    """Add to cells of a table, given by their place in its memory; one may be named often."""
    np.add.at(table.reshape(-1), cells, amount)


def _space(every: npt.NDArray[np.float64], heard: Ints, code: Ints, us: int) -> None:
    """Learn how often meters are heard: a running mean that an outage does not disturb."""
    before = heard[code]
    passed = (us - np.where(before == _NEVER, us, before)) / 1e6
    usual = every[code]
    fits = (passed > 0) & (np.isnan(usual) | (passed <= 10 * usual))
    every[code] = np.where(
        fits, np.where(np.isnan(usual), passed, 0.8 * usual + 0.2 * passed), usual
    )


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _instants(us: Ints) -> pl.Series:
    told = pl.Series(us)
    return told.set(told == _NEVER, None).cast(UTC_US)
