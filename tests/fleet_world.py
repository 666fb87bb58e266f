"""The console's small city with the troubles a fleet has: health, gaps, refused data."""

from dataclasses import replace
from datetime import timedelta

import console_world as world
import polars as pl

from collector.healthrow import HEALTH
from collector.reason import Reason
from collector.rejects import Rejects
from processors.anomaly import ANOMALY, SOUGHT
from processors.gap_changes import CHANGE, GAP
from processors.gap_ledger import GapLedger

NOW = world.NOW
_WELL = {"successes": 9200, "failures": 3, "refused": 0, "successes_hour": 240,
         "failures_hour": 0, "refused_hour": 0, "every_s": 15.0}  # fmt: skip


def ago(**span):
    return NOW - timedelta(**span)


_TROUBLES = {
    "yantian-cold-m1": {
        "last_heard_at": ago(hours=4, minutes=20), "last_error_at": ago(seconds=40),
        "last_error": "unit 3: no answer within 1 s to 40 registers from 0 by function 3",
        "failed_how": "timeout", "successes_hour": 0, "failures_hour": 14,
    },
    "longhua-pcb-m1": {
        "newest_at": ago(seconds=6), "repeating_since": ago(hours=3), "repeats": 718,
        "repeating_gauges": 7, "repeating_kwh": 1412.6,
    },
    "guangming-gls-m1": {"clock_offset_s": -412.0},
    "seaview-hotel-m1": {"last_heard_at": ago(minutes=4), "every_s": 15.0},
    "dongmen-food-m1": {
        "refused": 31, "refused_hour": 31, "refused_why": "out_of_range",
        "refused_at": ago(minutes=2),
    },
    "baoan-steel-m1": {"successes_hour": 171, "failures_hour": 69},
    "futian-noodle-m1": None,
}  # fmt: skip


def health(sites=world.sites):
    """HEALTH of every meter but the one never heard."""
    rows = []
    for number, meter in enumerate(one for site in sites() for one in site.meters):
        trouble = _TROUBLES.get(meter.id, {})
        if trouble is None:
            continue
        row = {"last_heard_at": ago(seconds=6), "newest_at": ago(seconds=6), "arrival_lag_s": 1.2}
        if number % 2:
            names = ("response_ms", "response_mean_ms", "response_p95_ms")
            row |= dict.fromkeys(names, 14.0 + number) | {"arrival_lag_s": None}
        rows.append({"meter_id": meter.id} | _WELL | row | trouble)
    return pl.DataFrame(rows, schema=HEALTH)


def gap(meter, start, end=None, cause="silent", energy=None, method=None, detail=None, **more):
    row = dict.fromkeys(GAP) | {
        "meter_id": meter, "start": start, "end": end, "cause": cause, "detail": detail,
        "energy_kwh": energy, "method": method, "missing_from": start, "missing_to": end,
        "state": "closed" if end else "open", "noticed_at": start, "changed_at": NOW,
        "change": "found",
    }  # fmt: skip
    return row | more


def fill_gaps(ledger):
    rows = [
        gap("yantian-cold-m1", ago(hours=4, minutes=20), None, "no_answer",
            detail="unit 3: no answer within 1 s to 40 registers from 0 by function 3"),
        gap("zhongxing-m1", ago(hours=7, minutes=54), ago(hours=6, minutes=54), "link",
            1402.7, "spread", "bus-nanshan"),
        gap("zhongxing-m2", ago(hours=7, minutes=54), ago(hours=6, minutes=54), "link",
            188.4, "spread", "bus-nanshan"),
        gap("huaqiang-m1", ago(days=1, hours=3), ago(days=1), "link", 2611.9, "late_data", "mqtt",
            recovered_at=ago(hours=23), missing_from=None, missing_to=None),
        gap("dongmen-food-m1", ago(days=2), ago(days=1, hours=22), "rejected", 61.5, "spread",
            "out_of_range"),
        gap("futian-mall-m1", ago(days=3), ago(days=2, hours=20), "collector", None, "unstated"),
    ]  # fmt: skip
    ledger.record(pl.DataFrame(rows, schema=GAP | CHANGE))


def fill_rejects(rejects):
    for number in range(31):
        rejects.add(
            Reason.OUT_OF_RANGE, "mqtt", "demandwatch/v1/dongmen-food-m1/readings",
            '{"voltage_a_v": 2147483647, "power_kw": <b>84.1</b>}', ago(minutes=33 - number),
        )  # fmt: skip
    rejects.add(Reason.TIMEOUT, "modbus:bus-yantian", "yantian-cold-m1", "unit 3: no answer", NOW)


def anomaly(meter, kind, phase, since, until, value, threshold, unit, made, document):
    site = next(one.id for one in world.sites() for m in one.meters if m.id == meter)
    observed, reference, measure = made
    return dict.fromkeys(ANOMALY) | {
        "meter_id": meter, "site_id": site, "kind": kind, "phase": phase, "since": since,
        "until": until, "since_is_bound": False, "value": value, "threshold": threshold,
        "unit": unit, "observed": observed, "reference": reference, "measure": measure,
        "basis": "basic_current", "samples": 90, "held_s": 900.0, "document": document,
        "provenance": "unverified" if document else "illustrative", "standing": "clue",
    }  # fmt: skip


def anomalies():
    rows = [
        anomaly("longhua-pcb-m1", "loss_of_voltage", "b", ago(hours=5), None, 0.41, 0.78, "Un",
                (90.2, 220.0, "V"), "DL/T 698.45 3000"),
        anomaly("zhongxing-m2", "reverse_power", "", ago(hours=2), None, -0.031, -0.005, "Pb",
                (-6.8, 220.0, "kW"), "DL/T 698.45 3007"),
        anomaly("huaqiang-m1", "parent_child_gap", "", ago(days=3), None, 0.091, 0.05, "1",
                (421.7, 4634.0, "kWh"), ""),
        anomaly("futian-mall-m1", "register_decrease", "", ago(hours=9), ago(hours=8), 512.6, 0.0,
                "kWh", (512.6, 90_412.2, "kWh"), "DL/T 698.45 310B; Q/GDW 1376.1 ERC27"),
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=ANOMALY)


def sought():
    row = ("yantian-cold-m1", "yantian-cold", "loss_of_voltage", 0, None, None, "no_voltage")
    return pl.DataFrame([row], schema=SOUGHT, orient="row")


def sources(folder, *, filled=True):
    """The city's sources with its fleet; not filled: before any meter spoke."""
    base = world.sources(folder, filled=filled)
    ledger, rejects = GapLedger(folder / "gaps.db"), Rejects(folder / "rejects.db")
    if filled:
        fill_gaps(ledger)
        fill_rejects(rejects)
    known = health() if filled else pl.DataFrame(schema=HEALTH)
    told = replace(base, health=lambda: known, gaps=ledger, rejects=rejects)
    return replace(told, anomalies=anomalies, sought=sought) if filled else told
