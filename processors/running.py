"""The running block: energy so far, where its demand is heading, and the power still allowed."""

import numpy as np
import polars as pl

from collector.reading import UTC_US
from processors.book import Book
from processors.changes import Changes
from processors.grid import BLOCK_US, floor_block
from processors.limits import HOUR_US, Floats, Ints, limits_of
from processors.live import LIVE
from processors.register import build, evaluate
from processors.samples import Samples, arrange, breaks, code_of
from processors.step import State
from processors.swing import SWING, half_width

SITE_RUNNING: dict[str, pl.DataType] = {
    "site_id": pl.String(),
    "at": UTC_US,
    "block_start": UTC_US,
    "energy_so_far_kwh": pl.Float64(),
    "power_kw": pl.Float64(),
    "projected_demand_kw": pl.Float64(),
    "projected_low_kw": pl.Float64(),
    "projected_high_kw": pl.Float64(),
    "allowed_kw": pl.Float64(),
    "contract_demand_kw": pl.Float64(),
}
"""One row a site: sums over its main meters, null unless all of them are known in this block.
`allowed_kw` = (contract x 0.25 h - energy so far) / time left: the mean power for the rest of the
block that just reaches the contract demand; negative: it is exceeded already. The bounds of the
projection are those of the mains added, as if they swung together: with several too wide."""


def running(
    state: State, book: Book, meters: pl.Series, swings: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return LIVE rows of `meters` (those with a reading in the state), sorted by meter_id.

    Args:
        state: of the step.
        book: the meters.
        meters: which are wanted.
        swings: SWING rows; without a meter's its projection has no bounds.
    """
    mine = state.pending.join(meters.to_frame("meter_id"), on="meter_id", how="semi")
    if mine.is_empty():
        return pl.DataFrame(schema=LIVE)
    samples = arrange(code_of(mine, book))
    code, first = np.unique(samples.code, return_index=True)
    last = np.append(first[1:], len(samples.code)) - 1
    t = samples.t[last]
    start = floor_block(t)
    so_far, pace, over_h = _register_view(samples, book, code, start)
    power = _last_power(samples, code)
    over_h = np.where(np.isnan(power), over_h, 0.0)
    power = np.where(np.isnan(power), pace, power)
    left_h = (start + BLOCK_US - t) / HOUR_US
    projected = (so_far + power * left_h) / 0.25
    facts = book.meters[code].select("meter_id", "site_id", "is_main")
    wide = half_width(_swing(facts, swings), left_h, over_h)
    received = mine.group_by("meter_id").agg(pl.col("received_at").max())
    frame = facts.with_columns(
        pl.Series("measured_at", t).cast(UTC_US),
        pl.Series("power_kw", power).fill_nan(None),
        pl.Series("block_start", start).cast(UTC_US),
        pl.Series("energy_so_far_kwh", so_far).fill_nan(None),
        pl.Series("projected_demand_kw", projected).fill_nan(None),
        # what was counted cannot be taken back
        pl.Series("projected_low_kw", np.maximum(projected - wide, so_far / 0.25)).fill_nan(None),
        pl.Series("projected_high_kw", projected + wide).fill_nan(None),
    )
    return frame.join(received, on="meter_id").select(list(LIVE)).sort("meter_id")


def _swing(facts: pl.DataFrame, swings: pl.DataFrame | None) -> Floats:
    known = pl.DataFrame(schema=SWING) if swings is None else swings
    found = facts.join(known, on="meter_id", how="left", maintain_order="left")
    swing: Floats = found["swing_kw"].fill_null(float("nan")).to_numpy()
    return swing


def _register_view(
    samples: Samples, book: Book, code: Ints, start: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return energy since `start` (kWh), mean power between the last two readings (kW), and h."""
    has = ~np.isnan(samples.energy)
    so_far, pace, over_h = (np.full(len(code), np.nan) for _ in range(3))
    if not has.any():
        return so_far, pace, over_h
    limits, broken = limits_of(book), breaks(samples.origin[has])
    code_t_v = samples.code[has], samples.t[has], samples.energy[has]
    series = build(*code_t_v, limits, broken, Changes.of(book))
    low = np.searchsorted(series.code, code, "left")
    high = np.searchsorted(series.code, code, "right") - 1
    told = (high >= low) & (start >= series.t[np.minimum(low, len(series.t) - 1)])
    told &= start <= series.t[np.maximum(high, 0)]
    rows = np.flatnonzero(told)
    points = evaluate(series, code[rows], start[rows])
    end = high[rows]
    stated = series.jumps[points.at] == series.jumps[end]
    so_far[rows] = np.where(stated, series.v[end] - points.v, np.nan)
    pair = np.flatnonzero(high > low)
    before = high[pair] - 1
    hours = series.straddle_us[before] / HOUR_US
    pace[pair] = np.divide(
        series.gain[before], hours, where=hours > 0, out=np.full(len(pair), np.nan)
    )
    over_h[pair] = hours
    return so_far, pace, over_h


def _last_power(samples: Samples, code: Ints) -> Floats:
    """Return each meter's power if its last sample carries one, else NaN."""
    last = np.searchsorted(samples.code, code, "right") - 1
    power: Floats = samples.power[last]
    return power


def merge(known: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Return LIVE rows with `fresh` in place of what was known of the same meters."""
    rest = known.join(fresh.select("meter_id"), on="meter_id", how="anti")
    return pl.concat([rest, fresh]).sort("meter_id")


def site_running(live: pl.DataFrame, contract: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Sum LIVE rows to sites.

    Args:
        live: LIVE rows of the sites' meters.
        contract: columns site_id, contract_demand_kw: in force now.
        book: which meters are a site's main meters.

    Returns:
        SITE_RUNNING rows, one a site of which a main meter was heard.
    """
    count = book.meters.filter("is_main").group_by("site_id").agg(pl.len().alias("mains"))
    newest = pl.col("block_start") == pl.col("block_start").max().over("site_id")
    here = live.filter("is_main").filter(newest)
    whole = (pl.len() == pl.col("mains").first()) & pl.col("energy_so_far_kwh").is_not_null().all()
    sums = (
        here.join(count, on="site_id")
        .group_by("site_id", "block_start")
        .agg(
            pl.col("measured_at").max().alias("at"),
            *(
                pl.when(whole).then(pl.col(name).sum())
                for name in ("energy_so_far_kwh", "power_kw", "projected_demand_kw")
            ),
            *(
                pl.when(whole & pl.col(name).is_not_null().all()).then(pl.col(name).sum())
                for name in ("projected_low_kw", "projected_high_kw")
            ),
        )
        .join(contract, on="site_id", how="left")
    )
    end = pl.col("block_start") + pl.duration(microseconds=BLOCK_US)
    left_h = (end - pl.col("at")).dt.total_microseconds() / HOUR_US
    room = pl.col("contract_demand_kw") * 0.25 - pl.col("energy_so_far_kwh")
    return sums.with_columns((room / left_h).alias("allowed_kw")).select(list(SITE_RUNNING))
