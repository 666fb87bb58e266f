"""A small city for the console's tests: real history, ledger, packs; made-up loads, fixed time."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from alerting.acts import Act
from alerting.ledger import Event, Ledger
from alerting.lifecycle import STATE
from collector.reading import UTC_US, empty
from collector.site import Site
from dashboards.sources import Sources
from processors.book import Book
from processors.cap import cap_states
from processors.history.store import History
from processors.interval import BLOCK, INTERVAL
from processors.live import LIVE, Live
from processors.policy.load import load_packs
from processors.quota import accounts, first_day
from processors.terms import Span
from processors.verdict import VERDICT

NOW = datetime(2026, 11, 23, 2, 24, 30, tzinfo=UTC)
"""Monday 10:24:30 in Shanghai, in the middle of a block."""
MONTH = datetime(2026, 10, 31, 16, tzinfo=UTC)
ROOT = Path(__file__).parent.parent

# id, zh, en, kind, use, district, base kW, contract kW, shift (weekday day-shape 0..1)
_TABLE = """
zhongxing|中兴精密制造厂|Zhongxing Precision|factory||南山区|1850|2000|1.0
huaqiang|华强电子厂|Huaqiang Electronics|factory||宝安区|920|1200|0.9
baoan-steel|宝安钢构厂|Baoan Steelworks|factory||宝安区|610|800|0.6
longgang-plast|龙岗注塑厂|Longgang Plastics|factory||龙岗区|480|600|0.8
pingshan-batt|坪山电池厂|Pingshan Battery|factory||坪山区|1400|1800|0.3
futian-mall|福田购物中心|Futian Mall|retail|retail_department_store|福田区|640|900|1.0
nanshan-mart|南山超市|Nanshan Supermarket|retail|retail_supermarket|南山区|150|220|0.7
seaview-hotel|海景大酒店|Seaview Hotel|lodging|hotel|盐田区|310|450|0.5
dongmen-food|东门美食城|Dongmen Food Court|catering|catering|罗湖区|95|140|0.9
luohu-hotel|罗湖商务酒店|Luohu Business Hotel|lodging|hotel|罗湖区|180|300|0.4
yantian-cold|盐田冷链仓|Yantian Cold Store|factory||盐田区|260|320|0.1
futian-noodle|福田面馆|Futian Noodles|catering|catering|福田区|32|50|0.9
longhua-pcb|龙华线路板厂|Longhua PCB|factory||龙华区|720|900|0.4
guangming-gls|光明玻璃厂|Guangming Glass|factory||光明区|1150|1300|0.05
"""
_SITES = [
    (*cells[:6], float(cells[6]), float(cells[7]), float(cells[8]))
    for cells in (line.split("|") for line in _TABLE.strip().splitlines())
]


_QUOTA_HOURS = {"zhongxing": 305.0, "huaqiang": 190.0, "futian-mall": 290.0}
"""Monthly quota over base power: the first crosses in a few days, the second has crossed."""


_LIMITS = {"zhongxing": {
    "quota_year_kwh": [{"from": "2026-01-01", "value": 8_000_000, "declared_by": "district"}],
    "cap_kw": [{"from": "2026-11-16", "until": "2026-11-19", "value": 1500, "declared_by": "n"}],
}}  # fmt: skip
"""The first has a yearly quota, told from November on alone, and had a load cap for three days."""


def sites():
    """Return the sites; the first has two main meters and a sub-meter."""
    return tuple(_site(*row) for row in _SITES)


def _site(id_, zh, en, kind, use, district, base, contract, _shift):
    meters = [{"id": f"{id_}-m1", "name": {"zh": "1号总表", "en": "Main 1"},
               "rated_power_kw": base * 1.6,
               "verification": {"certificate": "V-1", "valid_until": "2028-06-30"}}]  # fmt: skip
    if id_ == "zhongxing":
        meters.append({"id": f"{id_}-m2", "name": {"zh": "2号总表", "en": "Main 2"},
                       "rated_power_kw": base * 0.6})  # fmt: skip
        meters.append({"id": f"{id_}-s1", "name": {"zh": "空压机分表", "en": "Compressor"},
                       "role": "sub", "rated_power_kw": 400})  # fmt: skip
    quota = round(base * _QUOTA_HOURS.get(id_, 420.0), -2)
    area = [{"from": "2020-01-01", "value": base * 40, "declared_by": "x"}]
    return Site.model_validate({
        "id": id_, "name": {"zh": zh, "en": en}, "kind": kind, "use": use, "district": district,
        "credit_code": "9144030012345678XX" if kind == "factory" else "",
        "contract_demand_kw": [{"from": "2026-01-01", "value": contract}],
        "quota_month_kwh": [{"from": "2026-01-01", "value": quota}],
        "floor_area_m2": area if use else [], "meters": meters, **_LIMITS.get(id_, {}),
    })  # fmt: skip


def _hours(instants):
    """Return hours of the day in Shanghai."""
    return (instants.astype("datetime64[m]").astype(np.int64) / 60 + 8) % 24


def power(id_, base, shift, start):
    """Return mean kW of the blocks that begin at the local hours of `start` (numpy datetimes)."""
    hours = _hours(start)
    day = (start.astype("datetime64[m]").astype(np.int64) / 1440 + 8 / 24).astype(int)
    weekend = ((day + 4) % 7) % 6 == 0
    work = np.clip(np.sin((hours - 6.5) / 13 * np.pi), 0, None) ** 0.5
    work = np.where(weekend, work * 0.45, work) * (1 + 0.12 * np.sin(hours * 2.3))
    seed = sum(map(ord, id_))
    noise = 1 + 0.03 * np.sin(np.arange(len(start)) * 1.7 + seed) + 0.02 * np.cos(day * 3.1 + seed)
    return base * ((1 - shift) + shift * (0.12 + 0.95 * work)) * noise


def intervals(until=NOW):
    """Return INTERVAL rows from the month's first instant to the last block ended by `until`."""
    starts = pl.datetime_range(MONTH, until - BLOCK, BLOCK, eager=True).cast(UTC_US)
    frames = [_meter(f"{row[0]}-m1", row[0], row[6], row[8], starts) for row in _SITES]
    frames.append(_meter("zhongxing-m2", "zhongxing-2", 190, 0.8, starts))
    frames.append(_meter("zhongxing-s1", "zhongxing-s", 210, 0.3, starts))
    return pl.concat(frames)


def _meter(meter_id, name, base, shift, starts):
    kw = power(name, base, shift, starts.to_numpy())
    hours = _hours(starts.to_numpy())
    today = (starts >= datetime(2026, 11, 22, 16, tzinfo=UTC)).to_numpy()
    quality = np.full(len(starts), "measured", dtype=object)
    if meter_id == "zhongxing-m1":
        kw = np.where(today & (hours >= 8.25) & (hours < 9.5), kw * 1.16, kw)
        quality = np.where(today & (hours >= 5) & (hours < 5.75), "estimated", quality)
    if name.startswith("zhongxing"):
        gap = today & (hours >= 2.5) & (hours < 3.5)
        kw, quality = np.where(gap, np.nan, kw), np.where(gap, "missing", quality)
    if meter_id == "yantian-cold-m1":
        gap = today & (hours >= 6)
        kw, quality = np.where(gap, np.nan, kw), np.where(gap, "missing", quality)
    frame = pl.DataFrame({"meter_id": meter_id, "start": starts, "kw": kw, "quality": quality})
    known = frame.with_columns(pl.col("kw").fill_nan(None))
    return known.select(
        "meter_id", "start", (pl.col("start") + BLOCK).alias("end"),
        (pl.col("kw") * 0.25).alias("energy_kwh"), pl.col("kw").alias("demand_kw"),
        (pl.col("kw") * 1.02).alias("max_demand_kw"),
        (pl.col("start") + BLOCK).alias("max_demand_at"),
        pl.lit(None).alias("reactive_kvarh"), pl.lit(0.95).alias("power_factor"),
        pl.lit(None).alias("voltage_unbalance_pct"),
        pl.when(pl.col("quality") == "measured").then(1.0)
        .when(pl.col("quality") == "estimated").then(0.4).otherwise(0.0).alias("coverage"),
        "quality", pl.lit([], pl.List(pl.String)).alias("flags"), pl.lit(0).alias("revision"),
        (pl.col("start") + BLOCK + timedelta(seconds=20)).alias("computed_at"),
        pl.lit("none").alias("method"),
        pl.lit(None, pl.Float64).alias("output_count"),
    ).select(pl.col(name).cast(kind) for name, kind in INTERVAL.items())  # fmt: skip


def live(now=NOW):
    """Return the processor's picture: one silent meter, one never heard, the rest fresh."""
    block = now - (now - MONTH) % BLOCK
    rows = []
    for site, row in zip(sites(), _SITES, strict=True):
        for meter in site.meters:
            base = {"zhongxing-m2": 190.0, "zhongxing-s1": 210.0}.get(meter.id, float(row[6]))
            kw = float(
                power(
                    meter.id, base, row[8], np.array([now.replace(tzinfo=None)], "datetime64[us]")
                )[0]
            )
            kw *= 1.13 if meter.id == "zhongxing-m1" else 1.0
            silent = meter.id == "yantian-cold-m1"
            seen = now - (timedelta(hours=4, minutes=20) if silent else timedelta(seconds=6))
            so_far = kw * 0.98 * (seen - block).total_seconds() / 3600
            projected = (so_far + kw * (block + BLOCK - seen).total_seconds() / 3600) / 0.25
            rows.append((meter.id, site.id, meter.role == "main", seen, seen, kw, block, so_far,
                         projected, projected - 20, projected + 20))  # fmt: skip
    rows = [row for row in rows if row[0] != "futian-noodle-m1"]
    frame = pl.DataFrame(rows, schema=LIVE, orient="row").sort("meter_id")
    return Live(now, frame, 1_204_331, 3120.0, 48_210, 0)


def _limits(kind, history, known, packs):
    if kind == "cap":
        return cap_states(history.intervals(MONTH, NOW), known, NOW)
    days = history.days(first_day(date(2026, 11, 1), 28), date(2026, 11, 24))
    return accounts(days, known, NOW, surcharge=packs.surcharges[0], span=Span(kind))


def verdicts():
    """Return VERDICT rows of the sites with a guide: overrun (clue), within, undecided."""
    rows = []
    for site, outcome, actual, reason in (
        ("seaview-hotel", "overrun", 141.3, None), ("futian-mall", "within", 187.4, None),
        ("luohu-hotel", "undecided", None, "coverage_below_minimum"),
        ("dongmen-food", "advanced", 88.2, None),
    ):  # fmt: skip
        use = next(one.use for one in sites() if one.id == site)
        rows.append({
            "verdict_id": f"{site}:1", "site_id": site, "kind": "guide", "outcome": outcome,
            "reason": reason, "standing": "clue" if outcome == "overrun" else None,
            "standing_reasons": ["threshold_not_published"] if outcome == "overrun" else [],
            "period_start": date(2025, 1, 1), "period_end": date(2026, 1, 1), "unit": "kWh/(m2.a)",
            "actual": actual, "threshold": None, "ratio": actual and actual / 130,
            "level": "grade_4", "pack_id": "demo-tertiary", "edition": "1", "row_id": use,
            "row_name_zh": {"hotel": "旅馆", "catering": "餐饮"}.get(use, "百货店"),
            "row_name_en": use.replace("_", " "), "provenance": "illustrative",
            "coverage": 0.81 if reason else 0.992, "estimated_share": 0.004, "computed_at": NOW,
        })  # fmt: skip
    return pl.DataFrame(rows, schema=VERDICT)


_ALERTS = [
    ("zhongxing", "contract-demand", "critical", "site_interval", 34,
     "区间需量 2,169 kW 超过合同需量 2,000 kW",
     "Block demand 2,169 kW is above the contract demand of 2,000 kW"),
    ("huaqiang", "month-quota", "critical", "quota", 1374,
     "11 月用电已超月度定额（104.0 %）",
     "November's energy has passed the monthly quota (104.0 %)"),
    ("yantian-cold", "meter-silent", "warning", "fleet", 245,
     "电表 yantian-cold-m1 静默超过 15 分钟",
     "Meter yantian-cold-m1 silent for more than 15 minutes"),
    ("seaview-hotel", "guide-overrun", "warning", "verdict", 600,
     "2025 年单耗 141.3 kWh/m² 超过示例指引约束值",
     "2025 intensity 141.3 kWh/m² is above the illustrative guide's limit"),
    ("longhua-pcb", "contract-demand", "critical", "site_interval", 3000,
     "区间需量 912 kW 超过合同需量 900 kW",
     "Block demand 912 kW is above the contract demand of 900 kW"),
]  # fmt: skip


def fill(ledger):
    """Fire the alerts; the second is acknowledged, the last resolved."""
    for index, (site, rule, severity, kind, ago, zh, en) in enumerate(_ALERTS):
        at = NOW - timedelta(minutes=ago)
        row = {"subject_id": site, "site_id": site, "at": at, "start": at - BLOCK, "end": at,
               "demand_kw": 2168.61, "contract_demand_kw": 2000.0, "coverage": 1.0}  # fmt: skip
        detail = {
            "rule_id": rule, "rule_digest": "0" * 64, "kind": kind, "severity": severity,
            "subject_id": site, "site_id": site, "since": at, "fired_at": at, "text_zh": zh,
            "text_en": en, "labels": {}, "row": row,
        }  # fmt: skip
        event = Event(Act.FIRED, f"A-{index + 1:04d}", detail, {"webhook": "{}"})
        ledger.record(rule, [event], pl.DataFrame(schema=STATE))
    for notice in ledger.outbox.waiting("webhook"):
        ledger.outbox.delivered(notice)
    ledger.acknowledge("A-0002", "陈工", "已通知企业，下午现场核查")
    over = Event(Act.RESOLVED, "A-0005", {"at": NOW - timedelta(hours=49), "row": {}}, {})
    ledger.record("contract-demand", [over], pl.DataFrame(schema=STATE))


def sources(folder: Path, *, filled: bool = True, now=NOW) -> Sources:
    """Return the sources of the city; not `filled`: the same sites before any meter spoke."""
    known = sites()
    book = Book.of(known)
    history = History(folder / "history", lambda: now, book)
    ledger = Ledger(folder / "ledger.db", lambda: now)
    packs, faults = load_packs(ROOT / "config" / "policy")
    assert not faults
    if filled:
        history.add(1, empty(), intervals())
        fill(ledger)
    nothing = Live(now, pl.DataFrame(schema=LIVE), 0, 0.0, 0, 0)
    return Sources(
        sites=known,
        book=book,
        now=lambda: now,
        history=history,
        live=(lambda: live(now)) if filled else (lambda: nothing),
        ledger=ledger,
        limits=lambda kind: _limits(kind, history, known, packs),
        verdicts=verdicts if filled else (lambda: pl.DataFrame(schema=VERDICT)),
        packs=packs,
        metrics=lambda: b"demandwatch_up 1\n",
        ready=lambda: {} if filled else {"history": "no data yet"},
    )


def replace_live(known: Sources, picture) -> Sources:
    """Return the sources with another live picture."""
    return replace(known, live=picture)
