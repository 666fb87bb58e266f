"""Readings, sites and bounds in a few words, for the tests of metering anomalies."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import polars as pl
from policy_rows import REPO

from collector.anomaly_limits import Kind
from collector.reading import conform
from collector.site import Site
from processors.anomalies import Material, anomalies
from processors.anomaly import bounds
from processors.anomaly_facts import facts
from processors.anomaly_settings import AnomalySettings
from processors.balance import balance, lines
from processors.book import Book
from processors.history.days import DAY
from processors.interval import INTERVAL
from processors.policy.load import load_packs

START = datetime(2026, 5, 3, 16, tzinfo=UTC)
"""4 May 2026, 00:00 in Shanghai."""
NEVER = datetime(2200, 1, 1, tzinfo=UTC)
UN, IB = 220.0, 100.0


def a_site(*meters, **over):
    """A works; by default with one meter `m` of 220 V and 100 A basic current."""
    told = meters or ({"id": "m"},)
    electric = {"nominal_voltage_v": UN, "basic_current_a": IB, "rated_power_kw": 66.0}
    return Site.model_validate(
        {
            "id": "w",
            "name": {"zh": "厂", "en": "Works"},
            "kind": "factory",
            "district": "North",
            "meters": [electric | one for one in told],
        }
        | over
    )


def readings(rows, meter="m"):
    """READING rows of dicts with `at` (minutes from START, or an instant)."""
    told = []
    for row in rows:
        at = row["at"]
        instant = at if isinstance(at, datetime) else START + timedelta(minutes=at)
        rest = {name: value for name, value in row.items() if name not in {"at", "end"}}
        told.append({"meter_id": meter, "measured_at": instant, "source": "test"} | rest)
    frame = pl.DataFrame(told, infer_schema_length=None)
    if "received_at" not in frame.columns:
        frame = frame.with_columns(received_at="measured_at")
    return conform(frame)


def normal(at, **over):
    """One reading of a meter at which nothing is wrong."""
    row = {
        "at": at,
        "power_kw": 39.6,
        "reactive_power_kvar": 13.0,
        "energy_import_kwh": 1000.0 + 0.66 * at,
    }
    for phase in "abc":
        row |= {f"voltage_{phase}_v": 220.0, f"current_{phase}_a": 60.0}
        row[f"power_{phase}_kw"] = 13.2
    return row | over


@cache
def shipped():
    """The thresholds as shipped."""
    packs, faults = load_packs(REPO / "config" / "policy")
    assert not faults
    return packs.anomaly("metering-anomaly", date(2026, 5, 4))


def look(told, sites=None, intervals=None, days=None, balances=None, only=(), **settings):
    """ANOMALY and SOUGHT rows; of some kinds `only`."""
    if only:
        settings["off"] = [kind for kind in Kind if kind not in only]
    places = sites or [a_site()]
    book = Book.of(places)
    pack = shipped()
    blocks = pl.DataFrame(schema=INTERVAL) if intervals is None else intervals
    material = Material(
        judged_to=NEVER,
        facts=facts(places),
        readings=told,
        intervals=blocks,
        days=pl.DataFrame(schema=DAY) if days is None else days,
        balances=balance(blocks, lines(places), zone="Asia/Shanghai")
        if balances is None
        else balances,
        above=lines(places).select("site_id", "above"),
        changes=book.changes,
        mains=book.meters.filter("is_main").select("site_id", "meter_id"),
    )
    return anomalies(material, bounds(pack, AnomalySettings.model_validate(settings)))[:2]


def of(found, kind):
    """Return (phase, since, until, since_is_bound, value) of one kind."""
    rows = found.filter(kind=kind)
    return rows.select("phase", "since", "until", "since_is_bound", "value").rows()
