"""Register maps: fewest requests, and words turned back into the values a meter showed."""

import numpy as np
import pytest

from collector.profiles import Profile, Register
from collector.registers import Block, decode, encode, plan

POWER = "power_kw"


def profile(*registers, **more):
    made = tuple(Register(**one) for one in registers)
    return Profile(id="p", title="p", reference="test", registers=made, **more)


def words_of(layout, values):
    image = encode(layout.profile, values)
    blocks = [(b.function, b.start + i) for b in layout.blocks for i in range(b.count)]
    return np.array([[image.get(key, 0xDEAD) for key in blocks]], dtype=np.uint16)


def test_neighbours_and_small_gaps_become_one_request():
    p = profile(
        {"quantity": "power_kw", "address": 10, "type": "f32"},
        {"quantity": "energy_import_kwh", "address": 0, "type": "u32"},
        {"quantity": "frequency_hz", "address": 40, "type": "u16"},
    )
    assert plan(p, 125, 8).blocks == (Block(3, 0, 12), Block(3, 40, 1))
    assert plan(p, 125, 7).blocks == (Block(3, 0, 2), Block(3, 10, 2), Block(3, 40, 1))
    assert plan(p, 125, 28).blocks == (Block(3, 0, 41),)


def test_a_request_is_never_longer_than_bus_or_meter_allow():
    rows = [
        {"quantity": q, "address": 2 * i, "type": "f32"}
        for i, q in enumerate(("power_kw", "power_a_kw", "power_b_kw", "power_c_kw"))
    ]
    assert [b.count for b in plan(profile(*rows), 4, 8).blocks] == [4, 4]
    assert [b.count for b in plan(profile(*rows, max_registers=6), 125, 8).blocks] == [6, 2]


def test_forbidden_addresses_and_other_functions_are_not_read_along():
    p = profile(
        {"quantity": "power_kw", "address": 0, "type": "u16"},
        {"quantity": "power_a_kw", "address": 4, "type": "u16"},
        {"quantity": "power_b_kw", "address": 5, "type": "u16", "function": 4},
        forbidden=((2, 3),),
    )
    assert plan(p).blocks == (Block(3, 0, 1), Block(3, 4, 1), Block(4, 5, 1))


def test_a_group_is_never_split():
    rows = (
        {"quantity": "voltage_a_v", "address": 0, "type": "u16"},
        {"quantity": "power_a_kw", "address": 3, "type": "u16", "group": "power"},
        {"quantity": "power_b_kw", "address": 6, "type": "u16", "group": "power"},
    )
    assert plan(profile(*rows), 4, 8).blocks == (Block(3, 0, 1), Block(3, 3, 4))
    with pytest.raises(ValueError, match="group power needs 4 registers"):
        plan(profile(*rows), 3, 8)


def test_known_words_of_a_datasheet():
    # 230.2 V as IEEE 754 is 0x43663333; -1 W in 0.1 W steps, least significant word first
    p = profile(
        {"quantity": "voltage_a_v", "address": 0, "type": "f32"},
        {
            "quantity": "power_kw",
            "address": 2,
            "type": "s32",
            "scale": 0.0001,
            "word_order": "little",
        },
    )
    values, _ = decode(plan(p), np.array([[0x4366, 0x3333, 0xFFF6, 0xFFFF]], dtype=np.uint16))
    assert values["voltage_a_v"][0] == pytest.approx(230.2, rel=1e-6)
    assert values["power_kw"][0] == pytest.approx(-0.001)


def test_a_sentinel_is_no_value_and_no_doubt():
    p = profile({"quantity": POWER, "address": 0, "type": "s32", "sentinels": [0x7FFFFFFF]})
    values, doubts = decode(plan(p), words_of(plan(p), {POWER: None}))
    assert np.isnan(values[POWER][0])
    assert not doubts


def test_not_a_number_and_the_impossible_are_doubts():
    p = profile(
        {"quantity": "voltage_a_v", "address": 0, "type": "f32"},
        {"quantity": "energy_import_kwh", "address": 2, "type": "f32"},
    )
    rows = [[0x7FC0, 0, 0x4366, 0x3333], [0x4366, 0x3333, 0xC366, 0x3333]]  # NaN; -230.2 kWh
    values, doubts = decode(plan(p), np.array(rows, dtype=np.uint16))
    assert [(d.row, d.quantity, d.reason) for d in doubts] == [
        (0, "voltage_a_v", "not_finite"),
        (1, "energy_import_kwh", "out_of_range"),
    ]
    assert np.isnan(values["energy_import_kwh"]).tolist() == [False, True]


def test_ratios_multiply_what_is_behind_the_transformers():
    rows = [
        {"quantity": q, "address": 2 * i, "type": "f32", "secondary": True}
        for i, q in enumerate(("energy_import_kwh", "current_a_a", "voltage_a_v", "frequency_hz"))
    ]
    layout = plan(profile(*rows))
    shown = {
        "energy_import_kwh": 2.0,
        "current_a_a": 3.0,
        "voltage_a_v": 100.0,
        "frequency_hz": 50.0,
    }
    ratio = {"ct": np.array([200.0]), "pt": np.array([100.0])}
    values, _ = decode(layout, words_of(layout, shown), ratio)
    assert {k: v[0] for k, v in values.items()} == {
        "energy_import_kwh": 40_000.0,
        "current_a_a": 600.0,
        "voltage_a_v": 10_000.0,
        "frequency_hz": 50.0,
    }
