"""Load indices on the Site page and in the API: what is told, and what is left open."""

from dataclasses import replace
from datetime import date

import console_world as world
import polars as pl
import pytest

from dashboards.console import parts_indices
from dashboards.console.words import words
from dashboards.desk import Desk
from dashboards.settings import ConsoleSettings


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return world.sources(tmp_path_factory.mktemp("indices"))


@pytest.fixture(scope="module")
def desk(sources):
    return Desk(sources, ConsoleSettings())


def test_the_months_indices_are_those_of_its_blocks(desk):
    one = desk.site("luohu-hotel").indices
    rows = world.intervals().filter(meter_id="luohu-hotel-m1").drop_nulls("energy_kwh")
    kw = rows["energy_kwh"] * 4
    assert one.month == date(2026, 11, 1)
    assert one.blocks == len(kw)
    assert one.load_factor == pytest.approx(kw.mean() / kw.max())
    assert one.peak_valley_ratio == pytest.approx((kw.max() - kw.min()) / kw.max())
    assert one.utilisation_h == pytest.approx(kw.sum() / 4 / kw.max())


def test_a_site_of_two_mains_leaves_out_blocks_one_of_them_lacks(desk):
    one = desk.site("zhongxing").indices
    mains = world.intervals().filter(pl.col("meter_id").is_in(["zhongxing-m1", "zhongxing-m2"]))
    sums = mains.group_by("start").agg(
        pl.col("energy_kwh").sum(), pl.col("energy_kwh").null_count().alias("lacking"), pl.len()
    )
    whole = sums.filter(lacking=0, len=2)["energy_kwh"] * 4
    assert one.blocks == len(whole) < one.blocks_expected
    assert one.load_factor == pytest.approx(whole.mean() / whole.max())


def test_too_little_coverage_is_a_dash_with_its_reason_in_both_languages(sources):
    strict = Desk(replace(sources, index_min_coverage=1.0), ConsoleSettings())
    view = strict.site("zhongxing")
    assert (view.indices.load_factor, view.indices.reason) == (None, "low_coverage")
    for language, told in (("zh", "覆盖率不足"), ("en", "coverage too low")):
        shown = parts_indices.indices(view, words(language))
        assert told in shown
        assert "—" in shown
    assert parts_indices.indices(replace(view, indices=None), words("zh")) == ""
