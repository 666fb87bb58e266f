"""Evidence packages: sealed to the last byte, and computed again by whoever reads them."""

import json
import random
import zipfile
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from evidence_world import CONFIG, NOW, RULE, Past, World, month, resealed, site

from alerting.evidence.export import export
from alerting.evidence.seal import KeyFileError, Sealer
from alerting.evidence.verify import verify
from alerting.ledger import LedgerError
from alerting.office import Alerting
from alerting.rules import Compiled, Rule
from processors.blocks import intervals_of
from processors.book import Book
from processors.history.days import day_rows
from processors.intensity import Period
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.ledger.close()


def test_an_overrun_of_contract_demand_is_evidence_that_verifies(world):
    alert_id = world.fire()
    path = world.export(alert_id)
    public = Sealer.of_file(world.sources.key).public
    report = verify(path, public)
    assert report.findings == ()
    assert report.ok
    assert report.notes == ()
    assert (report.verdict.outcome, report.verdict.standing) == ("overrun", "evidence")
    assert report.verdict.row["demand_kw"] == pytest.approx(700.0)
    assert report.manifest.exported_by == "Inspector Chen"
    assert world.ledger.timeline(alert_id)["act"].to_list()[-1] == "evidence_exported"
    assert world.ledger.verify_chain() == ""


def test_the_package_opens_with_any_zip_program_and_names_no_other_site(world):
    with zipfile.ZipFile(world.export(world.fire())) as archive:
        assert archive.testzip() is None
        assert {"report.pdf", "readings.csv", "intervals.csv", "README.txt"} <= set(
            archive.namelist()
        )
        assert archive.read("report.pdf").startswith(b"%PDF")
        assert json.loads(archive.read("site.json"))["id"] == "works"


def test_every_byte_is_under_the_seal(world):
    path = world.export(world.fire())
    whole = path.read_bytes()
    chance = random.Random(7)
    ends = [*range(60), *range(len(whole) - 260, len(whole), 4)]
    for place in [*ends, *chance.sample(range(len(whole)), 80)]:
        broken = bytearray(whole)
        broken[place] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        assert not verify(path).ok, f"byte {place}"


@pytest.mark.parametrize("cut", [0, 1, 100, 5000])
def test_a_cut_file_is_no_package(world, cut):
    path = world.export(world.fire())
    path.write_bytes(path.read_bytes()[:cut])
    assert not verify(path).ok


def test_a_package_sealed_anew_by_a_stranger_is_told_apart_by_the_trusted_key(world):
    path = world.export(world.fire())
    public = Sealer.of_file(world.sources.key).public
    resealed(path, lambda files: None, world.folder / "forger.pem")
    report = verify(path, public)
    assert "not by the trusted" in report.findings[0]
    assert "not compared" in verify(path).notes[0]


def edit(name, old, new):
    def change(files):
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (edit("site.json", b'"value": 500.0', b'"value": 900.0'), "outcome"),
        (edit("alert.json", b'"critical"', b'"info"'), "not what its acts say"),
        (edit("timeline.json", b'"demandwatch"', b'"nobody"'), "act 1 was changed"),
        (edit("rule.json", b"_kw > contract", b"_kw < contract"), "rule is not the one"),
        (edit("intervals.csv", b",100.000", b",101.000"), "the readings give"),
        (edit("finding.json", b'"evidence"', b'"clue"'), "standing"),
        (edit("finding.json", b'"overrun"', b'"sunshine"'), "cannot be read"),
        (lambda files: files.pop("readings.csv"), "cannot be read"),
        (edit("readings.csv", b"mqtt", b'"'), "cannot be read"),
    ],
)  # fmt: skip
def test_a_forger_with_a_key_of_his_own_is_contradicted_by_the_readings(world, change, says):
    path = world.export(world.fire())
    resealed(path, change, world.folder / "forger.pem")
    report = verify(path)
    assert not report.ok
    assert any(says in one for one in report.findings), report.findings


def test_a_register_that_was_edited_is_named_with_its_block(world):
    path = world.export(world.fire())

    def lower(files):
        lines = files["readings.csv"].splitlines(keepends=True)
        row = next(n for n, line in enumerate(lines) if b"T02:30:" in line and b"w-1" in line)
        head, _, tail = lines[row].rpartition(b",")
        lines[row] = head + b",%r\n" % (float(tail) - 5)
        files["readings.csv"] = b"".join(lines)

    resealed(path, lower, world.folder / "forger.pem")
    found = verify(path).findings
    assert any("interval w-1 2026-11-23 02:15Z" in one for one in found), found


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"meters": [{"id": "w-1"}, {"id": "w-2"}]}, "meter_not_verified"),
        ({"contract_demand_kw": [{"from": "2020-01-01", "value": 500}]}, "limit_not_declared"),
    ],
)
def test_what_is_not_proven_is_a_clue_with_its_reason(tmp_path, more, reason):
    world = World(tmp_path, site(**more))
    report = verify(world.export(world.fire()))
    world.ledger.close()
    assert report.ok
    assert (report.verdict.standing, report.verdict.reasons) == ("clue", (reason,))


def test_estimated_blocks_are_a_clue(tmp_path):
    world = World(tmp_path, skip=range(605, 655))
    report = verify(world.export(world.fire()))
    world.ledger.close()
    assert report.verdict.standing == "clue"
    assert "coverage_below_minimum" in report.verdict.reasons


def test_a_disputed_alert_is_a_clue_until_the_dispute_is_rejected(world):
    alert_id = world.fire()
    world.ledger.dispute(alert_id, "Works", "the CT was changed")
    assert verify(world.export(alert_id)).verdict.reasons == ("disputed",)
    world.ledger.settle(alert_id, "Chen", accepted=False, reason="it was not")
    assert verify(world.export(alert_id)).verdict.standing == "evidence"


def test_a_correction_after_the_alert_lifts_it_and_the_package_says_so(world):
    alert_id = world.fire()
    calm = World(world.folder / "calm")
    energy = pl.col("energy_import_kwh")
    calm.past.raw = calm.past.raw.with_columns(energy.first().over("meter_id"))
    world.past.raw = calm.past.raw
    world.past.blocks = intervals_of(calm.past.raw, Book.of([world.site]))
    calm.ledger.close()
    report = verify(world.export(alert_id))
    assert report.ok
    assert (report.verdict.outcome, report.verdict.standing) == ("within", None)
    assert any("demand_kw was 699.99" in one for one in report.notes)


def test_a_month_quota_overrun_is_computed_again_from_the_registers(world):
    report = verify(world.export(world.fire_quota(11.5)))
    assert report.findings == ()
    assert (report.verdict.outcome, report.verdict.standing) == ("overrun", "evidence")
    assert report.verdict.row["energy_kwh"] == pytest.approx(2800.0)
    assert report.verdict.row["quota_kwh"] == 2500.0


def test_a_projected_quota_overrun_is_never_evidence(world):
    when = "projected_kwh > quota_kwh"
    report = verify(world.export(world.fire_quota(9, when=when, projected_kwh=9000.0)))
    assert report.ok
    assert (report.verdict.outcome, report.verdict.standing) == ("undecided", None)


def test_a_verdict_against_a_product_quota_is_judged_again_from_the_registers(tmp_path):
    packs, faults = load_packs(CONFIG / "policy")
    assert faults == []
    made = {"from": "2026-11-01", "until": "2026-11-23", "product": "clinker_el", "output": 20.0,
            "unit": "t", "declared_by": "Works"}  # fmt: skip
    world = World(tmp_path, site(production=[made]))
    world.past = Past(month(), Book.of([world.site]))
    world.sources = replace(world.sources, packs=packs, history=world.past)
    days = day_rows(world.past.blocks, Book.of([world.site]).meters, NOW)
    period = Period(date(2026, 11, 1), date(2026, 11, 23))
    verdicts = judge(days, [world.site], packs, period, VerdictSettings(), NOW)
    rule = Compiled.of(Rule.model_validate(RULE | {
        "id": "guide", "on": "verdict", "when": "outcome = 'overrun'", "for": "0s",
        "text": {"zh": "{row_name_zh}", "en": "{actual:.1f} {unit}"},
    }))  # fmt: skip
    office = Alerting([rule], world.ledger, [world.site])
    (alert_id,) = office.observe("verdict", verdicts)
    report = verify(world.export(alert_id))
    world.ledger.close()
    assert report.findings == ()
    assert report.verdict.outcome == "overrun"
    told = verdicts.filter(pl.col("outcome") == "overrun").row(0, named=True)
    assert report.verdict.standing == told["standing"]
    assert list(report.verdict.reasons) == told["standing_reasons"]
    assert report.verdict.row["actual"] == pytest.approx(told["actual"])


def test_there_is_no_export_without_a_name_an_alert_or_a_site(world):
    alert_id = world.fire()
    with pytest.raises(ValueError, match="name of who"):
        export(alert_id, world.sources, world.folder, " ")
    with pytest.raises(LedgerError, match="no alert"):
        export("nothing", world.sources, world.folder, "Chen")


def test_the_key_is_made_once_for_its_owner_only_and_an_open_one_is_refused(tmp_path):
    path = tmp_path / "keys" / "evidence.pem"
    public = Sealer.of_file(path).public
    assert path.stat().st_mode & 0o777 == 0o600
    assert Sealer.of_file(path).public == public
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Sealer.of_file(path)
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a private key"):
        Sealer.of_file(path)
