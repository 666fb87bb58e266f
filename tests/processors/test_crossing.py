"""A declaration that reaches beyond a period: left out, and said so; never split."""

from datetime import UTC, date, datetime

import pytest
from policy_rows import REPO, day_rows, meter, site

from processors.claims import Period
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings

PACKS, _ = load_packs(REPO / "config/policy")
OCT = Period(date(2025, 10, 1), date(2025, 11, 1))
NOW = datetime(2026, 1, 10, tzinfo=UTC)


def verdicts(*made, **over):
    facts = {"product": "clinker_el", "output": 500, "unit": "t", "declared_by": "Li"}
    told = [facts | {"from": since, "until": until} for since, until in made]
    here = site(id="works", kind="factory", use="", floor_area_m2=[], meters=[meter("m")],
                production=[one | over for one in told])  # fmt: skip
    days = day_rows("m", date(2025, 9, 1), date(2025, 12, 1), 1000.0)
    found = judge(days, [here], PACKS, OCT, VerdictSettings(), NOW)
    return [one for one in found.rows(named=True) if one["row_id"] == "clinker_el"]


@pytest.mark.parametrize(
    "made",
    [("2025-09-15", "2025-10-15"), ("2025-10-31", "2025-11-02"), ("2025-01-01", "2026-01-01")],
)
def test_what_crosses_the_period_leaves_it_undecided_and_says_so(made):
    (told,) = verdicts(made)
    assert (told["outcome"], told["reason"]) == ("undecided", "declaration_crosses_period")
    assert (told["actual"], told["denominator"], told["declared_by"]) == (None, None, "Li")
    assert (told["period_start"], told["period_end"]) == (OCT.start, OCT.end)


def test_what_touches_the_period_is_of_another_one():
    assert verdicts(("2025-09-01", "2025-10-01"), ("2025-11-01", "2025-12-01")) == []


def test_what_lies_inside_is_judged_over_its_own_span_beside_what_crosses():
    (told,) = verdicts(("2025-09-20", "2025-10-11"), ("2025-10-11", "2025-11-01"))
    assert (told["period_start"], told["period_end"]) == (date(2025, 10, 11), OCT.end)
    assert (told["actual"], told["reason"]) == (42.0, None)


def test_a_guide_that_asks_for_it_has_one_verdict():
    days = day_rows("m", OCT.start, OCT.end, 1000.0)
    made = {"product": "output_value", "output": 40, "unit": "万元", "declared_by": "Li",
            "from": "2025-10-15", "until": "2025-11-15"}  # fmt: skip
    here = site(kind="factory", use="", floor_area_m2=[], industry="C30", guide="demo-industry",
                production=[made])  # fmt: skip
    found = judge(days, [here], PACKS, OCT, VerdictSettings(), NOW)
    assert found["reason"].to_list().count("declaration_crosses_period") == 1
    assert "no_denominator" in found["reason"]  # of value added, which nobody declared
