"""Register decrease, stop, fly and over-difference: signals over register readings; pure.

After the terminal events of DL/T 698.45 (310B, 310C, 310D, 310E), domain.md section 6.
"""

import polars as pl

from collector.anomaly_limits import Kind
from collector.imported import Form
from collector.reading import UTC_US
from processors.anomaly import Bound, Signal
from processors.interval import BLOCK, Quality
from processors.limits import DEFAULT_RATED_KW, LOOK, NOISE_KWH

_V, _AT = pl.col("energy_import_kwh"), pl.col("at")
_BLOCK_H = BLOCK.total_seconds() / 3600.0
_FOR_EVER_S = float("inf")


CLOSINGS: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "at": UTC_US,
    "energy_import_kwh": pl.Float64(),
    "form": pl.Int32(),
    "piece": pl.Int64(),
}
"""The last register readings of a meter's newest LOOK blocks: what the next ones are judged by,
however long after. `piece` as of `registers`."""


def registers(
    rows: pl.DataFrame, changes: pl.DataFrame, before: pl.DataFrame, known: pl.DataFrame
) -> pl.DataFrame:
    """Return the rows that tell a register, with `piece` and `rise`.

    Args:
        rows: of `anomaly_facts.sampled`.
        changes: `meter_id, at` of declared changes of meter or ratio.
        before: schema CLOSINGS, of readings before these rows.
        known: FACTS of the meters.

    Returns:
        `piece` numbers the registers: it grows where one does not continue the one before it;
        `rise` kWh since the reading before of the same piece, null at its first.
    """
    kept = [*CLOSINGS, "rated_kw", "modulus_kwh"]
    told = rows.filter(_V.is_not_null())
    both = told.with_columns(piece=pl.lit(None, CLOSINGS["piece"])).select(kept)
    if before.height:
        rated = before.join(known, on="meter_id", maintain_order="left").select(kept)
        both = pl.concat([rated, both]).sort("meter_id", "at")
    numbered = _dated(both, changes).with_columns(_breaks().cum_sum().alias("piece"))
    same = pl.col("piece") == pl.col("piece").shift()
    return numbered.with_columns(
        pl.when(same).then(_V - _V.shift()).alias("rise"),
        pl.when(same).then(_V.shift()).alias("before"),
        pl.when(same).then(_hours(_AT.shift(), _AT)).alias("hours"),
        end=_AT,
        gap_s=pl.lit(_FOR_EVER_S),
    )


def _dated(rows: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Add when the meter or its ratio was last `changed`."""
    if changes.is_empty():
        return rows.with_columns(changed=pl.lit(None, UTC_US))
    dated = changes.select("meter_id", pl.col("at").cast(UTC_US).alias("changed"))
    found = rows.sort("at").join_asof(
        dated.sort("changed"),
        left_on="at",
        right_on="changed",
        by="meter_id",
        strategy="backward",
        check_sortedness=False,  # both are sorted just above; within groups it warns
    )
    return found.sort("meter_id", "at")


def _breaks() -> pl.Expr:
    """Return whether a reading does not continue the register of the one before it."""
    meter, form, piece = pl.col("meter_id"), pl.col("form"), pl.col("piece")
    interval = form.is_in([Form.INTERVAL.value, Form.START.value])
    of_readings = pl.any_horizontal(
        form == Form.START.value,
        (interval != interval.shift()).fill_null(value=False),
        (pl.col("changed") > _AT.shift()).fill_null(value=False),
    )
    other = (meter != meter.shift()).fill_null(value=True)
    known = piece.is_not_null() & piece.shift().is_not_null()
    return other | pl.when(known).then(piece != piece.shift()).otherwise(of_readings)


def _hours(since: pl.Expr, until: pl.Expr) -> pl.Expr:
    return (until - since).dt.total_microseconds() / 3.6e9


def _slack(rated: pl.Expr) -> pl.Expr:
    """Return a coarse register's last digit, as of `limits.plausible_gain_kwh`."""
    return pl.max_horizontal(pl.lit(1.0), rated / 30.0)


def decrease(bound: Bound) -> Signal:
    """示度下降: a reading below the one before it that no rollover explains."""
    rated = pl.col("rated_kw").fill_null(DEFAULT_RATED_KW)
    most = 1.2 * rated * pl.col("hours") + _slack(rated)
    modulus = pl.col("modulus_kwh")
    rolled = (pl.col("before") <= modulus) & (pl.col("rise") + modulus <= most)
    return Signal(
        kind=bound.kind,
        phase="",
        needs=("rise",),
        on=(pl.col("rise") < -NOISE_KWH) & ~rolled.fill_null(value=False),
        value=-pl.col("rise"),
        observed=-pl.col("rise"),
        reference=pl.col("before"),
        threshold=pl.lit(0.0),
        unit="kWh",
        measure="kWh",
        total=True,
        steps=True,
    )


def closings(told: pl.DataFrame) -> pl.DataFrame:
    """Return what each block's last reading gained on the one before, as rows of signals.

    Counted above the highest of the LOOK closing readings before, so that a register that dipped
    and came back gains nothing. Blocks are half-open at their start: a reading of 00:15:00 closes
    the block that ends there.
    """
    last = _closing(told)
    piece = pl.col("piece")
    before = [pl.when(piece == piece.shift(n)).then(_V.shift(n)) for n in range(1, LOOK + 1)]
    return last.select(
        *("meter_id", "piece", "rated_kw"),
        pl.when(piece == piece.shift()).then(_AT.shift()).alias("at"),
        pl.col("at").alias("end"),
        (_V - pl.max_horizontal(*before)).alias("gain"),
        gap_s=pl.lit(0.0),
    ).with_columns(possible=pl.col("rated_kw") * _hours(pl.col("at"), pl.col("end")))


def newest(told: pl.DataFrame) -> pl.DataFrame:
    """Return the closing readings that the next ones are judged by, schema CLOSINGS."""
    last = _closing(told).group_by("meter_id", maintain_order=True).tail(LOOK)
    return last.select(pl.col(name).cast(kind) for name, kind in CLOSINGS.items())


def _closing(told: pl.DataFrame) -> pl.DataFrame:
    block = (_AT - pl.duration(microseconds=1)).dt.truncate(BLOCK)
    return told.group_by("meter_id", block.alias("block"), maintain_order=True).last()


def beyond(bound: Bound) -> Signal:
    """电能量超差, 飞走: more energy than the rated power allows in the time."""
    gain, possible = pl.col("gain"), pl.col("possible")
    return Signal(
        kind=bound.kind,
        phase="",
        needs=("at", "gain", "possible"),
        on=gain > bound["share"] * possible + _slack(pl.col("rated_kw")),
        value=gain / possible,
        observed=gain,
        reference=possible,
        threshold=bound["share"],
        unit="1",
        measure="kWh",
        steps=True,
    )


def standing_blocks(rows: pl.DataFrame, intervals: pl.DataFrame) -> pl.DataFrame:
    """Return the measured blocks with the energy their power readings tell, `told_kwh`."""
    power = (
        rows.filter(pl.col("power_kw").is_not_null())
        .group_by("meter_id", _AT.dt.truncate(BLOCK).alias("at"))
        .agg((pl.col("power_kw").mean() * _BLOCK_H).alias("told_kwh"))
    )
    known = pl.col("quality").is_in([Quality.MEASURED.value, Quality.INTERPOLATED.value])
    blocks = intervals.filter(known & pl.col("energy_kwh").is_not_null())
    named = blocks.select("meter_id", pl.col("start").alias("at"), "end", "energy_kwh")
    return (
        named.join(power, on=["meter_id", "at"], how="inner")
        .sort("meter_id", "at")
        .with_columns(gap_s=pl.lit(0.0))
    )


def stop(bound: Bound) -> Signal:
    """停走: the register stands while power readings tell energy."""
    told = pl.col("told_kwh")
    return Signal(
        kind=bound.kind,
        phase="",
        needs=("energy_kwh", "told_kwh"),
        on=(pl.col("energy_kwh") <= NOISE_KWH) & (told > 0),
        value=pl.lit(_BLOCK_H),
        observed=told,
        reference=bound["least_kwh"],
        threshold=bound["hours"],
        unit="h",
        measure="kWh",
        delay_s=bound["hours"] * 3600.0,
        total=True,
    )


def stopped(found: pl.DataFrame) -> pl.DataFrame:
    """Leave out episodes of `stop` of too little energy; the value of the others is their hours."""
    mine = pl.col("kind") == Kind.REGISTER_STOP.value
    enough = found.filter(~mine | (pl.col("observed") >= pl.col("reference")))
    return enough.with_columns(
        pl.when(mine).then(pl.col("held_s") / 3600.0).otherwise("value").alias("value")
    )
