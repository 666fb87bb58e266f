"""Targets of sectors, districts and sites: the path, like with like, and what is law."""

import os
from datetime import UTC, date, datetime

import polars as pl
import pytest
from fakes import reference_targets as plain
from history_rows import book
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import REPO, day_rows, meter, site

from processors.indices import Length, indices
from processors.policy.load import load_packs
from processors.target import BASES, TARGET, YEARS, Course, members, targets, years_of
from processors.target_bases import bases_of

EXAMPLES = int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "25"))
PACK = load_packs(REPO / "config" / "policy")[0].target("savings-shenzhen")
COURSE = Course.of(PACK, None, 0.75)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
KINDS = {"a": "factory", "b": "factory", "c": "retail", "d": "lodging"}
SITES = [
    site(id=name, kind=kind, district="east" if name in "ac" else "west", use="")
    for name, kind in KINDS.items()
]


def years(known):
    rows = [
        {
            "site_id": name,
            "year": year,
            "hours": 8784.0 if year % 4 == 0 else 8760.0,
            "energy_kwh": None if kw is None else kw * 8760.0,
            "mean_kw": kw,
            "coverage": coverage,
            "estimated_share": 0.0,
            "why": why,
        }
        for (name, year), (kw, why, coverage) in known.items()
    ]
    return pl.DataFrame(rows, schema=YEARS)


def tracked(known, bases=None, course=COURSE, sites=SITES):
    held = pl.DataFrame(bases or [], schema=BASES, orient="row")
    frame = targets(years(known), held, members(sites, PACK), course)
    assert frame.schema == pl.Schema(TARGET)
    return {
        (one["level"], one["group_id"], one["sector"], one["year"]): one
        for one in frame.iter_rows(named=True)
    }


def steady(**kw_by_site):
    """Mean powers of 2010, 2011, ... of sites."""
    return {
        (name, 2010 + n): (kw, None, 1.0)
        for name, many in kw_by_site.items()
        for n, kw in enumerate(many)
    }


def test_a_site_that_saves_seven_percent_in_three_years_is_on_the_path():
    rows = tracked(steady(a=[100.0, 97.0, 96.0, 93.0]))
    state = [rows["site", "a", "industry", year]["state"] for year in (2011, 2012, 2013)]
    assert state == ["on", "behind", "on"]  # the path stands at -2.3, -4.7, -7 %
    last = rows["site", "a", "industry", 2013]
    assert (last["change"], last["path_change"]) == (pytest.approx(-0.07), pytest.approx(-0.07))
    assert last["change_last"] == pytest.approx(93 / 96 - 1)


def test_sectors_have_their_own_targets_and_districts_are_told_by_sector():
    rows = tracked(steady(**{name: [100.0, 100.0, 100.0, 94.0] for name in KINDS}))
    told = {
        key[:3]: one["state"] for key, one in rows.items() if key[3] == 2013 and key[0] != "site"
    }
    assert told == {
        ("sector", "industry", "industry"): "behind",
        ("sector", "commerce", "commerce"): "on",
        ("district", "east", "industry"): "behind",
        ("district", "west", "industry"): "behind",
        ("district", "east", "commerce"): "on",
        ("district", "west", "commerce"): "on",
    }


def test_a_group_compares_like_with_like_and_too_few_sites_decide_nothing():
    known = steady(a=[100.0, 90.0], b=[500.0])
    row = tracked(known)["sector", "industry", "industry", 2011]
    assert (row["change"], row["sites"], row["sites_compared"]) == (pytest.approx(-0.1), 2, 1)
    assert (row["state"], row["reason"], row["coverage"]) == ("undecided", "sites_missing", 0.5)
    alone = tracked(known)["site", "b", "industry", 2011]
    assert (alone["change"], alone["reason"]) == (None, "no_data")


def test_only_published_targets_are_law_and_other_years_are_illustrative():
    own = tracked(steady(a=[100.0, 97.0]))["site", "a", "industry", 2011]
    assert own["provenance"] == "unverified"  # the plan's measure was not found
    course = Course.of(PACK, 2017, 0.75)
    assert (course.base_year, course.target_year) == (2017, 2020)
    known = {("a", 2017): (10.0, None, 1.0), ("a", 2018): (9.0, None, 1.0)}
    assert (
        tracked(known, course=course)["site", "a", "industry", 2018]["provenance"] == "illustrative"
    )


def test_gaps_and_leap_days_look_like_no_saving():
    """2012 is a day longer than 2011 and lacks five days: the mean power is the same."""
    zones = book("a").meters
    days = pl.concat(
        [
            day_rows("a", date(2011, 1, 1), date(2012, 1, 1), 240.0),
            day_rows("a", date(2012, 1, 1), date(2012, 12, 27), 240.0),
        ]
    )
    rows = years_of(
        indices(days.with_columns(max_block_demand_kw=10.0), zones, Length.YEAR, LATER, 0.95)
    )
    course = Course(PACK, 2011, 2014, 0.75)
    told = targets(rows, bases_of([], []), members(SITES, PACK), course)
    row = told.filter(level="site", group_id="a", year=2012).row(0, named=True)
    assert row["change"] == pytest.approx(0.0, abs=1e-12)
    assert row["energy_kwh"] < row["base_energy_kwh"]


def test_a_year_that_runs_is_undecided():
    zones = book("a").meters
    days = day_rows("a", date(2011, 1, 1), date(2012, 6, 1), 240.0).with_columns(
        max_block_demand_kw=10.0
    )
    now = datetime(2012, 6, 1, tzinfo=UTC)
    rows = years_of(indices(days, zones, Length.YEAR, now, 0.95))
    told = targets(rows, bases_of([], []), members(SITES, PACK), Course(PACK, 2011, 2014, 0.75))
    row = told.filter(level="site", group_id="a", year=2012).row(0, named=True)
    assert (row["state"], row["reason"], row["change"]) == ("undecided", "running", None)


def test_denominators_are_of_whole_years_and_of_one_product():
    area = site(floor_area_m2=[{"from": "2010-07-01", "value": 500}])
    assert bases_of([area], [2010, 2011]).rows() == [("s", 2011, 500.0, "m2.a")]
    made = {"from": "2011-01-01", "until": "2012-01-01", "product": "cement", "output": 9.0}
    told = made | {"unit": "t", "declared_by": "owner"}
    assert bases_of([site(production=[told])], [2011]).rows() == [("s", 2011, 9.0, "t")]
    half = told | {"until": "2011-07-01"}
    assert bases_of([site(production=[half])], [2011]).is_empty()
    worth = told | {"product": "output_value", "unit": "万元"}
    assert bases_of([site(production=[told, worth])], [2011]).rows() == [("s", 2011, 9.0, "t")]
    two = [told, told | {"product": "lime"}]
    assert bases_of([site(production=two)], [2011]).is_empty()


def test_what_counters_count_of_a_whole_year_is_a_denominator_as_if_declared():
    told = {"from": "2011-01-01", "product": "cement", "per_count": 0.5, "unit": "t",
            "declared_by": "Li"}  # fmt: skip
    line = {"id": "line", "role": "count", "counts": {"of": [told]}}
    here = site(meters=[meter("m"), line], floor_area_m2=[])
    seen = {"blocks": 96, "coverage": 1.0}

    def made(first, after, count=2.0):
        return day_rows("line", first, after, None, output_count=count, **seen)

    year = date(2011, 1, 1), date(2012, 1, 1)
    whole = made(*year)
    assert bases_of([here], [2010, 2011], whole).rows() == [("s", 2011, 365.0, "t")]
    lacking = whole.filter(pl.col("day") != date(2011, 7, 1))
    assert bases_of([here], [2011], lacking).is_empty()
    half = {"from": "2011-01-01", "until": "2011-07-01", "product": "cement", "output": 9.0,
            "unit": "t", "declared_by": "owner"}  # fmt: skip
    both = site(meters=[meter("m"), line], floor_area_m2=[], production=[half])
    assert bases_of([both], [2011], lacking).is_empty()
    assert bases_of([both], [2011], whole)["denominator"].to_list() == [9.0 + 184.0]
    assert bases_of([here], [2011], made(*year, 0.0)).is_empty()


def test_an_intensity_target_needs_denominators():
    by_unit = Course.of(PACK.model_copy(update={"measure": "intensity"}), None, 0.75)
    known = steady(a=[100.0, 110.0])
    bases = [("a", 2010, 50.0, "t"), ("a", 2011, 60.0, "t")]
    row = tracked(known, bases, by_unit)["site", "a", "industry", 2011]
    assert (row["state"], row["intensity_unit"]) == ("on", "kWh/t")
    assert row["intensity_change"] == pytest.approx(110 / 60 * 50 / 100 - 1)
    none = tracked(known, [], by_unit)["site", "a", "industry", 2011]
    assert (none["state"], none["reason"]) == ("undecided", "no_denominator")


CELL = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from([0.0, 40.0, 93.0, 97.5, 100.0]), st.none(), st.sampled_from([0.96, 1.0])
    ),
    st.tuples(st.none(), st.sampled_from(["low_coverage", "running"]), st.just(0.5)),
)
HELD = st.one_of(
    st.none(), st.tuples(st.sampled_from([10.0, 20.0]), st.sampled_from(["t", "m2.a"]))
)
PLACES = [(name, year) for name in KINDS for year in range(2010, 2014)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(PLACES, CELL)),
    st.fixed_dictionaries(dict.fromkeys(PLACES, HELD)),
)
def test_targets_are_those_of_the_plain_reference(cells, held):
    known = {key: one for key, one in cells.items() if one is not None}
    bases = {key: one for key, one in held.items() if one is not None}
    rows = tracked(known, [(*key, *one) for key, one in bases.items()])
    for (level, group, sector, year), mine in rows.items():
        of = [one.id for one in SITES if members([one], PACK)["sector"][0] == sector]
        names = [
            n for n in of if level == "sector" or group in {n, "east" if n in "ac" else "west"}
        ]
        change = -0.07 if sector == "industry" else -0.05
        theirs = plain.row(known, names, year, 2010, 3, change, 0.75, bases)
        columns = ("change", "intensity_change", "state", "reason", "sites_compared")
        for left, right in zip((mine[name] for name in columns), theirs, strict=True):
            assert left == (pytest.approx(right) if isinstance(right, float) else right)
    assert len(rows) == 3 * (2 + 4 + 4)
