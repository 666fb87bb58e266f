"""What the examples of docs/arithmetic-energy.md call; not a test itself."""

from datetime import UTC, datetime, timedelta

import polars as pl
from fakes.stream_driver import book_of, readings_of

from collector.multiplied import NOTE, Multiplied
from collector.polls import Ratios
from collector.quantity import QUANTITIES
from collector.reading import conform
from collector.rescale import Rescale
from collector.site import Site
from processors.blocks import intervals_of
from processors.book import Book
from processors.edits import EDIT
from processors.raw import with_raw

MONDAY = datetime(2026, 3, 1, 16, tzinfo=UTC)  # 00:00 in Shanghai
BOOK = book_of(["m"], rated_power_kw=1000.0)


def _at(clock):
    return datetime.fromisoformat(f"2026-11-16T{clock}").replace(tzinfo=UTC)


def _readings(register):
    return readings_of([("m", _at(clock), kwh) for clock, kwh in register])


def changed(register, at, **declared):
    """INTERVAL rows of a register across a change of meter."""
    who = {"declared_by": "王工"} if declared else {}
    site = Site.model_validate({
        "id": "s", "name": {"zh": "s", "en": "s"}, "kind": "retail", "district": "d",
        "meters": [{"id": "m", "changes": [{"at": _at(at)} | declared | who]}]})  # fmt: skip
    return intervals_of(_readings(register), Book.of([site]))


def shop_without(day, first, last):
    """INTERVAL rows of the gap alone: a shop's week, not read on one day between two hours."""
    rows, total = [], 0.0
    gap = [MONDAY + timedelta(days=day, hours=hour) for hour in (first, last)]
    for n in range(6 * 96 + 1):
        at = MONDAY + n * timedelta(minutes=15)
        if not gap[0] < at < gap[1]:
            rows.append(("m", at, total))
        total += 10.0 if 8 <= (n // 4) % 24 < 20 else 1.0
    found = intervals_of(readings_of(rows), BOOK).sort("start")
    return found.filter(pl.col("start") >= gap[0], pl.col("end") <= gap[1])


def raw(register):
    """INTERVAL rows with what the register itself said."""
    readings = _readings(register)
    return with_raw(intervals_of(readings, BOOK), readings, BOOK)


def edited(register, start, end, kwh):
    """INTERVAL rows with one edit."""
    act = (1, "m", _at(start), _at(end), kwh, "王工", "meter test", _at("12:00"), None)
    acts = pl.DataFrame([act], schema=EDIT, orient="row")
    return intervals_of(_readings(register), BOOK, acts)


def scaled(stated, was, now):
    """What a reading of a DL/T 645 meter says once its CT ratio, noted as `was`, is `now`."""
    old, new = (
        Multiplied("dlt645", frozenset(QUANTITIES), Ratios((0,), (ct,), (1.0,)))
        for ct in (was, now)
    )
    notes = pl.DataFrame([(1, "m", MONDAY, *old.written())], schema=NOTE, orient="row")
    at = {"meter_id": "m", "measured_at": MONDAY, "received_at": MONDAY, "source": "dlt645:line"}
    (row,) = Rescale(notes, {"m": new}).corrected(conform(pl.DataFrame([at | stated]))).to_dicts()
    return {name: row[name] for name in QUANTITIES if row[name] is not None}


HELPERS = {
    "changed": changed,
    "shop_without": shop_without,
    "raw": raw,
    "edited": edited,
    "scaled": scaled,
}
