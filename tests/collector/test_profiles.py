"""The shipped profiles load, and a bad one is refused with its line and the reason."""

from pathlib import Path

import pytest

from collector.profiles import load_profiles
from collector.registers import plan

SHIPPED = Path(__file__).parents[2] / "config" / "meter-profiles"
GOOD = """id: x
title: X
reference: paper
registers:
  - {quantity: power_kw, address: 0, type: f32}
"""


def test_every_shipped_profile_loads_and_can_be_planned():
    found = load_profiles(SHIPPED)
    assert not found.faults
    assert {"demandwatch-sim", "eastron-sdm630", "schneider-iem3155"} <= set(found.by_id)
    for profile in found.by_id.values():
        assert plan(profile).blocks
        assert any(r.quantity == "energy_import_kwh" for r in profile.registers)
        assert profile.reference


def test_the_sdm630_is_read_in_one_request():
    profile = load_profiles(SHIPPED).by_id["eastron-sdm630"]
    assert [(b.function, b.start, b.count) for b in plan(profile).blocks] == [(4, 0, 80)]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (GOOD.replace("power_kw", "power"), 5, "power_kw"),
        (GOOD.replace("f32", "f16"), 5, "'f32'"),
        (GOOD.replace("address: 0", "address: 65535"), 5, "65535"),
        (GOOD.replace("title: X", "titel: X"), 2, "unknown key"),
        (GOOD + "  - {quantity: power_kw, address: 2, type: f32}\n", 0, "given twice: power_kw"),
        (GOOD.replace("id: x", "id: y"), 1, "'x'"),
        (GOOD + "forbidden: [[9, 2]]\n", 0, "[first, last]"),
        (GOOD.replace("registers:", "registers: ["), 5, "not YAML"),
        (GOOD.replace("f32", "f32, plus: [65535]"), 5, "65535"),
        (GOOD.replace("f32", "f32, scale_register: 70000"), 5, "65535"),
        (GOOD.replace("f32", "f32, scale_register: 200"), 0, "within 125 registers"),
        (GOOD + "max_gap: 200\n", 6, "124"),
        (GOOD + "identity:\n  - {what: model, address: 1, type: ascii}\n", 7, "`words`"),
        (GOOD + "identity:\n  - {what: model, address: 1, type: u16, words: 2}\n", 7, "`words`"),
        (GOOD + "identity:\n  - {what: colour, address: 1, type: u16}\n", 7, "'model'"),
    ],
)
def test_a_bad_profile_is_refused_with_its_line(tmp_path, text, line, says):
    (tmp_path / "x.yaml").write_text(text)
    found = load_profiles(tmp_path)
    told = "\n".join(str(fault) for fault in found.faults)
    assert says in told
    assert f"x.yaml:{line}:" in told or not line


def test_a_missing_folder_is_a_fault(tmp_path):
    assert "no such folder" in str(load_profiles(tmp_path / "none").faults[0])
