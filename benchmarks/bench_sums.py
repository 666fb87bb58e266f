"""Sums of 10,000 meters to sites, park, districts, industries and the city, by delta.

One block's closing (a row of each meter at once) and one revised row; beside the same sums computed
anew from all rows, as a group-by does it.
"""

import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from processors.group_state import GroupState, Plan, update
from processors.groups import group_sums
from processors.interval import INTERVAL, QUALITY
from processors.places import KINDS, MEMBER, Places

METERS, BLOCKS, ROUNDS = 10_000, 8, 21
START = datetime(2026, 1, 1, tzinfo=UTC)


def places_of(meters: int) -> Places:
    """Return `meters` main meters, ten a site, 20 districts, 30 industries, 100 parks."""
    number = np.arange(meters)
    site = [f"s{n // 10:05d}" for n in number]
    schema = {name: kind for name, kind in MEMBER.items() if name != "group_id"}
    facts = {
        "meter_id": [f"m{n:06d}" for n in number],
        "role": np.zeros(meters),
        "rated_power_kw": np.full(meters, 500.0),
        "signed": np.zeros(meters, bool),
    }
    frame = pl.DataFrame(facts).cast(pl.Schema(schema))
    groups = [
        (name, kind, group)
        for n, name in enumerate(sorted(set(site)))
        for kind, group in zip(
            KINDS, (name, f"p{n % 100}", f"d{n % 20}", f"C{n % 30 + 10}", "city"), strict=True
        )
    ]
    return Places(
        frame.with_columns(pl.Series("site_id", site), pl.lit(value=False).alias("unmetered")),
        pl.DataFrame(groups, schema=["site_id", "group_kind", "group_id"], orient="row"),
    )


def closing(places: Places, block: int, revision: int = 0) -> pl.DataFrame:
    """Return a row of each meter of one block."""
    meters = places.meters.height
    rng = np.random.default_rng(block)
    start = START + timedelta(minutes=15 * block)
    told = pl.DataFrame(
        {"meter_id": places.meters["meter_id"], "energy_kwh": rng.uniform(1, 100, meters)}
    ).with_columns(
        pl.lit(start).alias("start"),
        pl.lit(start + timedelta(minutes=15 + revision)).alias("computed_at"),
        pl.lit(1.0).alias("coverage"),
        pl.lit("measured", QUALITY).alias("quality"),
        pl.lit(revision).alias("revision"),
    )
    missing = (pl.lit(None).alias(name) for name in INTERVAL if name not in told.columns)
    return told.with_columns(missing).select(pl.col(n).cast(t) for n, t in INTERVAL.items())


def run(meters: int = METERS, rounds: int = ROUNDS) -> dict[str, float]:
    """Return milliseconds of each update, the median of some, and bytes a meter and block."""
    places = places_of(meters)
    state = GroupState(Plan.of(places))
    for block in range(BLOCKS):
        state, _ = update(state, closing(places, block))
    fresh, changed = closing(places, BLOCKS), closing(places, 3, revision=1)
    ones = [changed.slice(n * 7, 1) for n in range(rounds)]
    whole = _ms(lambda _: update(state, fresh), rounds)
    one = _ms(lambda n: update(state, ones[n]), rounds)
    anew = _ms(lambda _: [group_sums(fresh, places, kind) for kind in KINDS], max(3, rounds // 4))
    said = state.blocks[min(state.blocks)]
    size = said.said.nbytes + said.totals.nbytes + said.at.nbytes
    return {
        "sums_meters": meters,
        "sums_close_block_ms": whole,
        "sums_revise_row_ms": one,
        "sums_anew_ms": anew,
        "sums_state_bytes_per_meter_block": size / meters,
    }


def _ms(call: Callable[[int], object], rounds: int) -> float:
    call(0)
    took = []
    for n in range(rounds):
        begun = time.perf_counter()
        call(n)
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1000


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
