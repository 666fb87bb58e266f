"""What the simulated meters show when they misread."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from services_modbus import site_of

from collector.polls import micros
from collector.simulator.faults import FleetSettings
from collector.simulator.fleet import Fleet

MONDAY = datetime(2026, 11, 23, 1, 50, tzinfo=UTC)
AT = np.array([micros(MONDAY + timedelta(minutes=m)) for m in range(-30, 61, 15)])
BEGINS = 2
"""Index of the first instant at which the trouble is on."""


def shown(kind, modulus=None, **more):
    """Energy and power of one meter, sound and with a trouble from MONDAY on."""
    site = site_of([1])
    meter = site.meters[0].model_copy(update={"register_modulus_kwh": modulus})
    site = site.model_copy(update={"meters": (meter,)})
    trouble = [{"meter": "m1", "kind": kind, **more}] if kind else []
    fleet = Fleet.of([site], FleetSettings.model_validate({"troubles": trouble}), MONDAY)
    found = fleet.values(AT, fleet.members)
    return found["energy_import_kwh"][:, 0], found["power_kw"][:, 0]


def test_a_repeating_meter_shows_one_value_and_then_the_present_again():
    energy, power = shown("repeat", for_s=1800)
    sound, _ = shown(None)
    assert energy[: BEGINS + 1] == pytest.approx(sound[: BEGINS + 1])
    assert energy[BEGINS] == energy[BEGINS + 1]
    assert power[BEGINS] == power[BEGINS + 1]
    assert energy[BEGINS + 2 :] == pytest.approx(sound[BEGINS + 2 :])


def test_a_drifting_meter_reads_five_per_cent_too_much_from_then_on():
    (energy, power), (sound, true_power) = shown("drift"), shown(None)
    assert energy[: BEGINS + 1] == pytest.approx(sound[: BEGINS + 1])
    gained, true = energy[-1] - energy[BEGINS], sound[-1] - sound[BEGINS]
    assert gained == pytest.approx(1.05 * true)
    assert power[BEGINS:] == pytest.approx(1.05 * true_power[BEGINS:])


@pytest.mark.parametrize(("modulus", "whole"), [(None, 1e6), (50_000.0, 5e4)])
def test_a_register_rolls_over_when_it_is_told_to(modulus, whole):
    energy, sound = shown("rollover", modulus)[0], shown(None)[0]
    assert energy[BEGINS] == pytest.approx(0, abs=1e-3)
    assert energy[BEGINS - 1] == pytest.approx(whole - (sound[BEGINS] - sound[BEGINS - 1]))
    assert np.diff(energy[BEGINS:]) == pytest.approx(np.diff(sound[BEGINS:]), abs=1e-6)
