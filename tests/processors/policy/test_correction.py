"""Each named correction against figures worked by hand."""

import pytest

from processors.policy.correction import FORMULAS, Given, MissingInputError

CASES = [
    ("office_hours", 100.0, {"operating_hours_h": 5000}, {}, 65.0),  # 0.3 + 0.7 x 0.5
    ("office_density", 100.0, {"area_per_person_m2": 20}, {}, 130.0),  # 0.7 + 0.3 x 2
    ("hotel_occupancy", 100.0, {"occupancy_pct": 100}, {}, 70.0),  # 0.4 + 0.6 x 0.5
    ("hotel_guest_rooms", 100.0, {"guest_room_share_pct": 35}, {}, 75.0),  # 0.5 + 0.5 x 0.5
    ("mall_hours", 100.0, {"operating_hours_h": 8760}, {"base_hours_h": 4380}, 65.0),
    ("altitude", 100.0, {"altitude_m": 10}, {}, 100.0),
    ("altitude", 100.0, {"altitude_m": 3000, "site_pressure_pa": 70_000}, {}, 103.3231),
    ("ore_grade", 8400.0, {"ore_grade_pct": 97}, {"base_pct": 98, "coefficient": 40}, 8440.0),
    (
        "special_ore",
        52.0,
        {"rare_earth_ore_pct": 10, "vanadium_titanium_ore_pct": 10, "laterite_ore_pct": 10},
        {},
        67.5,  # 52 + 1.5 + 2 + 12
    ),
    (
        "special_ore",
        52.0,
        {"rare_earth_ore_pct": 10, "vanadium_titanium_ore_pct": 0, "laterite_ore_pct": 0},
        {},
        53.5,
    ),
]


@pytest.mark.parametrize(("name", "figure", "declared", "params", "expected"), CASES)
def test_a_correction_by_hand(name, figure, declared, params, expected):
    given = Given(declared, params, "limit")
    assert FORMULAS[name].apply(figure, given) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("level", "expected"), [("advanced", 91.0), ("access", 98.5), ("limit", 106.0)]
)
def test_the_clinker_ratio_weighs_by_level(level, expected):
    # 80/87/94 kgce/t at 85 % clinker: + 10 points x 1.10/1.15/1.20
    printed = {"advanced": 80.0, "access": 87.0, "limit": 94.0}[level]
    given = Given(
        {"clinker_ratio_pct": 85}, {"advanced": 1.10, "access": 1.15, "limit": 1.20}, level
    )
    assert FORMULAS["clinker_ratio"].apply(printed, given) == pytest.approx(expected)


def test_reviewed_figures_are_named_by_the_pack():
    given = Given({"thickness_factor": 1.2, "power_addition": 8}, {}, "limit", "thickness_factor")
    assert FORMULAS["reviewed_factor"].apply(7.0, given) == pytest.approx(8.4)
    given = Given({"power_addition": 8}, {}, "limit", "power_addition")
    assert FORMULAS["reviewed_addition"].apply(283.0, given) == 291.0


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_an_input_nobody_declared_is_never_guessed(name):
    params = dict.fromkeys((*FORMULAS[name].params, "limit"), 1.0)
    with pytest.raises(MissingInputError):
        FORMULAS[name].apply(1.0, Given({}, params, "limit", "factor"))
