"""Names that no pack knows are told with file, line and what is allowed."""

from pathlib import Path

import pytest
from policy_rows import REPO, site

from processors.policy.load import load_packs
from processors.policy.names import unknown_names
from processors.settings import ProcessorsSettings

MAIN = (Path("demandwatch.yaml"), {("processors", "quotas", "surcharge"): 7})
MADE = {"from": "2024-01-01", "until": "2025-01-01", "output": 1, "unit": "t", "declared_by": "x"}
DEMO = {"verdicts": {"guides": {"lodging": "demo-tertiary"}}}


def told(of=None, **settings):
    packs, _ = load_packs(REPO / "config" / "policy")
    known = ProcessorsSettings.model_validate(DEMO | settings)
    faults = unknown_names(known, [of or site()], [(Path("s.yaml"), 3)], packs, MAIN)
    return [str(one) for one in faults]


def test_known_names_pass():
    none = {"laterite_ore_pct": [{"from": "2025-01-01", "value": 0}]}
    made = site(production=[MADE | {"product": "clinker", "meters": ["m"]}], declared=none)
    assert told(made, quotas={"surcharge": "demo-progressive"}) == []


@pytest.mark.parametrize(
    ("of", "settings", "says"),
    [
        (
            site(guide="x"),
            {},
            "s.yaml:3: guide: s: no guide 'x'; allowed: demo-industry, demo-tertiary",
        ),
        (site(use="sauna"), {}, "has no row 'sauna'; allowed: catering, hotel"),
        (site(production=[MADE | {"product": "tea"}]), {}, "no product quota has a row 'tea'"),
        (site(production=[MADE | {"product": "clinker", "meters": ["z"]}]), {}, "no meter 'z'"),
        (
            site(declared={"occupancy_pct": [{"from": "2025-01-01", "value": 0}]}),
            {},
            "s: occupancy_pct of 0: its correction takes figures above 0",
        ),
        (None, {"quotas": {"surcharge": "y"}}, "demandwatch.yaml:7: processors.quotas.surcharge:"),
        (None, {"verdicts": {"guides": {"retail": "z"}}}, "no guide 'z'"),
    ],
)
def test_unknown_names_are_faults(of, settings, says):
    (fault,) = told(of, **settings)
    assert says in fault
