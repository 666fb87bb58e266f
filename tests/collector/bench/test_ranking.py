"""Evidence for a map: what passes, what refutes it, and what proves nothing."""

import pytest
from bench_images import PROFILES, SHOWN, image_of, read_by

from collector.bench.checks import Outcome, checks_of
from collector.bench.look import Ratio, look_of
from collector.bench.ranking import Standing, candidate_of, ranked, tied
from collector.bench.variants import flipped, proofs

SDM = PROFILES["eastron-sdm630"]
SIM = PROFILES["demandwatch-sim"]


def judged(profile, image, later=None):
    readings = [read_by(profile, image)]
    if later is not None:
        readings.append(read_by(profile, later, 60.0))
    return candidate_of(profile, readings)


def outcome(candidate, name):
    return next(one for one in candidate.checks if one.name == name)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_map_is_among_the_best_for_its_own_meter(name):
    image = image_of(PROFILES[name])
    answered = [one for one in PROFILES.values() if not read_by(one, image).unanswered]
    best = ranked([judged(one, image) for one in answered])
    own = next(one for one in best if one.profile == name)
    assert own.standing is not Standing.REFUTED, [c for c in own.checks if c.outcome == "failed"]
    assert own.score == best[0].score, (own, best[0])


def test_a_match_needs_evidence_not_mere_answers():
    empty = dict.fromkeys(image_of(SDM), 0)
    found = judged(SDM, empty)
    assert found.standing is Standing.REFUTED  # 0 Hz is no frequency
    assert outcome(found, "voltage").outcome is Outcome.UNKNOWN


def test_a_meter_without_load_stays_possible_and_its_slope_unknown():
    idle = dict.fromkeys(SHOWN, 0.0) | {
        name: SHOWN[name] for name in SHOWN if name[:3] in {"vol", "fre", "ene"}
    }
    image = image_of(SDM, idle)
    found = judged(SDM, image, image)
    assert found.standing is Standing.POSSIBLE
    assert outcome(found, "phase_sum").outcome is Outcome.UNKNOWN
    assert "no load" in outcome(found, "energy_slope").said


@pytest.mark.parametrize("profile", [SDM, SIM], ids=lambda one: one.id)
def test_a_wrong_word_order_fails_and_is_named(profile):
    wrong = flipped(profile, words=True, octets=False)
    found = judged(wrong, image_of(profile))
    assert found.standing is Standing.REFUTED
    assert found.hint == "word order looks big-endian"
    other = judged(profile, image_of(wrong))
    assert other.hint == "word order looks little-endian"


def test_wrong_byte_order_is_named_too():
    wrong = flipped(SDM, words=False, octets=True)
    assert judged(wrong, image_of(SDM)).hint == "byte order looks big-endian"


@pytest.mark.parametrize(
    ("grew", "expected"),
    [(3.109 / 60, "passed"), (31.09 / 60, "failed"), (0.0, "failed"), (-5.0, "failed")],
    ids=["as the power says", "ten times too fast", "not at all", "fell"],
)
def test_the_register_must_grow_as_the_power_says(grew, expected):
    later = image_of(SIM, SHOWN | {"energy_import_kwh": SHOWN["energy_import_kwh"] + grew + 0.001})
    before = image_of(SIM, SHOWN | {"energy_import_kwh": SHOWN["energy_import_kwh"] + 0.001})
    found = judged(SIM, before, later)
    assert outcome(found, "energy_slope").outcome == expected, outcome(found, "energy_slope").said


def test_a_coarse_register_says_how_long_to_watch():
    coarse = image_of(SIM, SHOWN | {"energy_import_kwh": 4321.0})
    check = outcome(judged(SIM, coarse, coarse), "energy_slope")
    assert check.outcome is Outcome.UNKNOWN
    assert "it counts by 1 kWh: watch" in check.said


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({"power_kw": 31.09}, {"phase_sum", "apparent", "power_factor"}),
        ({"voltage_a_v": 23.05}, {"voltage"}),
        ({"frequency_hz": 53.0}, {"frequency"}),
        ({"power_factor": 0.3}, {"power_factor"}),
        ({"apparent_power_kva": 1.2}, {"apparent", "volt_amps"}),
    ],
)
def test_each_contradiction_fails_its_check(change, failing):
    found = judged(SDM, image_of(SDM, SHOWN | change))
    assert failing <= {one.name for one in found.checks if one.outcome is Outcome.FAILED}
    assert found.standing is Standing.REFUTED


def test_line_voltages_are_no_contradiction():
    root = 3**0.5
    wired = SHOWN | {f"voltage_{p}_v": SHOWN[f"voltage_{p}_v"] * root for p in "abc"}
    found = judged(SDM, image_of(SDM, wired))
    assert found.standing is Standing.MATCH


def test_equal_maps_are_not_told_apart():
    found = ranked([judged(one, image_of(SDM)) for one in PROFILES.values()])
    assert {"eastron-sdm630"} < {one.profile for one in tied(found)}


def test_order_is_proven_register_by_register():
    readings = [read_by(SDM, image_of(SDM))]
    found = {one.quantity: one for one in proofs(SDM, readings, Ratio(), octets=False)}
    assert found["voltage_a_v"].proven
    assert found["power_kw"].proven
    zero = [read_by(SDM, image_of(SDM, SHOWN | {"energy_export_kwh": 0.0}))]
    found = {one.quantity: one for one in proofs(SDM, zero, Ratio(), octets=False)}
    assert not found["energy_export_kwh"].proven
    assert "the same either way" in found["energy_export_kwh"].said


def test_a_refused_request_refutes_with_its_reason():
    image = {key: word for key, word in image_of(SDM).items() if key[1] < 60}
    found = judged(SDM, image)
    assert outcome(found, "readable").outcome is Outcome.FAILED
    assert "exception 2" in outcome(found, "readable").said


def test_sentinels_are_no_values_and_no_doubts():
    look = look_of(SIM, read_by(SIM, image_of(SIM, {})))
    assert {one.doubt for one in look.cells.values()} == {"sentinel"}
    assert all(one.outcome is Outcome.UNKNOWN for one in checks_of([look]))
