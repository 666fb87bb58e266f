"""One append-only Delta Lake table; the only module that knows the deltalake client.

Files are partitioned by one column, a commit carries its marks (exactly once over a restart), and
`tidy` rewrites small files sorted by meter in the background while reads and appends go on.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import structlog
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError

_LOG = structlog.get_logger()
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_WRITER = WriterProperties(compression="ZSTD", max_row_group_size=32_768)
"""Small row groups let a scan for one meter skip nearly all of a sorted day."""

_CUT_OFF = timedelta(microseconds=999)
"""The log states instants in milliseconds, cut off: a file's greatest may be this much later."""


class StoreError(OSError):
    """The disk or object store failed; nothing was committed, the same call may be tried again."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table holds and how its files are cut and sorted."""

    schema: Mapping[str, pl.DataType]
    partition: pl.Expr
    """Names and computes the partition column from the row; a Date."""
    sort: tuple[str, ...]
    stats: tuple[str, ...] = ()
    """Columns whose least and greatest value per file are kept, to skip files."""

    @property
    def part(self) -> str:
        """Return the partition column's name."""
        return self.partition.meta.output_name()

    @property
    def stored(self) -> dict[str, pl.DataType]:
        """Return the schema on disk, where an enumeration is text."""
        text = pl.String()
        return {n: text if isinstance(t, pl.Enum) else t for n, t in self.schema.items()}


@dataclass(frozen=True, slots=True)
class Tidy:
    """When a partition is rewritten; the two newest partitions are open, the others closed."""

    open_files: int = 32
    """An open partition is packed from this many files on; below it a scan is still fast."""
    closed_files: int = 4
    """A closed partition is sorted into one file from this many files on."""
    sort_rows: int = 12_000_000
    """Greatest partition sorted in memory (about 2 GB); larger ones are only packed."""
    partitions: int = 8
    """Most partitions rewritten in one call, so that a call takes seconds."""
    checkpoint_commits: int = 32
    """Commits after which the log is summed up; opening reads the log since then."""
    vacuum_every_s: float = 3600.0
    """Real seconds between removals of files replaced over an hour ago."""


class Table:
    """A table for one writer and any number of readers; safe to share between threads.

    A writing process sees a commit after `refresh`; a read-only one refreshes before each read.
    """

    def __init__(self, path: Path, shape: Shape, *, readonly: bool = False) -> None:
        self.shape = shape
        self._path = path
        self._readonly = readonly
        self._lock = threading.Lock()
        self._delta: DeltaTable | None = None
        self._files = _no_files(shape)
        self._checkpointed = 0
        self._vacuumed_s = time.monotonic()
        self.refresh()

    def append(self, frame: pl.DataFrame, marks: Mapping[str, int] | None = None) -> None:
        """Commit `frame` and `marks` together, or neither.

        Raises:
            StoreError: nothing was committed; try again.
        """
        shape = self.shape
        rows = frame.select(
            *(pl.col(n).cast(t) for n, t in shape.stored.items()), shape.partition
        ).sort(shape.part, *shape.sort)
        transactions = [Transaction(app, version) for app, version in (marks or {}).items()]
        try:
            write_deltalake(
                self._delta or str(self._path),
                rows,
                mode="append",
                schema_mode="merge",  # a later version's new columns are null in older files
                partition_by=[shape.part],
                configuration=self._configuration() if self._delta is None else None,
                writer_properties=_WRITER,
                commit_properties=CommitProperties(app_transactions=transactions),
                post_commithook_properties=_NO_HOOKS,
            )
        except (DeltaError, OSError) as fault:
            raise StoreError(f"cannot write to {self._path}: {fault}") from fault

    def refresh(self) -> None:
        """Take up what has been committed since."""
        with self._lock:
            if self._delta is None:
                if not DeltaTable.is_deltatable(str(self._path)):
                    return
                self._delta = DeltaTable(str(self._path))
            else:
                self._delta.update_incremental()
            self._files = _files(self._delta, self.shape)

    def mark(self, app: str) -> int | None:
        """Return the mark committed last under this name, or None."""
        with self._lock:
            return None if self._delta is None else self._delta.transaction_version(app)

    def files(self) -> pl.DataFrame:
        """Return the files in force: path, rows, part, and `min.x`, `max.x` of the stats."""
        if self._readonly:
            self.refresh()
        return self._files

    def read(
        self, files: pl.DataFrame, rows: pl.Expr | None = None, columns: tuple[str, ...] = ()
    ) -> pl.DataFrame:
        """Return the rows of some of `files()` that satisfy `rows`, in no particular order."""
        schema = {n: self.shape.schema[n] for n in columns or self.shape.schema}
        if files.is_empty():
            return pl.DataFrame(schema=schema)
        paths = [str(self._path / one) for one in files["path"]]
        scan = pl.scan_parquet(
            paths,
            schema=self.shape.stored,
            missing_columns="insert",
            extra_columns="ignore",
            hive_partitioning=False,
        )
        wanted = scan if rows is None else scan.filter(rows)
        return wanted.select(pl.col(n).cast(t) for n, t in schema.items()).collect()

    def tidy(self, limits: Tidy) -> int:
        """Rewrite crowded partitions, sum up the log, remove old files; return the rewrites.

        Runs beside reads and appends. A partition that gains rows meanwhile is left for next time.
        """
        if not DeltaTable.is_deltatable(str(self._path)):
            return 0
        delta = DeltaTable(str(self._path))
        done = sum(self._rewrite(delta, job, limits) for job in _crowded(delta, self.shape, limits))
        if delta.version() - self._checkpointed >= limits.checkpoint_commits:
            delta.create_checkpoint()
            delta.cleanup_metadata()
            self._checkpointed = delta.version()
        if time.monotonic() - self._vacuumed_s >= limits.vacuum_every_s:
            delta.vacuum(1, dry_run=False, enforce_retention_duration=False)
            self._vacuumed_s = time.monotonic()
        return done

    def _rewrite(self, delta: DeltaTable, job: dict[str, object], limits: Tidy) -> bool:
        day, part = job["part"], self.shape.part
        try:
            if job["open"] or int(str(job["rows"])) > limits.sort_rows:
                delta.optimize.compact(
                    [(part, "=", str(day))],
                    max_concurrent_tasks=1,
                    writer_properties=_WRITER,
                    post_commithook_properties=_NO_HOOKS,
                )
            else:
                self._sort(delta, pl.lit(day))
        except CommitFailedError as clash:
            _LOG.info("partition gained rows while it was rewritten", day=str(day), why=str(clash))
            return False
        return True

    def _sort(self, delta: DeltaTable, part: pl.Expr) -> None:
        delta.update_incremental()  # the files read and the files replaced are of one version
        name = self.shape.part
        files = _files(delta, self.shape).filter(pl.col("part") == part)
        rows = self.read(files).cast(pl.Schema(self.shape.stored)).sort(self.shape.sort)
        write_deltalake(
            delta,
            rows.with_columns(part.alias(name)),
            mode="overwrite",
            schema_mode="merge",
            predicate=f"{name} = '{files['part'][0]}'",
            writer_properties=_WRITER,
            post_commithook_properties=_NO_HOOKS,
        )

    def _configuration(self) -> dict[str, str | None]:
        return {
            "delta.dataSkippingStatsColumns": ",".join(self.shape.stats or self.shape.sort),
            "delta.logRetentionDuration": "interval 1 days",
            "delta.deletedFileRetentionDuration": "interval 1 hours",
        }


def _no_files(shape: Shape) -> pl.DataFrame:
    stats = {f"{edge}.{n}": shape.schema[n] for edge in ("min", "max") for n in shape.stats}
    return pl.DataFrame(schema={"path": pl.String(), "rows": pl.Int64(), "part": pl.Date()} | stats)


def _files(delta: DeltaTable, shape: Shape) -> pl.DataFrame:
    adds: pl.DataFrame = pl.DataFrame(delta.get_add_actions(flatten=True))
    if adds.is_empty():
        return _no_files(shape)
    renamed = adds.rename({"num_records": "rows", f"partition.{shape.part}": "part"})
    typed = renamed.select(pl.col(n).cast(t) for n, t in _no_files(shape).schema.items())
    greatest = [n for n in typed.columns if n.startswith("max.")]
    instants = [n for n in greatest if isinstance(typed.schema[n], pl.Datetime)]
    return typed.with_columns(pl.col(n) + _CUT_OFF for n in instants)


def _crowded(delta: DeltaTable, shape: Shape, limits: Tidy) -> list[dict[str, object]]:
    parts = (
        _files(delta, shape).group_by("part").agg(pl.len().alias("files"), pl.sum("rows"))
    ).with_columns(open=pl.col("part").rank("dense", descending=True) <= 2)
    most = pl.when("open").then(limits.open_files).otherwise(limits.closed_files)
    return parts.filter(pl.col("files") >= most).top_k(limits.partitions, by="files").to_dicts()
