"""A history that becomes known bit by bit, and a keeper that looks at it now and then."""

from datetime import timedelta

import polars as pl
from policy_rows import REPO

from collector.clock import Clock
from collector.reading import READING, UTC_US
from processors.anomaly_arrivals import LATE, Mark
from processors.anomaly_keeper import AnomalyKeeper
from processors.history.days import DAY
from processors.interval import INTERVAL
from processors.policy.load import load_packs
from processors.settings import ProcessorsSettings

READING_ROWS, BLOCKS, DAYS = dict(READING), dict(INTERVAL), dict(DAY)
ARRIVES = {"arrives": UTC_US}
PACKS, _ = load_packs(REPO / "config" / "policy")


def nothing(schema):
    return pl.DataFrame(schema=schema | ARRIVES)


class Stream:
    """Past and Late at once: what has arrived by `now`; of several revisions the latest."""

    def __init__(self, now, readings=None, blocks=None, days=None):
        """Every frame has `arrives` beside its columns."""
        self.now = now
        self.tables = {
            "measured_at": nothing(READING_ROWS) if readings is None else readings,
            "start": nothing(BLOCKS) if blocks is None else blocks,
            "day": nothing(DAYS) if days is None else days,
        }

    def _told(self, column, start, end, meters):
        at = pl.col(column)
        wanted = (at >= start) & (at < end) & (pl.col("arrives") <= self.now)
        rows = self.tables[column].filter(wanted).sort("arrives")
        mine = rows if meters is None else rows.filter(pl.col("meter_id").is_in(list(meters)))
        if column != "measured_at":
            mine = mine.unique(["meter_id", column], keep="last", maintain_order=True)
        return mine.drop("arrives").sort("meter_id", column)

    def readings(self, start, end, meters=None):
        return self._told("measured_at", start, end, meters)

    def intervals(self, start, end, meters=None, as_of=None):
        return self._told("start", start, end, meters)

    def days(self, start, end, meters=None, as_of=None):
        return self._told("day", start, end, meters)

    def mark(self, computed_at):
        return Mark(0, self.now)

    def since(self, mark, before):
        news = (pl.col("arrives") > mark.computed_at) & (pl.col("arrives") <= self.now)
        parts = [
            table.filter(news, pl.col(at) <= before).select("meter_id", first=pl.col(at))
            for at, table in (
                ("measured_at", self.tables["measured_at"]),
                ("start", self.tables["start"]),
                ("start", self.tables["day"]),
            )
        ]
        late = pl.concat(parts).group_by("meter_id").agg(pl.col("first").min())
        return late.select(pl.col(n).cast(k) for n, k in LATE.items()), Mark(0, self.now)


class Running:
    """A keeper on a stream, at a clock that is set."""

    def __init__(self, folder, stream, sites, **settings):
        self.stream, self.folder, self.sites = stream, folder, sites
        self.settings = ProcessorsSettings.model_validate({"anomalies": settings})
        self.begun, self.told = stream.now, []
        self.restart()

    def restart(self):
        clock = Clock(epoch=self.begun, monotonic=self._seconds)
        self.keeper = AnomalyKeeper(
            self.stream, self.stream, self.sites, PACKS, self.settings, clock, self.folder,
            self.told.append,
        )  # fmt: skip

    def _seconds(self):
        return (self.stream.now - self.begun).total_seconds()

    def look(self, after=timedelta(0)):
        self.stream.now += after
        self.keeper.look()
        return self.keeper.anomalies()
