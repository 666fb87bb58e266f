"""Readings without register words, by the ratios in force now; pure.

A reader stores a figure times the ratio of its settings. What it multiplied by is noted (schema
NOTE); a figure is put right by the quotient of today's factor and that one, and only where both are
known and it was and is multiplied the same way. Everything else is left, and told why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import polars as pl

from collector.imported import standing
from collector.multiplied import READ, Multiplied
from collector.quantity import COUNTERS, QUANTITIES
from collector.reading import KEY, READING, UTC_US, conform
from collector.words import Bools, Floats

RECOMPUTED = "recompute:"
"""Begins the `source` of readings that were corrected; by what was noted when they were issued."""


class Left(StrEnum):
    """Why a reading is left as it was received."""

    NOT_NOTED = "not_noted"
    """Nothing was noted when it was received."""
    EDGE = "edge"
    """A collector at the edge multiplied it, by settings that are not here."""
    CLOCK = "clock"
    """The clock had been set back: which note is meant is not sure."""
    SOURCE = "source"
    """A figure was multiplied then and is not now, or the other way about."""
    NO_RATIO_THEN = "no_ratio_then"
    NO_RATIO_NOW = "no_ratio_now"
    OUT_OF_RANGE = "out_of_range"
    """It would be beyond what its quantity can be."""


LEFT: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "measured_at": UTC_US,
    "why": pl.String(),
    "register": pl.Boolean(),
    "readings": pl.Int64(),
}
"""Readings that could not be corrected; `register`: they state one. A row each of meters of which
something else was noted than is so now; of all others one for all, at the last instant."""

_SENT = "_sent"
_AGAIN = pl.col("source").str.starts_with(RECOMPUTED)


@dataclass(frozen=True)
class Rescale:
    """Scales what was multiplied by other ratios than those in force now."""

    notes: pl.DataFrame
    """Schema NOTE."""
    now: Mapping[str, Multiplied]
    """How each meter's figures come about by the settings in force."""

    @cached_property
    def _noted(self) -> pl.DataFrame:
        """Return the notes by time; `sure` unless a later note tells of an earlier instant."""
        later = pl.col("noted_at").reverse().cum_min().reverse().over("meter_id")
        notes = self.notes.sort("note_id").with_columns(sure=pl.col("noted_at") <= later)
        return notes.sort("noted_at", "note_id")

    @cached_property
    def _then(self) -> dict[int, Multiplied]:
        told = self.notes.select("note_id", "via", "quantities", "steps").iter_rows()
        return {number: Multiplied.read(*how) for number, *how in told}

    @cached_property
    def _otherwise(self) -> list[str]:
        """Return the meters of which something else was noted than is so now."""
        pairs = zip(self.notes["note_id"], self.notes["meter_id"], strict=True)
        odd = {m for n, m in pairs if m in self.now and self._then[n] != self.now[m]}
        return sorted(odd)

    @cached_property
    def _asked(self) -> list[str]:
        """Return the meters whose readings may have been multiplied by another ratio."""
        told = {m for m, how in self.now.items() if how.dated}
        some = {m for m in told if self.now[m].quantities or self.now[m].via == "edge"}
        return sorted(some | set(self._otherwise))

    def corrected(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the readings whose figures are others by the ratios in force now.

        Args:
            rows: READING rows, every version received.

        Returns:
            READING rows with what was read; what an import stated of the same instant is null, for
            it stands. `source` and `received_at` are those of the version last received.
        """
        mine = _wordless(rows, self._otherwise)
        if mine.is_empty():
            return pl.DataFrame(schema=READING)
        parts = [part for part in self._judged(mine) if part.height]
        return _settled(pl.concat(parts)) if parts else pl.DataFrame(schema=READING)

    def left(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the readings that may be wrong by their ratio and cannot be corrected.

        Args:
            rows: as `corrected`.

        Returns:
            LEFT rows.
        """
        mine = _wordless(rows, self._asked)
        if mine.is_empty():
            return pl.DataFrame(schema=LEFT)
        latest = mine.unique(KEY, keep="last").sort("received_at")
        states = pl.any_horizontal(pl.col(name).is_not_null() for name in COUNTERS)
        told = [
            part.filter(pl.col("why").is_not_null()).select(
                *KEY, "why", states.alias("register"), pl.lit(1, pl.Int64()).alias("readings")
            )
            for part in self._judged(latest, all_of_them=False)
        ]
        whole = pl.concat([pl.DataFrame(schema=LEFT), *told])
        single = pl.col("meter_id").is_in(self._otherwise)
        rest = whole.filter(~single).group_by("meter_id", "why", "register")
        summed = rest.agg(pl.col("measured_at").max(), pl.col("readings").sum())
        return pl.concat([whole.filter(single), summed.select(list(LEFT))])

    def _judged(self, rows: pl.DataFrame, *, all_of_them: bool = True) -> Iterator[pl.DataFrame]:
        """Yield rows with figures by today's ratios, with `why` (null: right) and `changed`.

        Args:
            rows: READING rows by `received_at`.
            all_of_them: also what nobody multiplied, as it is; not those alone.
        """
        kind = pl.col("source").str.split(":").list.first()
        sent = rows.with_columns((kind.is_in(READ) | _AGAIN).alias(_SENT))
        if all_of_them:
            rest = sent.filter(~pl.col(_SENT))
            yield rest.with_columns(why=pl.lit(None, pl.String), changed=pl.lit(value=False))
        noted = self._noted.select("meter_id", "noted_at", "note_id", "sure")
        placed = sent.filter(_SENT).join_asof(
            noted, left_on="received_at", right_on="noted_at", by="meter_id",
            check_sortedness=False,
        )  # fmt: skip
        columns = [*rows.columns, _SENT]
        yield self._not_noted(placed.filter(pl.col("note_id").is_null()).select(columns))
        noted_rows = placed.filter(pl.col("note_id").is_not_null())
        if not all_of_them:
            noted_rows = self._odd(noted_rows)
        for (meter, note), part in noted_rows.partition_by(
            "meter_id", "note_id", as_dict=True, maintain_order=True
        ).items():
            how = self.now[str(meter)]
            shown = part.select(columns)
            then = self._then[int(note)]
            came = part["source"].str.split(":").list.first()
            strange = ((came != then.via) & ~part["source"].str.starts_with(RECOMPUTED)).any()
            if then == how and not strange:
                yield shown.with_columns(why=pl.lit(None, pl.String), changed=pl.lit(value=False))
            elif strange:
                yield _all(shown, Left.EDGE if then.via == "edge" else Left.SOURCE)
            elif not part["sure"].all():
                yield _all(shown, Left.CLOCK)
            else:
                yield _scaled(shown, then, how)

    def _not_noted(self, rows: pl.DataFrame) -> pl.DataFrame:
        edges = [meter for meter, how in self.now.items() if how.via == "edge"]
        edge = pl.when(pl.col("meter_id").is_in(edges)).then(pl.lit(Left.EDGE.value))
        why = edge.otherwise(pl.lit(Left.NOT_NOTED.value))
        return rows.with_columns(why=why, changed=pl.lit(value=False))

    def _odd(self, placed: pl.DataFrame) -> pl.DataFrame:
        """Leave out what came as noted, where that is so now: of most meters everything."""
        pairs = zip(self.notes["note_id"], self.notes["meter_id"], strict=True)
        same = [(n, self._then[n].via) for n, m in pairs if self._then[n] == self.now.get(m)]
        alike = pl.DataFrame(same, {"note_id": pl.Int64(), "as_noted": pl.String()}, orient="row")
        came = pl.col("source").str.split(":").list.first() == pl.col("as_noted")
        fits = came | (pl.col("as_noted").is_not_null() & _AGAIN)
        marked = placed.join(alike, on="note_id", how="left", maintain_order="left")
        return marked.filter(~fits.fill_null(value=False)).drop("as_noted")


def _wordless(rows: pl.DataFrame, meters: list[str]) -> pl.DataFrame:
    """Return the rows of `meters` that count and whose instant has no kept words, as received."""
    if not meters:
        return rows.clear()
    mine = standing(conform(rows.filter(pl.col("meter_id").is_in(meters))))
    worded = mine.filter(pl.col("register_words").is_not_null()).select(KEY)
    return mine.join(worded, on=KEY, how="anti").sort("received_at", maintain_order=True)


def _all(rows: pl.DataFrame, why: Left) -> pl.DataFrame:
    return rows.with_columns(why=pl.lit(why.value), changed=pl.lit(value=False))


def _scaled(rows: pl.DataFrame, then: Multiplied, now: Multiplied) -> pl.DataFrame:
    """Return rows of one meter and note by `now`; those that cannot be are as they were."""
    at_us = rows["measured_at"].to_physical().to_numpy()
    before, after = then.factors(at_us), now.factors(at_us)
    why = np.full(rows.height, "", dtype=object)
    changed: Bools = np.zeros(rows.height, dtype=bool)
    figures: dict[str, Floats] = {}
    behind = then.quantities | now.quantities
    for name in (one for one in QUANTITIES if one in behind):
        stated = rows[name].fill_null(np.nan).to_numpy()
        old, new = before[name], after[name]
        same: Bools = (old == new) | (np.isnan(old) & np.isnan(new))
        value = np.where(same, stated, stated * (new / old))
        says = ~np.isnan(stated) & ~same
        limits = QUANTITIES[name]
        if (name in then.quantities) != (name in now.quantities):
            why[says & (why == "")] = Left.SOURCE.value
        why[~same & np.isnan(old) & (why == "")] = Left.NO_RATIO_THEN.value
        why[says & np.isnan(new) & (why == "")] = Left.NO_RATIO_NOW.value
        with np.errstate(invalid="ignore"):
            beyond = says & ~((value >= limits.low) & (value <= limits.high))
        why[beyond & (why == "")] = Left.OUT_OF_RANGE.value
        changed |= says
        figures[name] = value
    kept = why == ""
    series = [
        pl.Series(name, np.where(kept, value, rows[name].fill_null(np.nan).to_numpy()))
        for name, value in figures.items()
    ]
    return rows.with_columns(one.fill_nan(None) for one in series).with_columns(
        pl.Series("why", why, dtype=pl.String).replace("", None),
        pl.Series("changed", changed & kept),
    )


def _settled(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one READING row an instant where a figure that stands is another now.

    As everywhere, the version last received stands, column by column.
    """
    good = pl.col(_SENT) & pl.col("why").is_null()
    told = [pl.col(name).is_not_null() for name in QUANTITIES]
    moved = [pl.col("changed").filter(said).last().fill_null(value=False) for said in told]
    figures = [
        pl.when(good).then(pl.col(name)).filter(said).last().alias(name)
        for name, said in zip(QUANTITIES, told, strict=True)
    ]
    found = (
        rows.sort("received_at", maintain_order=True)
        .group_by(KEY, maintain_order=True)
        .agg(
            pl.col("received_at").last(),
            pl.col("source").last(),
            *figures,
            moved=pl.any_horizontal(moved),
        )
        .filter("moved")
    )
    return conform(found.drop("moved"))
