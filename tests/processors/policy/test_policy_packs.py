"""The shipped packs, and what the loader says of bad ones."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml
from policy_rows import REPO

from processors.policy.header import Provenance, Validity
from processors.policy.load import load_packs
from processors.policy.pack import Role

POLICY = REPO / "config" / "policy"
REFERENCE = REPO.parent / "shared" / "reference-data" / "product-quotas.yaml"
LEVELS = (("level_1", "advanced"), ("level_2", "access"), ("level_3", "limit"))

PACK = """
kind: guide
id: g
edition: "1"
title: {zh: 指引, en: guide}
region: 深圳
legal: {document: D}
validity: {from: 2020-01-01, provenance: published}
levels: [{id: limit, role: limit, name: {zh: 约束值, en: limit}}]
rows:
  - id: hotel
    name: {zh: 旅馆, en: Hotel}
    unit: kWh/(m2.a)
    provenance: published
    levels: {limit: 90}
"""


def quota_rows():
    packs, faults = load_packs(POLICY)
    assert not faults
    return {row.id: (pack, row) for pack in packs.tables for row in pack.rows if "gb-" in pack.id}


def test_the_shipped_packs_load_without_a_fault():
    packs, faults = load_packs(POLICY)
    assert not faults
    assert len(quota_rows()) == 90
    assert packs.guide("demo-tertiary", date(2017, 1, 1), date(2018, 1, 1))
    assert packs.guide("gbt-51161", date(2017, 1, 1), date(2018, 1, 1))
    assert packs.surcharge("demo-progressive", date(2026, 1, 1))


def test_nothing_illustrative_or_unverified_is_called_published():
    packs, _ = load_packs(POLICY)
    by_id = {pack.id: Counter(row.provenance for row in pack.rows) for pack in packs.tables}
    assert set(by_id["demo-tertiary"]) == {Provenance.ILLUSTRATIVE}
    assert set(by_id["gbt-51161"]) == {Provenance.UNVERIFIED}


@pytest.mark.realdata
@pytest.mark.skipif(not REFERENCE.exists(), reason="../shared/reference-data is absent")
def test_every_quota_figure_equals_the_reference_and_null_stays_null():
    rows = quota_rows()
    reference = yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))["standards"]
    printed = [one for standard in reference for one in standard["products"]]
    assert len(printed) == len(rows)
    for one in printed:
        _, row = rows[one["id"]]
        assert {to: one[was] for was, to in LEVELS} == {k: v.value for k, v in row.levels.items()}
        assert (row.name.zh, row.metric, row.unit) == (one["name"], one["metric"], one["unit"])
        assert (row.table or "-", row.page) == (one["table"], one["page"])
        assert bool(row.corrections) == bool(one.get("correction"))
        assert row.provenance == one["provenance"]


def test_levels_may_be_missing_negative_and_out_of_order():
    rows = quota_rows()
    assert rows["eaf_lt50"][1].levels["access"].value is None
    assert rows["converter"][1].levels["limit"].value == -12
    steam = rows["coal_sc_600"][1].levels
    assert steam["advanced"].value > steam["access"].value


def test_a_product_has_all_its_indicators():
    pack, _ = quota_rows()["clinker"]
    assert [row.id for row in pack.rows_of("clinker")] == ["clinker", "clinker_el", "clinker_coal"]
    assert [row.id for row in pack.rows_of("clinker_el")] == ["clinker_el"]
    assert pack.level(Role.ACCESS).id == "access"


def write(folder: Path, text: str, name: str = "p.yaml") -> list[str]:
    (folder / name).write_text(text, encoding="utf-8")
    return [str(fault) for fault in load_packs(folder)[1]]


def test_a_good_pack_has_no_fault(tmp_path):
    assert write(tmp_path, PACK) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("limit: 90", "limits: 90", "unknown level limits"),
        ("kWh/(m2.a)", "kWh/acre", "kWh/(m2.a)"),
        ("kWh/(m2.a)", "kgce/(m2.a)", "must state its own `coal`"),
        ("kWh/(m2.a)", "kWh/t", "does not belong in a guide"),
        ("role: limit", "role: grade", "one level must have the role limit"),
        ("region: 深圳", "reggion: 深圳", "unknown key"),
        ("from: 2020-01-01, ", "", "not_before"),
        ("levels: {limit: 90}", "levels: {limit: ninety}", "levels"),
    ],
)
def test_a_bad_pack_is_refused_with_file_and_line(tmp_path, old, new, says):
    faults = write(tmp_path, PACK.replace(old, new))
    assert any(says in one and "p.yaml:" in one for one in faults), faults


@pytest.mark.parametrize(
    ("correction", "says"),
    [
        ("{formula: guess}", "formula must be one of"),
        ("{formula: mall_hours}", "params must be exactly: base_hours_h"),
        ("{formula: reviewed_factor}", "needs `input`"),
    ],
)
def test_a_correction_must_be_one_of_the_named_formulas(tmp_path, correction, says):
    text = PACK + f"    corrections: [{correction}]\n"
    assert any(says in one for one in write(tmp_path, text))


def test_editions_of_one_document_may_not_be_in_force_together(tmp_path):
    write(tmp_path, PACK)
    faults = write(tmp_path, PACK.replace('"1"', '"2"').replace("2020", "2024"), "q.yaml")
    assert any("is in force together with 1" in one for one in faults)
    ended = PACK.replace("from: 2020-01-01", "from: 2020-01-01, until: 2024-01-01")
    assert write(tmp_path, ended) == []


def test_a_period_binds_to_the_edition_in_force_throughout_it(tmp_path):
    write(tmp_path, PACK.replace("from: 2020-01-01", "from: 2020-01-01, until: 2024-07-01"))
    write(tmp_path, PACK.replace('"1"', '"2"').replace("2020-01-01", "2024-07-01"), "q.yaml")
    packs, faults = load_packs(tmp_path)
    assert not faults
    assert packs.guide("g", date(2023, 1, 1), date(2024, 1, 1)).edition == "1"
    assert packs.guide("g", date(2025, 1, 1), date(2026, 1, 1)).edition == "2"
    assert packs.guide("g", date(2024, 1, 1), date(2025, 1, 1)) is None
    assert packs.guide_known("g")


def test_all_faults_of_a_folder_come_together(tmp_path):
    write(tmp_path, PACK.replace("region", "regio"))
    faults = write(tmp_path, "packs: [{kind: guide}]\n", "q.yaml")
    assert {one.split(":")[0].rsplit("/", 1)[1] for one in faults} == {"p.yaml", "q.yaml"}


def test_an_absent_folder_is_a_fault(tmp_path):
    packs, faults = load_packs(tmp_path / "absent")
    assert not packs.tables
    assert "is not a folder" in str(faults[0])


def test_a_span_without_a_known_beginning_is_bounded_by_the_edition():
    span = Validity(not_before=date(2021, 1, 1))
    assert span.holds(date(2022, 1, 1), date(2023, 1, 1))
    assert not span.holds(date(2020, 1, 1), date(2021, 1, 1))
