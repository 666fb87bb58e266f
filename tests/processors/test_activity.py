"""Declared activity: dated, named, revised and never edited."""

import sqlite3
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from policy_rows import REPO, at, day_rows, site
from pydantic import ValidationError

from processors.activity import (
    ACTIVITY,
    Declaration,
    DeclarationError,
    none,
    refused,
    standing,
    with_activity,
)
from processors.claims import Period, area_claim, output_claims
from processors.history.activitybook import ActivityBook
from processors.judge import judge
from processors.policy.load import load_packs
from processors.settings import VerdictSettings

T0 = datetime(2026, 11, 2, 8, tzinfo=UTC)
PACKS, _ = load_packs(REPO / "config" / "policy")
CEMENT = {"activity": "cement", "from": "2026-10-01", "until": "2026-11-01", "unit": "t"}


def one(value=100.0, **over):
    return Declaration.model_validate(CEMENT | {"value": value, "declared_by": "Li"} | over)


@pytest.fixture
def book(tmp_path):
    clock = iter(T0 + timedelta(hours=n) for n in range(100))
    made = ActivityBook(tmp_path / "activity.db", lambda: next(clock))
    yield made
    made.close()


def test_a_later_declaration_of_a_period_is_its_revision_and_the_first_stays(book):
    assert book.declare("s", one(100)) == (1, True)
    assert book.declare("s", one(120, declared_by="Wang")) == (2, True)
    acts = book.acts()
    assert acts.schema == pl.Schema(ACTIVITY)
    assert acts.select("value", "declared_by", "replaces").rows() == [
        (100.0, "Li", None), (120.0, "Wang", 1),
    ]  # fmt: skip
    assert standing(acts)["value"].to_list() == [120.0]
    assert standing(acts, T0 + timedelta(minutes=1))["value"].to_list() == [100.0]
    assert standing(acts, T0 - timedelta(minutes=1)).is_empty()


def test_what_stands_already_is_not_said_twice(book):
    assert book.declare("s", one()) == (1, True)
    assert book.declare("s", one()) == (1, False)
    area = {"activity": "floor_area_m2", "from": "2026-01-01", "value": 900, "unit": "m2"}
    told = Declaration.model_validate(area | {"declared_by": "Li"})
    assert book.declare("s", told) == (2, True)
    assert book.declare("s", told) == (2, False)
    assert book.acts().height == 2


def test_the_file_refuses_to_change_or_forget(book, tmp_path):
    book.declare("s", one())
    other = sqlite3.connect(tmp_path / "activity.db")
    for sql in ("UPDATE activity SET value = 1", "DELETE FROM activity"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            other.execute(sql)
    other.close()


def test_a_withdrawn_declaration_stands_no_more_and_names_who_and_why(book):
    book.declare("s", one())
    assert book.withdraw(1, "Wang", "wrong site") == 2
    acts = book.acts()
    assert standing(acts).is_empty()
    assert acts.row(1, named=True)["note"] == "wrong site"
    for bad in ((1, "Wang", "again"), (7, "Wang", "x"), (1, " ", "x"), (1, "Wang", "")):
        with pytest.raises(DeclarationError):
            book.withdraw(*bad)


def test_an_overlapping_period_is_refused_and_named(book):
    book.declare("s", one())
    year = {"from": "2026-01-01", "until": "2026-11-02"}
    with pytest.raises(DeclarationError, match=r"declaration 1 .* 2026-10-01 to 2026-11-01"):
        book.declare("s", one(**year))
    assert book.declare("other", one(**year)) == (2, True)
    assert book.declare("s", one(activity="clinker", **year)) == (3, True)
    assert book.declare("s", one(**{"from": "2026-09-01", "until": "2026-10-01"})) == (4, True)


def test_a_trial_keeps_nothing_and_sees_its_own_lines(book):
    with book.whole(keep=False):
        assert book.declare("s", one()) == (1, True)
        assert book.declare("s", one()) == (1, False)
    assert book.acts().is_empty()


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"until": "2026-11-06"}, "not over"),
        ({"activity": "cheese"}, "no product quota has such a row"),
        ({"unit": "kg"}, "counted in t, not in 'kg'"),
        ({"until": None}, "`until` is needed"),
        ({"activity": "altitude_m", "unit": "m"}, "leave out `until`"),
        ({"activity": "thickness_factor", "unit": "t", "until": None}, "counted in 1"),
        ({"activity": "altitude_m", "unit": "m", "until": None, "share": 0.5}, "whole site"),
        ({"meters": ["m", "x"]}, "no meter x"),
        ({"activity": "guests", "unit": "guest", "share": 0.5}, "whole site"),
        ({"activity": "output_value", "unit": "yuan"}, "万元"),
    ],
)
def test_what_cannot_be_taken_says_why(over, says):
    assert says in refused(one(**over), site(), PACKS, date(2026, 11, 5))


@pytest.mark.parametrize("activity", ["cement", "output_value", "value_added", "guests"])
def test_each_activity_is_taken_in_its_unit(activity):
    unit = {"cement": "t", "guests": "guest"}.get(activity, "万元")
    assert refused(one(activity=activity, unit=unit), site(), PACKS, date(2026, 11, 1)) is None


@pytest.mark.parametrize(
    "over",
    [
        {"declared_by": "  "},
        {"value": 0},
        {"value": "inf"},
        {"activity": "guests", "until": None},
        {"until": "2026-10-01"},
        {"share": 1.5},
        {"activity": "floor_area_m2"},
        {"colour": "red"},
    ],
)
def test_a_figure_nobody_could_declare_is_no_declaration(over):
    with pytest.raises(ValidationError):
        one(**over)


def acts(*rows):
    """ACTIVITY rows from (declaration, id)."""
    told = [
        {"declaration_id": n, "site_id": "s", "activity": d.activity, "start": d.since,
         "until": d.until, "value": d.value, "unit": d.unit, "meters": " ".join(d.meters),
         "declared_by": d.declared_by, "declared_at": T0} for n, d in enumerate(rows, 1)
    ]  # fmt: skip
    return pl.DataFrame(told, schema=ACTIVITY)


def test_a_declaration_counts_before_what_the_settings_say():
    said = {"from": "2026-10-10", "until": "2026-10-20", "product": "cement", "output": 7,
            "unit": "t", "declared_by": "settings"}  # fmt: skip
    other = said | {"product": "clinker"}
    area = Declaration.model_validate(
        {"activity": "floor_area_m2", "from": "2026-07-01", "value": 500, "unit": "m2",
         "declared_by": "Zhao"}
    )  # fmt: skip
    here = site(production=[said, other])
    (told,) = with_activity([here], acts(one(), area))
    assert [(p.product, p.output, p.declared_by) for p in told.production] == [
        ("cement", 100.0, "Li"), ("clinker", 7.0, "settings"),
    ]  # fmt: skip
    claim = area_claim(told, Period.year(2026))
    assert claim.declared_by == "owner; Zhao"
    assert claim.denominator == pytest.approx((181 * 1000 + 184 * 500) / 365)
    assert with_activity([here], none()) == (here,)


def test_a_verdict_is_of_the_figure_known_at_the_time_and_names_its_declarer(book):
    month = Period(date(2026, 10, 1), date(2026, 11, 1))
    here = site(id="s", kind="factory", floor_area_m2=[])
    days = day_rows("m", month.start, month.end, 1000.0)
    book.declare("s", one(1000, activity="clinker_el", other_energy_kgce=0.0))
    book.declare("s", one(600, activity="clinker_el", declared_by="Wang", other_energy_kgce=0.0))

    def judged(as_of):
        sites = with_activity([here], standing(book.acts(), as_of))
        rows = judge(days, sites, PACKS, month, VerdictSettings(), at(date(2026, 11, 3)))
        return rows.select("outcome", "actual", "declared_by").rows()

    assert judged(T0 - timedelta(1)) == []
    assert judged(T0) == [("advanced", 31.0, "Li")]
    assert judged(None) == [("within", pytest.approx(31_000 / 600), "Wang")]


def test_output_value_and_products_do_not_share_meters():
    sites = with_activity(
        [site()], acts(one(), one(activity="output_value", unit="万元"))
    )  # fmt: skip
    claims = output_claims(sites[0], Period(date(2026, 10, 1), date(2026, 11, 1)))
    assert [(one.product, one.shared) for one in claims] == [
        ("cement", False), ("output_value", False),
    ]  # fmt: skip
