"""Evidence whose denominator meters counted: the counts are packed, and a changed one is named."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from evidence_world import CONFIG, NOW, RULE, Past, World, month, resealed, site

from alerting.evidence.container import opened
from alerting.evidence.material import of_files
from alerting.evidence.pdf import _site
from alerting.evidence.verify import verify
from alerting.office import Alerting
from alerting.rules import Compiled, Rule
from processors.book import Book
from processors.history.days import day_rows
from processors.intensity import Period
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings

PACKS, _ = load_packs(CONFIG / "policy")
PERIOD = Period(date(2026, 11, 1), date(2026, 11, 23))
CHECK = {"certificate": "JJG-1", "valid_until": "2030-01-01"}


def counter(name, product, per_count):
    told = {"from": "2026-01-01", "product": product, "per_count": per_count, "unit": "t",
            "declared_by": "Li"}  # fmt: skip
    return {"id": name, "role": "count", "counts": {"of": [told], "max_per_hour": 900}}


def counts(name):
    """Return a register that counts 4 a quarter of an hour over November up to NOW."""
    energy = month().filter(pl.col("meter_id") == "w-1")
    return energy.with_columns(
        meter_id=pl.lit(name),
        output_count=pl.col("energy_import_kwh") / 0.625 * 4,
        energy_import_kwh=pl.lit(None, pl.Float64),
    )


class Counted(World):
    """A site judged by what its counters counted."""

    def __init__(self, folder, *counters):
        mains = [{"id": name, "verification": CHECK} for name in ("w-1", "w-2")]
        super().__init__(folder, site(meters=[*mains, *counters]))
        raw = pl.concat([month(), *(counts(one["id"]) for one in counters)])
        self.past = Past(raw, Book.of([self.site]))
        self.sources = replace(self.sources, packs=PACKS, history=self.past)

    def judged(self):
        days = day_rows(self.past.blocks, Book.of([self.site]).meters, NOW)
        return judge(days, [self.site], PACKS, PERIOD, VerdictSettings(), NOW)

    def overrun(self):
        """Return the verdict upon clinker and the package of its alert."""
        rule = Compiled.of(Rule.model_validate(RULE | {
            "id": "guide", "on": "verdict", "when": "outcome = 'overrun'", "for": "0s",
            "text": {"zh": "{row_name_zh}", "en": "{actual:.1f} {unit}"},
        }))  # fmt: skip
        mine = self.judged().filter(outcome="overrun", row_id="clinker_el")
        (alert_id,) = Alerting([rule], self.ledger, [self.site]).observe("verdict", mine)
        return mine.row(0, named=True), self.export(alert_id)


@pytest.fixture
def world(tmp_path):
    made = Counted(tmp_path, counter("line", "clinker_el", 0.002))
    yield made
    made.ledger.close()


def test_an_overrun_by_a_counted_denominator_verifies_as_evidence(world):
    told, path = world.overrun()
    report = verify(path)
    assert report.findings == ()
    assert (report.verdict.outcome, report.verdict.standing) == ("overrun", told["standing"])
    assert list(report.verdict.reasons) == told["standing_reasons"]
    assert report.verdict.row["actual"] == pytest.approx(told["actual"])
    assert report.verdict.row["denominator"] == pytest.approx(22 * 96 * 4 * 0.002)
    assert report.verdict.row["declared_by"] == "Li (counter line)"
    assert report.verdict.row["count_coverage"] == 1.0
    packed = _site(of_files(opened(path).files))
    assert any("line: 0.002 t clinker_el, 2026-01-01 …, Li" in value for _, value in packed)


def lower(files, name, column, day):
    """Make one count of the line smaller in a table of the package."""
    head, *lines = files[name].splitlines(keepends=True)
    at = head.decode().strip().split(",").index(column)
    row = next(n for n, line in enumerate(lines) if b"line," in line and day in line)
    cells = lines[row].split(b",")
    end = b"\n" if cells[at].endswith(b"\n") else b""
    cells[at] = b"%r" % (float(cells[at]) - 2) + end
    lines[row] = b",".join(cells)
    files[name] = b"".join([head, *lines])


@pytest.mark.parametrize("name", ["intervals.csv", "readings.csv"])
def test_a_count_that_was_changed_is_named_with_its_block(world, name):
    _, path = world.overrun()
    change = lambda files: lower(files, name, "output_count", b"2026-11-09T02:30")  # noqa: E731
    resealed(path, change, world.folder / "forger.pem")
    found = verify(path).findings
    assert any("interval line 2026-11-09 02:" in one and "counts" in one for one in found), found


def test_a_counter_that_stands_for_less_is_another_verdict(world):
    _, path = world.overrun()

    def change(files):
        assert b'"per_count": 0.002' in files["site.json"]
        files["site.json"] = files["site.json"].replace(b'"per_count": 0.002', b'"per_count": 2.0')

    resealed(path, change, world.folder / "forger.pem")
    assert any("outcome" in one for one in verify(path).findings)


def test_energy_parted_among_counted_products_is_parted_again_from_the_package(tmp_path):
    world = Counted(tmp_path, counter("line", "clinker_el", 0.001),
                    counter("mill", "cement_preparation", 0.001))  # fmt: skip
    told, path = world.overrun()
    assert told["allocation"] == "output_by_quota"
    report = verify(path)
    world.ledger.close()
    assert report.findings == ()
    assert (report.verdict.outcome, report.verdict.standing) == ("overrun", "clue")
    assert report.verdict.row["actual"] == pytest.approx(told["actual"])
