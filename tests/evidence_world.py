"""A site with two meters, its past and its ledger, for the tests of evidence."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from alerting.evidence.container import opened, packed
from alerting.evidence.export import export
from alerting.evidence.gather import EvidenceSources
from alerting.evidence.manifest import Manifest, entries
from alerting.evidence.seal import Sealer
from alerting.evidence.verify import LOOSE
from alerting.ledger import Ledger
from alerting.office import Alerting
from alerting.rules import Compiled, Rule
from alerting.site_blocks import contracts, site_blocks
from collector.reading import conform
from collector.site import Site
from processors.blocks import intervals_of
from processors.book import Book

CONFIG = Path(__file__).parents[1] / "config"

T0 = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
"""Midnight in Shenzhen."""
NOW = T0 + timedelta(hours=12)
RULE = {
    "id": "contract", "on": "site_interval", "when": "demand_kw > contract_demand_kw",
    "for": "30m", "severity": "critical",
    "text": {"zh": "{site_name} 需量 {demand_kw:.1f} kW", "en": "demand {demand_kw:.1f} kW"},
}  # fmt: skip
QUOTA = RULE | {
    "id": "quota", "on": "quota", "when": "energy_kwh > quota_kwh", "for": "0s",
    "text": {"zh": "{energy_kwh:.0f} kWh", "en": "{energy_kwh:.0f} kWh"},
}  # fmt: skip


def site(**more):
    check = {"certificate": "JJG-1", "valid_until": "2030-01-01"}
    return Site.model_validate({
        "id": "works", "name": {"zh": "钢厂", "en": "Works"}, "kind": "factory", "district": "宝安",
        "contract_demand_kw": [{"from": "2020-01-01", "value": 500, "declared_by": "用电合同"}],
        "quota_month_kwh": [{"from": "2020-01-01", "value": 2500, "declared_by": "District"}],
        "meters": [{"id": "w-1", "verification": check}, {"id": "w-2", "verification": check}],
    } | more)  # fmt: skip


def readings(skip=range(0)):
    """Return a minute register of two meters, 400 + 300 kW from 10:00 to 11:00, else 100 each."""
    rows, registers = [], {"w-1": 1000.0, "w-2": 50.0}
    for minute in range(12 * 60):
        busy = 600 <= minute < 660
        for meter, value in registers.items():
            at = T0 + timedelta(minutes=minute)
            if minute not in skip:
                rows.append((meter, at, at, "mqtt", value))
            registers[meter] += ({"w-1": 400.0, "w-2": 300.0}[meter] if busy else 100.0) / 60
    names = ["meter_id", "measured_at", "received_at", "source", "energy_import_kwh"]
    return conform(pl.DataFrame(rows, schema=names, orient="row"))


def month():
    """Return quarter-hourly registers of two meters, 2.5 kW each, over November up to NOW."""
    start = datetime(2026, 10, 31, 15, tzinfo=UTC)
    at = pl.datetime_range(start, NOW, "15m", time_zone="UTC", time_unit="us", eager=True)
    one = pl.DataFrame(
        {"measured_at": at, "energy_import_kwh": pl.arange(len(at), eager=True) * 0.625}
    )
    both = [one.with_columns(meter_id=pl.lit(meter)) for meter in ("w-1", "w-2")]
    frame = pl.concat(both).with_columns(received_at="measured_at", source=pl.lit("import"))
    return conform(frame)


class Past:
    """History of one site in memory."""

    def __init__(self, raw, book):
        self.raw = raw
        self.blocks = intervals_of(raw, book).with_columns(computed_at=pl.lit(NOW))

    def intervals(self, start, end, meters=None):
        mine = pl.col("meter_id").is_in(meters)
        return self.blocks.filter(mine, pl.col("start") >= start, pl.col("start") < end)

    def readings(self, start, end, meters=None):
        at = pl.col("measured_at")
        return self.raw.filter(pl.col("meter_id").is_in(meters), at >= start, at < end)

    def neighbours(self, meters, start, end, count=3):
        return self.raw.clear()


class World:
    """A site, its past, and a ledger that saw it."""

    def __init__(self, folder, of=None, skip=range(0)):
        self.folder, self.site = folder, of or site()
        book = Book.of([self.site])
        self.past = Past(readings(skip), book)
        self.ledger = Ledger(folder / "ledger.db", lambda: NOW)
        self.sources = EvidenceSources(
            history=self.past, ledger=self.ledger, sites={self.site.id: self.site},
            key=folder / "keys" / "evidence.pem", now=lambda: NOW, software="demandwatch 0.1.0",
        )  # fmt: skip

    def fire(self):
        office = Alerting([Compiled.of(Rule.model_validate(RULE))], self.ledger, [self.site])
        book = Book.of([self.site])
        rows = site_blocks(self.past.blocks, book, contracts([self.site]))
        return office.observe("site_interval", rows)[0]

    def fire_quota(self, hours, when="energy_kwh > quota_kwh", **more):
        at = T0 + timedelta(hours=hours)
        energy = self.past.blocks.filter(pl.col("end") <= at)["energy_kwh"].sum()
        row = {"site_id": "works", "at": at, "month": date(2026, 11, 1), "quota_kwh": 2500.0}
        rule = Compiled.of(Rule.model_validate(QUOTA | {"when": when}))
        office = Alerting([rule], self.ledger, [self.site])
        return office.observe("quota", pl.DataFrame([row | {"energy_kwh": energy} | more]))[0]

    def export(self, alert_id):
        return export(alert_id, self.sources, self.folder, "Inspector Chen")


def resealed(path, change, key_path):
    """Write the package anew with changed files and another key's valid seal: a forger's work."""
    files = dict(opened(path).files)
    change(files)
    sealer = Sealer.of_file(key_path)
    old = Manifest.model_validate_json(files["manifest.json"])
    kept = {name: content for name, content in files.items() if name not in LOOSE}
    manifest = old.model_copy(update={"files": entries(kept)}).written()
    files |= {"manifest.json": manifest, "key.pub": sealer.public.hex().encode()}
    files["manifest.sig"] = sealer.sign(manifest).hex().encode()
    path.write_bytes(packed(files, NOW, sealer))
