"""Every shipped profile reads the register image of its meter as the datasheet says.

A case (tests/cases/meter-profiles/<id>.yaml) holds words as they lie in the meter, recorded or
written by hand from the datasheet, and the primary values they mean; see the README of the folder.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.identity import block_of, identify
from collector.profiles import load_profiles
from collector.quantity import QUANTITIES
from collector.registers import decode, plan
from collector.yamlfile import load_yaml

ROOT = Path(__file__).parents[2]
PROFILES = load_profiles(ROOT / "config" / "meter-profiles").by_id
CASES = sorted((ROOT / "tests" / "cases" / "meter-profiles").glob("*.yaml"))
FOREIGN = 0xDEAD
"""What lies between the registers of a profile: must never become a value."""


def image(case):
    return {
        (function, first + place): word
        for function, runs in case["words"].items()
        for first, words in runs.items()
        for place, word in enumerate(words)
    }


def read(layout, shown):
    keys = [(b.function, b.start + i) for b in layout.blocks for i in range(b.count)]
    return np.array([[shown.get(key, FOREIGN) for key in keys]], dtype=np.uint16)


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request):
    loaded = load_yaml(request.param)
    assert not loaded.faults
    assert loaded.data["profile"] == request.param.stem
    return loaded.data


def test_the_words_of_a_meter_become_its_values(case):
    layout = plan(PROFILES[case["profile"]])
    ratio = {k: np.array([v], dtype=float) for k, v in case.get("ratio", {}).items()}
    values, doubts = decode(layout, read(layout, image(case)), ratio)
    stated = {name: value[0] for name, value in values.items() if not np.isnan(value[0])}
    assert not doubts
    assert stated == pytest.approx(case["expect"], rel=1e-6, abs=1e-9)
    assert set(values) - set(stated) == set(case.get("absent", ()))


def test_a_profile_takes_as_many_requests_as_its_case_says(case):
    assert len(plan(PROFILES[case["profile"]]).blocks) == case["transactions"]


def test_a_meter_says_who_it_is(case):
    profile = PROFILES[case["profile"]]
    told = case.get("identity", {})
    known = {one.what: one for one in profile.identity}
    assert set(told) <= set(known)
    for what, answer in told.items():
        assert block_of(profile, known[what]).count == len(answer["words"])
        found = identify(profile, known[what], answer["words"])
        assert (found.what, found.value, found.expected) == (
            what,
            answer["value"],
            answer["expected"],
        )


def test_every_profile_has_a_case_a_reference_and_the_counter_that_matters():
    assert {path.stem for path in CASES} == set(PROFILES)
    for profile in PROFILES.values():
        assert len(profile.reference) > 20, profile.id
        assert profile.note or profile.id == "demandwatch-sim", profile.id
        assert any(r.quantity == "energy_import_kwh" for r in profile.registers), profile.id


@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "60")), deadline=None)
@given(st.integers(0, 2**63), st.sampled_from(sorted(PROFILES)))
def test_whatever_a_meter_answers_is_a_plausible_value_or_a_doubt(seed, name):
    layout = plan(PROFILES[name])
    words = np.random.default_rng(seed).integers(0, 2**16, (64, layout.width), dtype=np.uint16)
    words[words % 5 == 0] = 0xFFFF  # what sentinels, signs and NaN are made of
    words[words % 7 == 0] = 0x7FFF
    values, doubts = decode(layout, words, {"ct": np.full(64, 40.0), "pt": np.full(64, 100.0)})
    doubted = {(one.row, one.quantity) for one in doubts}
    for register in layout.profile.registers:
        value, quantity = values[register.quantity], QUANTITIES[register.quantity]
        for row in np.flatnonzero(np.isnan(value)).tolist():
            assert (row, quantity.name) in doubted or register.sentinels
        kept = value[~np.isnan(value)]
        assert ((kept >= quantity.low) & (kept <= quantity.high)).all()
