"""Computes history anew beside a running system: day by day, in parallel, kept until published."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from collector.clock import Clock
from collector.reading import READING
from collector.rescale import LEFT
from demandwatch.correcting import Correction, RecomputeError
from demandwatch.settings import Configuration, load
from processors import snapshot
from processors.edits import by_day
from processors.history.editbook import EditBook
from processors.history.store import History
from processors.interval import INTERVAL
from processors.late import revise
from processors.recompute import Overlay

AT_ONCE = 3_000_000
"""Readings a process works on at a time, about: bounds its memory to some gigabytes."""
_SAMPLE = 20
"""Meters whose first day tells how often meters are read."""
_DAY = timedelta(days=1)
_TOLD_EVERY_S = 0.5


PUBLISHED = "published.json"
_SCHEMAS = {"readings": READING, "beside": READING, "left": LEFT}


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be computed anew; the same question with the same settings is the same job."""

    folder: Path
    settings: Path
    start: date
    end: date
    """Excluded; local days of the first site's zone."""
    meters: tuple[str, ...]
    size: int
    """Meters worked on together."""

    @classmethod
    def of(cls, config: Configuration, start: date, end: date, meters: tuple[str, ...]) -> "Job":
        """Name the job and make its folder.

        Raises:
            RecomputeError: an empty span, or nothing was ever processed.
        """
        if end <= start:
            raise RecomputeError("--to must be later than --from")
        if not (config.data / "state.bin").exists():
            raise RecomputeError("nothing was processed yet: there is nothing to compute anew")
        whole = json.dumps([str(start), str(end), meters, config.digest]).encode()
        folder = config.data / "recompute" / hashlib.sha256(whole).hexdigest()[:10]
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "size"
        if not note.exists():  # later runs go on with the same groups
            note.write_text(str(_size(config, start, meters)))
        return cls(folder, config.path, start, end, meters, int(note.read_text()))

    @property
    def id(self) -> str:
        """Name of the job."""
        return self.folder.name

    def groups(self) -> list[tuple[str, ...]]:
        """Return the meters, in the groups that are worked on together."""
        return [self.meters[n : n + self.size] for n in range(0, len(self.meters), self.size)]

    def part(self, group: int, day: int, what: str) -> Path:
        """Return where the rows of a group and day are kept."""
        return self.folder / f"{group:05}-{day:05}.{what}.parquet"

    def days(self) -> int:
        """Return how many days there are."""
        return (self.end - self.start).days

    @property
    def complete(self) -> bool:
        """Every part is there."""
        return self.done() == len(self.groups()) * self.days()

    def clear(self) -> None:
        """Forget what was computed."""
        for path in self.folder.glob("*.parquet"):
            path.unlink()
        (self.folder / PUBLISHED).unlink(missing_ok=True)

    def done(self) -> int:
        """Return how many parts are there."""
        return len(list(self.folder.glob("*.intervals.parquet")))

    def rows(self, what: str) -> pl.DataFrame:
        """Return the kept rows.

        Args:
            what: `intervals` that would be revised, `issued` before; `readings` that are corrected,
                and those `beside` the span that would be too; those `left`, in and beside it.
        """
        found = sorted(self.folder.glob(f"*.{what}.parquet"))
        schema = _SCHEMAS.get(what, INTERVAL)
        frames = [pl.read_parquet(path) for path in found]
        rows = pl.concat([pl.DataFrame(schema=schema), *frames])
        if what in _SCHEMAS:
            return rows
        # a long gap may lean on days computed later: the last word counts
        key = ["meter_id", "start"]
        if what == "intervals":
            return rows.unique(key, keep="last", maintain_order=True)
        return rows.unique(key, keep="first", maintain_order=True)


def _size(config: Configuration, start: date, meters: tuple[str, ...]) -> int:
    """Return how many meters to work on together: as many as memory and cores allow."""
    history = History.open_readonly(config.data / "history", config.book, Clock.real().now)
    first = _midnight(start, ZoneInfo(config.sites[0].timezone))
    some = meters[:: max(len(meters) // _SAMPLE, 1)]
    told = history.readings(first, first + _DAY, some).height / max(len(some), 1)
    share = -(-len(meters) // (os.cpu_count() or 1))
    return max(min(int(AT_ONCE / max(told, 1)), share), 1)


def preview(job: Job, workers: int, progress: Callable[[float], None]) -> None:
    """Compute what is not there yet; an interrupted job goes on where it was.

    Raises:
        RecomputeError: words kept with readings do not fit the map in force now.
        OSError: a file cannot be read or written.
    """
    total = max(len(job.groups()) * job.days(), 1)
    progress(job.done() / total)
    if workers == 1:
        for number in range(len(job.groups())):
            _group(job, number)
            progress(job.done() / total)
        return
    context = multiprocessing.get_context("spawn")  # polars' threads do not survive a fork
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = {pool.submit(_group, job, number) for number in range(len(job.groups()))}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=_TOLD_EVERY_S, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
                progress(job.done() / total)
        except BaseException:
            for one in waiting:
                one.cancel()
            raise


def _group(job: Job, number: int) -> None:
    """Compute one group of meters, day by day; runs in a process of its own."""
    config = load(job.settings)
    clock = Clock.real()
    meters = job.groups()[number]
    history = History.open_readonly(config.data / "history", config.book, clock.now)
    found = snapshot.load(config.data / "state.bin")
    if found is None:
        raise RecomputeError("the state of the processing is gone: start the system once")
    with closing(EditBook(config.data / "edits.db", clock.now)) as book:
        acts = book.acts()
    zone = ZoneInfo(config.sites[0].timezone)
    correction = Correction.of(config, clock.now())
    overlay = Overlay(history, correction)
    low, high = (_midnight(day, zone) for day in (job.start, job.end))
    beside = history.neighbours(meters, low, high, 1)
    _write(correction(beside), job.part(number, 0, "beside"))
    _write(correction.left(beside), job.part(number, job.days(), "left"))
    for day in range(job.days()):
        if (kept := job.part(number, day, "intervals")).exists():
            overlay.take(pl.read_parquet(kept))
            continue
        first, last = (_midnight(job.start + n * _DAY, zone) for n in (day, day + 1))
        spans = by_day(_spans(meters, first, last))
        revised = revise(spans, found[0].marks, overlay, config.book, clock.now(), acts)
        issued = _before(history, revised)
        overlay.take(revised)
        _write(issued, job.part(number, day, "issued"))
        told = history.readings(first, last, meters)
        _write(correction(told), job.part(number, day, "readings"))
        _write(correction.left(told), job.part(number, day, "left"))
        _write(revised, kept)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _spans(meters: tuple[str, ...], first: datetime, last: datetime) -> pl.DataFrame:
    at = INTERVAL["start"]
    return pl.DataFrame({"meter_id": list(meters)}).with_columns(
        pl.lit(first, at).alias("first"), pl.lit(last - timedelta(microseconds=1), at).alias("last")
    )


def _before(history: History, revised: pl.DataFrame) -> pl.DataFrame:
    """Return the blocks as they are issued now."""
    if revised.is_empty():
        return revised
    low, high = revised["start"].min(), revised["end"].max()
    meters = revised["meter_id"].unique().to_list()
    issued = history.intervals(low, high, meters)  # type: ignore[arg-type]  # instants
    return issued.join(revised, on=["meter_id", "start"], how="semi").select(
        pl.col(name).cast(kind) for name, kind in INTERVAL.items()
    )


def _write(rows: pl.DataFrame, path: Path) -> None:
    part = path.with_suffix(".part")
    rows.write_parquet(part)
    part.replace(path)
