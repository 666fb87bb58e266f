"""Looks of a running system, one after another, find what one look at all of it finds.

Every kind, whatever comes late, however long a meter is silent, over restarts.
"""

import os
import random
from datetime import timedelta
from functools import partial

import polars as pl
import pytest
from anomaly_stream import DAYS, PACKS, Running, Stream
from anomaly_world import START, a_site, normal, readings
from polars.testing import assert_frame_equal
from policy_rows import day_rows
from sum_rows import frame

from collector.anomaly_limits import Kind
from collector.reading import UTC_US
from processors.anomaly import bounds
from processors.anomaly_look import Look, look

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "2"))
SEEDS = pytest.mark.parametrize("seed", range(EXAMPLES))
FEWER = pytest.mark.parametrize("seed", range((EXAMPLES + 1) // 2))
LEVELS = ("sudden_drop", "sudden_rise", "ct_ratio_jump", "zero_use")
KEPT = {"keep_days": 400, "look_again_days": 400}
SOON = {"limits": {"phase_loss_suspect": {"hours": 1.0}}}
FOUND: set[str] = set()
"""The kinds that were found at all: a comparison of nothing proves nothing."""

ODD = [
    {}, {}, {},
    {"voltage_a_v": 110.0},
    {"voltage_a_v": 180.0},
    {"voltage_b_v": 20.0, "current_b_a": 0.1},
    {"voltage_c_v": 270.0, "current_a_a": 130.0},
    {"current_c_a": 0.2},
    {"current_c_a": 3.0},
    {"power_kw": -9.0, "power_a_kw": 30.0},
    {"power_kw": 3.9, "reactive_power_kvar": 60.0},
    {"power_kw": None, "voltage_a_v": None},
    {"energy_import_kwh": None},
]  # fmt: skip
DAY, HOUR, BLOCK = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)
TREE = [
    a_site(
        {"id": "m", "role": "main", "register_modulus_kwh": 100_000.0},
        {"id": "s", "role": "sub", "anomalies": {"off": ["overload"]}},
        wholly_sub_metered=True,
        timezone="Europe/Berlin",
    ),
    a_site({"id": "x", "role": "main"}, {"id": "y", "role": "main"}, {"id": "z", "role": "sub"},
           id="v", timezone="America/St_Johns"),
]  # fmt: skip
METERS = ["m", "s", "x", "y", "z"]


def late(rng, at):
    """When something of `at` becomes known: mostly soon, sometimes after a day or two."""
    wait = rng.choice([1, 1, 1, 1, 60, 300, 900, 1500, 2600])
    return at + timedelta(minutes=wait * rng.random())


def told(rng, meter, hours):
    """READING rows of a meter: runs of oddities, silences, falling and flying registers."""
    now, end, kwh, rows = START, START + timedelta(hours=hours), 99_000.0, []
    while now < end:
        odd, step = rng.choice(ODD), rng.choice([60, 60, 300, 600])
        arrives = late(rng, now) if rng.random() < 0.3 else None
        standing = rng.random() < 0.2
        for _ in range(rng.randrange(1, 12) * (5 if step == 60 else 1)):
            now += timedelta(seconds=step)
            kwh += 0.0 if standing else step / 3600 * 40
            rows.append(normal(0, energy_import_kwh=kwh) | odd | {"at": now} | _known(now, arrives))
        kwh = (kwh + rng.choice([0, 0, 0, 0, -700.0, 900.0, 60.0])) % 100_000
        now += timedelta(minutes=rng.choice([0, 0, 0, 20, 40, 90, 700]) * rng.random())
    known = pl.Series("arrives", [one.pop("arrives") for one in rows], UTC_US)
    return readings(rows, meter).with_columns(known)


def _known(now, arrives):
    soon = now + timedelta(seconds=5)
    return {"arrives": soon if arrives is None else max(arrives, soon)}


def blocks(rng, hours):
    """INTERVAL rows of all meters: energy, none, or a gap; some revised later."""
    rows, arrives = [], []
    for meter in METERS:
        level, still = rng.choice([1.0, 6.0, 9.0]), 0
        for n in range(hours * 4):
            still = rng.randrange(2, 14) if rng.random() < 0.02 else max(still - 1, 0)
            level = rng.choice([1.0, 6.0, 9.0]) if rng.random() < 0.01 else level
            start = START + n * BLOCK
            known = {"quality": "missing", "energy_kwh": None} if rng.random() < 0.004 else {}
            row = {"meter_id": meter, "start": start, "end": start + BLOCK, "coverage": 1.0}
            row |= {"energy_kwh": 0.0 if still else level, "quality": "measured"} | known
            rows.append(row | {"revision": 0})
            arrives.append(start + BLOCK + timedelta(seconds=1))
            if rng.random() < 0.01:
                rows.append(row | {"energy_kwh": 0.0, "quality": "interpolated", "revision": 1})
                arrives.append(max(late(rng, start + BLOCK), arrives[-1] + timedelta(seconds=1)))
    return frame(rows).with_columns(pl.Series("arrives", arrives, UTC_US))


def levels(rng, meter, count):
    """DAY rows: levels that change, long runs of zeros, days not known; some revised later."""
    energy = []
    while len(energy) < count:
        level = rng.choice([0.0, 8.0, 100.0, 100.0, 30.0, 205.0, 302.0])
        energy += [level] * rng.choice([2, 4, 9, 9, 30, 45, 140])
    energy = [None if rng.random() < 0.01 else kwh for kwh in energy[:count]]
    first = START.date()
    rows = day_rows(meter, first, first + count * DAY, lambda day: energy[(day - first).days])
    rows = rows.with_columns(
        pl.when(pl.col("energy_kwh").is_null()).then(0.0).otherwise(1.0).alias("coverage"),
        arrives=pl.col("end") + pl.duration(seconds=1),
    )
    again = rows.filter(pl.Series(rng.random() < 0.01 for _ in range(count)))
    waits = [timedelta(hours=rng.choice([3, 30, 300])) for _ in range(again.height)]
    revised = again.with_columns(
        pl.col("arrives") + pl.Series(waits, dtype=pl.Duration("us")),
        energy_kwh=pl.lit(0.0),
        coverage=1.0,
    )
    return pl.concat([rows, revised]).select(*DAYS, "arrives")


def same(running, begun):
    """The keeper knows what one look from the beginning on finds, to the last column."""
    stream = running.stream
    judged = partial(bounds, PACKS.anomaly("metering-anomaly", stream.now.date()),
                     running.settings.anomalies)  # fmt: skip
    whole, _, _ = look(stream, running.sites, Look(begun, stream.now, bounds=judged))
    order = ["meter_id", "site_id", "kind", "phase", "since"]
    known = running.keeper.anomalies()
    assert_frame_equal(known.sort(order), whole.sort(order), rel_tol=1e-9, abs_tol=1e-9)
    FOUND.update(whole["kind"])


@SEEDS
def test_readings_and_blocks(tmp_path, seed):
    rng, hours = random.Random(seed), 60
    seen = pl.concat([told(rng, meter, hours) for meter in METERS])
    stream = Stream(START + 9 * HOUR, seen, blocks(rng, hours))
    running = Running(tmp_path, stream, TREE, off=LEVELS, **KEPT, **SOON)
    running.look()
    begun = START + 3 * HOUR
    while stream.now < START + hours * HOUR:
        running.look(timedelta(hours=rng.choice([0.6, 1.0, 2.5, 7.0, 13.0])))
        if rng.random() < 0.2:
            running.restart()
    running.look(3 * DAY)  # by then all has come
    same(running, begun)


@FEWER
def test_days(tmp_path, seed):
    rng, count = random.Random(seed), 170
    names = [f"m{n}" for n in range(12)]
    stream = Stream(START + 50 * DAY, days=pl.concat(levels(rng, name, count) for name in names))
    others = [kind for kind in Kind if kind not in LEVELS]
    places = [a_site({"id": name}, id=f"w{name}") for name in names]
    running = Running(tmp_path, stream, places, off=others, **KEPT)
    running.look()
    begun = stream.now - 6 * HOUR
    while stream.now < START + count * DAY:
        running.look(rng.choice([0.3, 1, 3, 9, 17]) * DAY)
        if rng.random() < 0.1:
            running.restart()
    running.look(13 * DAY)
    same(running, begun)


def test_every_kind_was_found():
    if EXAMPLES >= 2:
        assert {kind.value for kind in Kind} - FOUND == set()
