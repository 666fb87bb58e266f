"""All sites judged again under other limits: who changes verdict, and that it is no law."""

from datetime import date

import polars as pl
import pytest
from policy_rows import at, day_rows, site
from test_verdict import guide, quota

from processors.intensity import Period
from processors.policy.load import Packs
from processors.settings import VerdictSettings
from processors.whatif import WHATIF, Change, UnknownEditionError, changed_packs, remarks, whatif

YEAR = Period.year(2017)
NOW = at(date(2018, 1, 2))
SETTINGS = VerdictSettings(guides={"lodging": "g"})


def told(change, packs, kwh=(100.0, 130.0)):
    sites = [site(id=f"s{n}", meters=[{"id": f"m{n}"}]) for n in range(len(kwh))]
    days = pl.concat([day_rows(f"m{n}", YEAR.start, YEAR.end, one) for n, one in enumerate(kwh)])
    frame = whatif(days, sites, packs, YEAR, SETTINGS, NOW, change)
    assert frame.schema == pl.Schema(WHATIF)
    return frame.rows(named=True)


def test_a_tightened_limit_names_who_changes():
    # 36.5 and 47.45 against 50, then 45 kWh/(m2.a)
    same, over = told(Change(tighten=0.1), Packs(tables=(guide(),)))
    assert (same["before"], same["after"], same["changed"]) == ("within", "within", False)
    assert (over["before"], over["after"], over["changed"]) == ("within", "overrun", True)
    assert over["actual"] == pytest.approx(47.45)
    assert (over["threshold_before"], over["threshold"]) == (50.0, pytest.approx(45.0))
    assert (over["provenance_before"], over["provenance"]) == ("published", "illustrative")
    assert "测算" in over["edition"]
    assert over["basis"] == "测算 what-if, no law: limits tightened by 10 %"


def test_another_edition_stands_in_whatever_its_dates():
    old = guide(validity={"from": date(2000, 1, 1), "until": date(2010, 1, 1)}, edition="old")
    strict = old.model_copy(update={"rows": guide(limit=40.0).rows})
    same, over = told(Change(edition=("g", "old")), Packs(tables=(strict, guide())))
    assert (same["changed"], over["changed"]) == (False, True)
    assert (over["threshold"], over["edition"]) == (40.0, "g old")
    (first, _) = told(Change(edition=("g", "old")), Packs(tables=(strict,)))
    # without an edition in force there was no verdict; with it there is
    assert (first["before"], first["reason_before"]) == ("undecided", "no_edition")
    assert first["after"] == "within"


def test_why_nothing_could_change_is_said():
    of, packs = site(id="s", meters=[{"id": "m"}]), Packs(tables=(guide(),))
    other = guide().model_copy(update={"id": "h"})
    days = day_rows("m", YEAR.start, YEAR.end, 100.0)

    def said(change, days=days, packs=packs):
        return remarks(whatif(days, [of], packs, YEAR, SETTINGS, NOW, change), change)

    assert said(Change(tighten=0.1)) == []
    both = Packs(tables=(guide(), other))
    assert said(Change(edition=("h", other.edition)), packs=both) == [
        "no site is judged by h: they are judged by g"
    ]
    assert said(Change(tighten=0.1), days.clear()) == [
        "1 of 1 are undecided before and after: no_data 1"
    ]


def test_what_is_assumed_is_checked():
    with pytest.raises(UnknownEditionError, match="there are g@"):
        changed_packs(Packs(tables=(guide(),)), Change(edition=("g", "none")))
    with pytest.raises(ValueError, match="tighten"):
        changed_packs(Packs(), Change(tighten=1.0))


def test_access_is_tightened_too_and_a_net_recovery_grows():
    packs = changed_packs(
        Packs(tables=(quota(levels={"advanced": 40, "access": -5, "limit": None}),)),
        Change(tighten=0.1),
    )
    levels = packs.tables[0].rows[0].levels
    assert levels["advanced"].value == 40
    assert levels["access"].value == pytest.approx(-5.5)
    assert levels["limit"].value is None


def test_nothing_is_left_of_the_change_in_the_packs_given():
    packs = Packs(tables=(guide(),))
    changed_packs(packs, Change(tighten=0.5))
    assert packs.tables[0].rows[0].levels["limit"].value == 50.0
