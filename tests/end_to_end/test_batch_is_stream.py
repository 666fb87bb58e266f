"""Whatever may be asked of history is the same for readings in one batch and for a stream.

The stream: small batches out of order, duplicates, late comers, restarts. Two days on either side
of each change of clocks (a day of 23 hours, one of 25) in a zone that has them. A new table of
`demandwatch query` is compared by being there: KEPT names those that are not of history.
"""

import json
import os
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from program import ROOT, Program
from typer.testing import CliRunner

from collector.clock import Clock
from collector.journal import Journal
from collector.metrics import Metrics
from collector.reading import UTC_US, conform
from demandwatch import query
from demandwatch.cli import app
from demandwatch.query import Question, Table
from demandwatch.query_sums import Per
from demandwatch.settings import load
from processors.engine import Engine
from processors.history.store import History
from processors.indices import Length
from processors.settings import EngineSettings

ZONE = ZoneInfo("Europe/Berlin")
CHANGES = {"23 hours": datetime(2026, 3, 29), "25 hours": datetime(2026, 10, 25)}  # noqa: DTZ001 - local
RUNS = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "1"))
MINUTES = 5
STAMPS = {"revision", "computed_at", "received_at", "opened_at", "closed_at", "seen_at", "known_at"}
"""When something was found out, not what."""
KEPT = {Table.VERDICTS, Table.ALERTS, Table.REJECTS, Table.FLEET, Table.GAPS}
"""Acts and conditions of a running system, with tests of their own; verdicts are judged below."""
PERIODS = {
    Table.INDICES, Table.WEEKDAYS, Table.YEAR_ON_YEAR, Table.TYPICAL_DAYS, Table.DURATION,
    Table.TARIFF_SHARES, Table.QUALITY,
}  # fmt: skip
VOLTS = ("voltage_a_v", "voltage_b_v", "voltage_c_v")
AMPS = ("current_a_a", "current_b_a", "current_c_a")
GROUPS = ("site", "park", "district", "industry", "city", "label:owner", "virtual")


FACTS = {"district": "d", "timezone": ZONE.key, "labels": {"owner": "city"}, "park": "p"}
FROM = {"from": "2026-01-01"}
FILE = {"source": {"via": "file"}, "nominal_voltage_v": 220}
SUPPLY = {"tariff": "guangdong-tou", "area": "guangdong", "basic": "actual_max_demand"}
OUTPUT = {"product": "output_value", "output": 120.0, "unit": "万元", "declared_by": "statistics"}
WORKS = FACTS | {
    "id": "works",
    "name": {"zh": "厂", "en": "Works"},
    "kind": "factory",
    "industry": "C13",
    "contract_demand_kw": [FROM | {"value": 120}],
    "quota_month_kwh": [FROM | {"value": 9000}],
    "quota_year_kwh": [FROM | {"value": 90000}],
    "cap_kw": [FROM | {"value": 90}],
    "supply": [FROM | SUPPLY | {"power_factor_standard": "0.90", "prices": "p"}],
    "production": [FROM | OUTPUT | {"until": "2027-01-01"}],
    "virtual": [{"id": "works-rest", "formula": "works-main - works-sub"}],
    "meters": [
        FILE | {"id": "works-main", "rated_power_kw": 400},
        FILE | {"id": "works-sub", "role": "sub", "rated_power_kw": 200},
    ],
}
SHOP = FACTS | {
    "id": "shop",
    "name": {"zh": "店", "en": "Shop"},
    "kind": "retail",
    "use": "supermarket-a",
    "floor_area_m2": [FROM | {"value": 900}],
    "meters": [FILE | {"id": one, "rated_power_kw": 100} for one in ("shop-a", "shop-b")],
}
NOTICE = {"told": "duty desk", "how": "fax", "sha256": "0" * 64}


def settings(day):
    """Return `processors` of the settings, with an event on the last day."""
    start, end, told = ((day + timedelta(days=2, hours=n)).replace(tzinfo=ZONE) for n in (9, 12, 7))
    ordered = {"site": "works", "cut_kw": 5, "notice": NOTICE | {"at": told.isoformat()}}
    event = {"id": "e", "kind": "orderly_use", "sites": [ordered]}
    return SETTINGS | {
        "policy_folder": str(ROOT / "config/policy"),
        "events": [event | {"start": start.isoformat(), "end": end.isoformat()}],
        "baseline": {"keep": 1, "of": 1, "beside_days": 0, "min_coverage": 0.5},
    }


SETTINGS = {
    "tariff": {
        "power_factor": "power-factor-1983",
        "prices": {
            "p": [
                {"from": "2026-01-01", "flat_yuan_per_kwh": 0.67, "funds_yuan_per_kwh": 0.03}
                | {"demand_yuan_per_kw": 32, "provenance": "illustrative", "source": "test"}
            ]
        },
    },
    "verdicts": {"guides": {"retail": "gbt-51161", "factory": "demo-industry"}},
    "indices": {"min_coverage": 0.1, "min_quality_coverage": 0.1},
    "targets": {"pack": "savings-shenzhen", "base_year": 2025},
    "carbon": {
        "factors": [{"from": "2023-01-01", "scope": "广东", "year": 2022, "declared_by": "test"}]
    },
}


def readings(begin, end, seed):
    """Return five-minute readings with holes, a reset, a total that dips, spikes and odd values."""
    chance, rows = random.Random(seed), []
    for meter in ("works-main", "works-sub", "shop-a", "shop-b"):
        total, var, at = 1000.0 * len(meter), 50.0, begin
        silent = begin + timedelta(hours=chance.randint(3, 60))
        hole = timedelta(minutes=chance.choice((10, 45, 200, 500)))
        reset = begin + timedelta(hours=chance.randint(20, 80)) if meter == "shop-b" else None
        while at <= end:
            kw = chance.choice((20.0, 40.0, 60.0, 95.0)) + 10 * (8 <= at.astimezone(ZONE).hour < 18)
            total, var = total + kw * MINUTES / 60, var + kw * MINUTES / 200
            if reset and at >= reset:
                total, reset = 0.0, None
            odd = chance.random()
            told = total - 5.0 if odd < 0.002 else total + 4e4 if odd < 0.004 else total
            volts = [chance.gauss(226, 4) for _ in range(3)]
            if not silent <= at < silent + hole:
                rows.append((meter, at, told, var, *volts, kw, kw * 1.5, kw * 1.4, kw * 1.6))
            at += timedelta(minutes=MINUTES)
    columns = ("energy_import_kwh", "reactive_import_kvarh", *VOLTS, "power_active_kw", *AMPS)
    frame = pl.DataFrame(rows, schema=["meter_id", "measured_at", *columns], orient="row")
    at = pl.col("measured_at").cast(UTC_US)
    return conform(frame.with_columns(at, received_at=at, source=pl.lit("test")))


def streamed(frame, seed):
    """Yield the same readings in batches near their order, some twice, some hours late."""
    chance = random.Random(seed)
    key = [
        n + (chance.uniform(0, 900) if chance.random() < 0.02 else chance.uniform(0, 40))
        for n in range(frame.height)
    ]
    order = frame.sort("measured_at").with_columns(_key=pl.Series(key)).sort("_key").drop("_key")
    again = order.sample(fraction=0.05, seed=seed)
    done = 0
    while done < order.height:
        size = chance.choice((1, 60, 400, 1500))
        part, done = order.slice(done, size), done + size
        twice = again.filter(pl.int_range(pl.len()) % 7 == done % 7)
        yield pl.concat([part, twice]) if chance.random() < 0.1 else part


def fed(folder, batches, day, restarts):
    """Return the configuration of a bureau whose engine has worked up the batches."""
    made = Program.make(folder, [WORKS, SHOP])
    made.settings["processors"] = settings(day)
    made.write()
    config = load(made.config)
    clock = Clock.accelerated((day + timedelta(days=4)).replace(tzinfo=UTC), 1.0)
    config.data.mkdir(parents=True, exist_ok=True)
    journal = Journal(config.data / "journal.db", clock.now)
    for n, batch in enumerate(batches):
        if n == 0 or (restarts and n % 4 == 0):  # a new process, from what was on disk
            history = History(config.data / "history", clock.now, config.book)
            engine = Engine(
                journal, history, config.book, clock, config.data / "state.bin", Metrics(),
                EngineSettings(flush_s=600),
            )  # fmt: skip
            engine.drain()
        journal.append(batch).result()
        engine.pass_once()
        if restarts and n % 4 == 3:
            engine.drain()
    engine.drain()
    journal.close()
    return config


def asked(config, day):
    """Yield the name and the rows of everything that may be asked."""
    first, after, known = (f"{day + timedelta(days=n):%Y-%m-%d}" for n in (-2, 3, 5))
    span = {"start": first, "end": after, "as_of": known}
    for table in Table:
        if table in KEPT:
            continue
        if table in PERIODS:
            for period, names in ((p, n) for p in Length for n in ("meters", "sites")):
                who = [one.id for one in config.sites]
                mine = [meter.id for one in config.sites for meter in one.meters]
                named = {names: tuple(mine if names == "meters" else who)}
                yield (table, period, names), ask(config, table, period=period, **named, **span)
        elif table in (Table.SUMS, Table.BALANCE):
            for group, per in ((g, p) for g in GROUPS for p in Per):
                if group == "virtual" and per is Per.DAY:
                    continue  # told by block alone
                yield (table, group, per), ask(config, table, group=group, per=per, **span)
        else:
            yield (table,), ask(config, table, **span)
    yield ("raw",), ask(config, Table.INTERVALS, raw=True, **span)
    for words in commands(day):
        told = CliRunner().invoke(app, [*words, "-c", str(config.path), "--format", "json"])
        assert told.exit_code == 0, (words, told.output)
        rows = json.loads(told.stdout_bytes)
        yield words, pl.DataFrame(rows, infer_schema_length=None)


def commands(day):
    month, first = f"{day:%Y-%m}", f"{day - timedelta(days=2):%Y-%m-%d}"
    yield ("bill", "--site", "works", "--month", month)
    yield ("bill", "--site", "works", "--month", month, "--periods")
    for show in ("sites", "blocks", "days"):
        yield ("baseline", "--event", "e", "--show", show)
    yield ("policy", "judge", "--from", first, "--to", f"{day + timedelta(days=3):%Y-%m-%d}")


def ask(config, table, **words):
    return query.ask(table, Question(**words), config)


def plain(rows):
    stamps = [name for name in rows.columns if name in STAMPS]
    kept = rows.drop(stamps)
    keys = [n for n, kind in kept.schema.items() if not kind.is_nested() and not kind.is_float()]
    return kept.sort(keys)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("seed", range(RUNS))
def test_every_figure_is_the_same_in_batch_and_stream(tmp_path, name, seed):
    day = CHANGES[name]
    begin, end = ((day + timedelta(days=n)).replace(tzinfo=ZONE).astimezone(UTC) for n in (-2, 3))
    frame = readings(begin, end, seed)
    batch = fed(tmp_path / "batch", [frame], day, restarts=False)
    stream = fed(tmp_path / "stream", streamed(frame, seed), day, restarts=True)
    expected, told = dict(asked(batch, day)), dict(asked(stream, day))
    assert expected.keys() == told.keys()
    silent = {key for key, rows in expected.items() if rows.is_empty()}
    assert silent <= {(Table.CARBON_LABELS,)}, silent
    for key, rows in expected.items():
        try:
            assert_frame_equal(plain(told[key]), plain(rows), rel_tol=1e-9, abs_tol=1e-6)
        except AssertionError as error:
            error.add_note(f"in {key}")
            raise
