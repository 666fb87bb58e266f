"""Interval values as registers: runs of running sums, and their seams with what is known. Pure.

A *run* is a stretch of intervals without a hole. Its register is read one microsecond after it
begins and at each interval's end; between two runs nothing is stated (`collector.imported`), so the
energy of each interval is its own: whatever the order of files and whatever lies beside them.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from collector.imported import START_AFTER, Form, id_of, origins, standing
from collector.reading import KEY
from collector.reason import Reason
from collector.sources.filefaults import Sieve

REGISTER_DECIMALS = 6
"""A register has a last digit; without one, 0.1 + 0.2 would be read from it."""
_LAST_DIGIT = 2e-6
_KEPT = timedelta(microseconds=2)


@dataclass(slots=True)
class Runs:
    """Turns the rows of one file into registers, in parts of ascending time; sums run on."""

    names: list[str]
    """The quantities; the first one's presence makes an interval, if it is the import register."""
    every: timedelta
    totals: pl.DataFrame | None = None
    """`meter_id` and where each register stood at the end of the last part."""
    ended: pl.DataFrame | None = None
    """`meter_id` and the `ended` of the latest interval so far, taken or refused."""
    continued: set[str] = field(default_factory=set)
    """Ids of the imports whose runs go on behind a run of this one."""

    def registers(self, rows: pl.DataFrame, around: pl.DataFrame, sieve: Sieve) -> pl.DataFrame:
        """Return `meter_id, measured_at, form` and the registers.

        Args:
            rows: by meter and `measured_at`, the interval's end, each once; what was used in it. No
                meter's are earlier than in the part before.
            around: READING rows already known of these meters in and beside these intervals, every
                version received, not this import's own.
            sieve: takes intervals that cannot be set among them.
        """
        rows = self._apart(rows, sieve)
        known = _settled(around, self.names)
        rows = self._free(rows, known, sieve)
        rows = self._set_on(self._summed(rows), known)
        begun = _keys(known.filter(pl.col("form") == Form.START))
        starts = self._starts(rows, begun)
        ends = rows.select(*KEY, pl.lit(int(Form.INTERVAL)).alias("form"), *self.names)
        mended = self._mended(rows, starts, known)
        return pl.concat([starts, ends, mended])

    def _apart(self, rows: pl.DataFrame, sieve: Sieve) -> pl.DataFrame:
        """Leave out intervals that overlap the one before, be it in the part before."""
        at = pl.col("measured_at")
        last = rows.group_by("meter_id").agg(at.max().alias("ended"))
        before = at.shift(1).over("meter_id")
        if self.ended is not None:
            rows = rows.join(self.ended, on="meter_id", how="left", maintain_order="left")
            before = pl.coalesce(before, "ended")
            last = pl.concat([self.ended.join(last, on="meter_id", how="anti"), last])
        self.ended = last
        apart = before.is_null() | (before <= at - self.every)
        rows = sieve.keep(rows, apart, Reason.OVERLAPPING_INTERVAL, pl.col(self.names[0]))
        return rows.drop("ended", strict=False)

    def _free(self, rows: pl.DataFrame, known: pl.DataFrame, sieve: Sieve) -> pl.DataFrame:
        """Leave out intervals in which the meter was read, or that another import cut otherwise."""
        if known.is_empty() or rows.is_empty():
            return rows
        own = rows.select("meter_id", pl.col("measured_at").alias("end")).sort("end")
        inside = (
            known.with_columns((pl.col("measured_at") - _KEPT).alias("after"))
            .sort("after")
            .join_asof(
                own.with_columns((pl.col("end") - self.every).alias("begin")).sort("begin"),
                left_on="after",
                right_on="begin",
                by="meter_id",
                strategy="backward",
                check_sortedness=False,
            )
            .filter(pl.col("measured_at") <= pl.col("end"))
        )
        same_end = (pl.col("measured_at") == pl.col("end")) & (pl.col("form") != Form.REGISTER)
        taken = inside.filter(~same_end).select("meter_id", pl.col("end").alias("measured_at"))
        if taken.is_empty():
            return rows
        marked = rows.join(
            taken.unique().with_columns(pl.lit(value=True).alias("taken")),
            on=KEY, how="left", maintain_order="left",
        )  # fmt: skip
        free = sieve.keep(
            marked, pl.col("taken").is_null(), Reason.ALREADY_READ, pl.col(self.names[0])
        )
        return free.drop("taken")

    def _summed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Make NAME the register at the interval's end, and add `NAME.before`, at its start."""
        if self.totals is not None:
            carried = self.totals.rename({name: f"{name}.carried" for name in self.names})
            rows = rows.join(carried, on="meter_id", how="left", maintain_order="left")
        else:
            rows = rows.with_columns(pl.lit(0.0).alias(f"{name}.carried") for name in self.names)
        sums = []
        for name in self.names:
            used = pl.col(name).fill_null(0.0)
            total = pl.col(f"{name}.carried").fill_null(0.0) + used.cum_sum().over("meter_id")
            before = total - used
            sums.append(before.round(REGISTER_DECIMALS).alias(f"{name}.before"))
            sums.append(total.round(REGISTER_DECIMALS).alias(f"{name}.total"))
            sums.append(
                pl.when(pl.col(name).is_not_null()).then(total.round(REGISTER_DECIMALS)).alias(name)
            )
        rows = rows.with_columns(sums)
        last = rows.group_by("meter_id").agg(
            pl.col(f"{n}.total").last().alias(n) for n in self.names
        )
        self.totals = (
            last if self.totals is None
            else pl.concat([self.totals.join(last, on="meter_id", how="anti"), last])
        )  # fmt: skip
        return rows

    def _set_on(self, rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
        """Let the registers show what is known already of intervals that have not changed.

        So a corrected file revises what it corrects and nothing else. `moved`: the registers are
        other ones than in the interval before.
        """
        ends = known.filter(pl.col("form") == Form.INTERVAL)
        begun = known.filter(pl.col("form") == Form.START)
        begun = begun.with_columns(pl.col("measured_at") - START_AFTER)
        begins = pl.concat([ends, begun]).unique(KEY, keep="last", maintain_order=True)
        for prefix, found in (("begin", begins), ("end", ends)):
            named = found.select(*KEY, *(pl.col(n).alias(f"{n}.{prefix}") for n in self.names))
            back = self.every if prefix == "begin" else timedelta()
            rows = rows.join(
                named.with_columns(pl.col("measured_at") + back),
                on=KEY, how="left", maintain_order="left",
            )  # fmt: skip
        shifts = [self._shift(name).alias(f"{name}.shift") for name in self.names]
        rows = rows.with_columns(shifts)
        moved = [
            pl.col(f"{n}.shift") != pl.col(f"{n}.shift").shift(1).over("meter_id")
            for n in self.names
        ]
        shown = [
            (pl.col(f"{n}{kind}") + pl.col(f"{n}.shift")).round(REGISTER_DECIMALS)
            for n in self.names for kind in ("", ".before")
        ]  # fmt: skip
        return rows.with_columns(pl.any_horizontal(moved).alias("moved"), *shown)

    @staticmethod
    def _shift(name: str) -> pl.Expr:
        """Return what the known register shows above this file's sum; 0 where nothing is known."""
        end, used = pl.col(f"{name}.end"), pl.col(name) - pl.col(f"{name}.before")
        same = (end - pl.col(f"{name}.begin") - used).abs() < _LAST_DIGIT
        shift = pl.when(same).then((end - pl.col(name)).round(REGISTER_DECIMALS))
        return shift.forward_fill().over("meter_id").fill_null(0.0)

    def _starts(self, rows: pl.DataFrame, begun: pl.DataFrame) -> pl.DataFrame:
        """Return the readings where runs begin.

        After a hole, at the part's start, where the registers are other ones, and where the run of
        another import began, whose register this one replaces.
        """
        present = rows.filter(pl.col(self.names[0]).is_not_null())
        before = pl.col("measured_at").shift(1).over("meter_id")
        begins = pl.col("measured_at") - self.every
        at = begins + START_AFTER
        first = (before.is_null() | (before != begins)).alias("first")
        marked = present.with_columns(at.alias("at"), first)
        other = begun.rename({"measured_at": "at"}).with_columns(pl.lit(value=True).alias("other"))
        marked = marked.join(other, on=["meter_id", "at"], how="left")
        again = pl.col("other").fill_null(value=False) | pl.col("moved").fill_null(value=False)
        wanted = marked.filter(pl.col("first") | again)
        return wanted.select(
            "meter_id",
            pl.col("at").alias("measured_at"),
            pl.lit(int(Form.START)).alias("form"),
            *(pl.col(f"{name}.before").alias(name) for name in self.names),
        )

    def _mended(
        self, rows: pl.DataFrame, starts: pl.DataFrame, known: pl.DataFrame
    ) -> pl.DataFrame:
        """Return where another import's run goes on behind the end of a run of this one.

        The reading at that instant is now this import's, so the other's register begins anew there,
        even where it does already: that reading may be withdrawn.
        """
        begins = rows.select("meter_id", (pl.col("measured_at") - self.every).alias("measured_at"))
        last = _keys(rows).join(begins, on=KEY, how="anti")
        ahead = {n: _next(n) for n in ("form", "measured_at", "source", *self.names)}
        anew = (ahead["form"] == Form.START) & (
            ahead["measured_at"] == pl.col("measured_at") + START_AFTER
        )
        goes_on = (pl.col("form") == Form.INTERVAL) & (anew | (ahead["form"] == Form.INTERVAL))
        shown = [pl.when(anew).then(ahead[n]).otherwise(n).alias(n) for n in self.names]
        owner = pl.when(anew).then(_next("source", 2)).otherwise("source")
        told = known.with_columns(
            goes_on.alias("goes_on"), owner.alias("owner"), ahead["source"].alias("next"), *shown
        )
        there = told.filter("goes_on").join(last, on=KEY, how="semi")
        again = there.with_columns(pl.col("measured_at") + START_AFTER)
        again = again.join(_keys(starts), on=KEY, how="anti")
        owners = pl.concat([again["owner"], again["next"]]).drop_nulls().unique()
        self.continued |= {id_of(source) for source in owners}
        return again.select(*KEY, pl.lit(int(Form.START)).alias("form"), *self.names)


def _next(name: str, steps: int = 1) -> pl.Expr:
    """Return a column's value in the meter's row `steps` later."""
    return pl.col(name).shift(-steps).over("meter_id", order_by="measured_at")


def _keys(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*KEY)


def _settled(around: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Return the latest row of each meter and instant whose register was read, with its `form`."""
    told = standing(around).filter(pl.col("energy_import_kwh").is_not_null())
    found = origins(told["source"])
    form = pl.lit(int(Form.REGISTER)) if found is None else (found % 4).alias("form")
    rows = told.with_columns(form.cast(pl.Int32).alias("form"))
    latest = rows.sort("received_at").unique(KEY, keep="last")
    return latest.select(*KEY, "source", pl.col("form").cast(pl.Int32), *names)
