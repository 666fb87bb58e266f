"""Keeps the gap ledger: follows history in a thread of its own, and looks who is silent now.

The step is never held up: what it issues is read back from history, behind a cursor. Following
anew from further back changes nothing, for holes are a function of the readings.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Event

import polars as pl

from collector.clock import Clock
from collector.healthrow import HEALTH
from collector.imported import standing
from collector.metrics import Metrics
from processors.book import Book
from processors.causes import COLLECTOR, Cause, causes
from processors.gap_changes import CHANGE, GAP, Change, opened, settle
from processors.gap_ledger import GapLedger
from processors.gaps import CONTEXT, doubtful, merged, widened
from processors.history.store import History

BATCH_ROWS = 200_000
MOST_READS = 32
PAUSE_S = 1.0
"""Real seconds between two looks."""
EXTEND_S = 5.0
"""Real seconds between two notes that we are running."""
REWIND = timedelta(hours=6)
"""How far back history is followed again after a start: a replay may number and time blocks of the
last minutes anew, and a clock may have been set back."""
SETTLE = timedelta(minutes=1)
"""Site time after a start before a silent meter opens a gap: it is given the time to speak."""
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class GapKeeper:
    """Runs beside the engine; one thread calls `run`.

    Args:
        ledger: where gaps are kept.
        history: what was read and computed.
        book: the meters' facts.
        way: schema `causes.WAY`; meters that arrive by file open no gap by themselves.
        clock: site time.
        marks: how far each register was read, schema MARKS; safe from any thread.
        ready: set once what waited in the journal is processed.
        health: schema HEALTH.
        links: whether each link is up, by name; one that is not known yet is absent.
        metrics: gets open gaps by cause and changes by kind.
        late: where the engine puts its LATE spans: a late reading may cut a gap in two and yet
            change no block, where the load is constant.
    """

    def __init__(
        self,
        ledger: GapLedger,
        history: History,
        book: Book,
        way: pl.DataFrame,
        clock: Clock,
        marks: Callable[[], pl.DataFrame],
        ready: Event,
        health: Callable[[], pl.DataFrame] = lambda: pl.DataFrame(schema=HEALTH),
        links: Callable[[], Mapping[str, bool]] = dict,
        metrics: Metrics | None = None,
        late: deque[pl.DataFrame] | None = None,
    ) -> None:
        self._ledger, self._history, self._book, self._way = ledger, history, book, way
        self._clock, self._marks, self._ready = clock, marks, ready
        self._health, self._links = health, links
        self._expected = way.filter(pl.col("via") != "file").select("meter_id")
        self._spans: dict[str, int] = {}
        self._extended_at = -EXTEND_S
        self._late = deque() if late is None else late
        self._started: datetime | None = None
        self._looked: datetime | None = None
        cursor = ledger.cursor()
        self._cursor = min(cursor, clock.now()) - REWIND if cursor else _BEGINNING
        made = metrics or Metrics()
        self._open = made.gauge("gaps_open", "Meters with an open gap, by cause", ("cause",))
        self._changes = made.counter("gap_changes", "Changes in the gap ledger", ("change",))

    def run(self, stop: Event) -> None:
        """Keep the ledger until `stop` is set; called again after a crash, it goes on."""
        while not stop.is_set():
            self.once()
            stop.wait(PAUSE_S)
        self._note_spans(force=True)

    def once(self) -> None:
        """Follow what history has got, then look who is silent.

        Raises:
            OSError: history cannot be read.
            sqlite3.Error: the ledger cannot be written.
        """
        now = self._clock.now()
        self._started = self._started or now
        self._note_spans()
        while self.follow():
            pass
        self.resettle()
        if self._ready.is_set() and now - self._started >= SETTLE:
            self.look()
        self._count()

    def follow(self) -> bool:
        """Take the next revisions of history; return False if there were none."""
        rows = self._history.intervals_since(self._cursor, BATCH_ROWS)
        if rows.is_empty():
            return False
        low, high, cursor = rows.select(
            pl.col("start").min(), pl.col("end").max().alias("high"), pl.col("computed_at").max()
        ).row(0)
        active = self._ledger.left(low, high).select("meter_id", "missing_from", "missing_to")
        self._settle(doubtful(rows, active), cursor)
        self._cursor = cursor
        return True

    def resettle(self) -> None:
        """Look anew at the gaps that late readings lie in, whether or not a block was revised."""
        parts = [self._late.popleft() for _ in range(len(self._late))]
        if parts:
            spans = merged(*(part.select("meter_id", low="first", high="last") for part in parts))
            active = self._ledger.left(*_bounds(spans)).select("meter_id")
            self._settle(spans.join(active, on="meter_id", how="semi"))

    def look(self) -> None:
        """Open a gap for each meter that has been silent too long; settle those that spoke."""
        now, known = self._clock.now(), self._ledger.open()
        marks = self._marks().join(self._expected, on="meter_id", how="semi")
        fresh, again = opened(known, marks, self._book, now)
        if again.height:
            self._settle(again)
            known = self._ledger.open()
        self._looked = now
        silent = pl.concat([fresh, known.with_columns(change=pl.lit(Change.CAUSE.value))])
        told = self._told(silent, now)
        new = told["cause"].ne_missing(silent["cause"])
        if new.any():
            self._record(told.filter(new))

    def _settle(self, spans: pl.DataFrame, cursor: datetime | None = None) -> None:
        """Look at the holes of `spans` anew and write what changed, with the cursor."""
        now, parts = self._clock.now(), [_NOTHING]
        for group in _together(spans):
            known = self._ledger.left(*_bounds(group)).join(group, on="meter_id", how="semi")
            whole = widened(group, known)
            around, marks = self._around(whole), self._marks()
            parts.append(settle(known, whole, around, marks, self._book, now, self._looked))
        changed = pl.concat(parts)
        told = self._told(changed, now)
        self._record(told.with_columns(_weightier(changed, told)), cursor)

    def _around(self, spans: pl.DataFrame) -> pl.DataFrame:
        """Return the readings of the spans, and those on either side that holes depend on."""
        meters, (low, high) = spans["meter_id"].unique().to_list(), _bounds(spans)
        beside = self._history.neighbours(meters, low, high, CONTEXT).select(_READ)
        inside = self._history.readings(low, high + _TICK, meters).select(_READ)
        return standing(pl.concat([beside, inside])).unique()

    def _told(self, gaps: pl.DataFrame, now: datetime) -> pl.DataFrame:
        if gaps.is_empty():
            return gaps
        return causes(gaps, self._way, self._ledger.down(), self._health(), now)

    def _record(self, changed: pl.DataFrame, cursor: datetime | None = None) -> None:
        self._ledger.record(changed, cursor)
        for change, count in changed["change"].value_counts().iter_rows():
            self._changes.labels(change).inc(count)

    def _note_spans(self, *, force: bool = False) -> None:
        """Note that we run, and which links are down."""
        if not force and time.monotonic() - self._extended_at < EXTEND_S:
            return
        self._extended_at = time.monotonic()
        now, links = self._clock.now(), self._links()
        for name in (COLLECTOR, *(name for name, up in links.items() if not up)):
            if name not in self._spans:
                self._spans[name] = self._ledger.begin(name, now)
        self._ledger.extend(list(self._spans.values()), now)
        for name in [name for name, up in links.items() if up]:
            self._spans.pop(name, None)

    def _count(self) -> None:
        counts = dict(self._ledger.open()["cause"].value_counts().iter_rows())
        for cause in Cause:
            self._open.labels(cause.value).set(counts.get(cause.value, 0))


_READ = ("meter_id", "measured_at", "received_at", "source", "energy_import_kwh", "output_count")
"""What holes depend on."""
_NOTHING = pl.DataFrame(schema=GAP | CHANGE)
_WEIGHT = {cause.value: place for place, cause in enumerate(Cause)}


def _weightier(before: pl.DataFrame, told: pl.DataFrame) -> list[pl.Series]:
    """Keep the cause noted while a gap was open, unless what is known now weighs more.

    What a meter last failed with is known only until it fails again.
    """
    old, new = (
        frame["cause"].replace_strict(_WEIGHT, return_dtype=pl.Int64, default=len(_WEIGHT))
        for frame in (before, told)
    )
    names = ("cause", "detail")
    return [told[name].zip_with(new <= old, before[name]).alias(name) for name in names]


def _together(spans: pl.DataFrame) -> list[pl.DataFrame]:
    """Group spans that begin and end alike, so that one read of history serves them.

    Each read takes what lies between: the finest grouping is taken that needs few reads.
    """
    for size in ("1h", "1d", "7d"):
        ends = (pl.col(name).dt.truncate(size).to_physical() for name in ("low", "high"))
        alike = spans.with_columns(pl.concat_str(*ends, separator=" ").alias("alike"))
        if alike["alike"].n_unique() <= MOST_READS or size == "7d":
            break
    return alike.partition_by("alike", maintain_order=True, include_key=False)


def _bounds(spans: pl.DataFrame) -> tuple[datetime, datetime]:
    low, high = spans.select(pl.col("low").min(), pl.col("high").max()).row(0)
    return low, high
