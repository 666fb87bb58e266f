"""Bills before and after a change: totals, changed lines, and what is on one side alone."""

from datetime import date

import polars as pl
import pytest
from bill_world import LATER, PACKS, billed, midnight, rates
from tariff_rows import blocks

from processors.tariff.bill import bill
from processors.tariff.compare import changed_lines, compared, sum_known

OCTOBER = date(2026, 10, 1)
ROWS = blocks(midnight(OCTOBER), [10.0] * 96 * 31)
PLAIN = bill(billed(), OCTOBER, ROWS, rates(), LATER)


def both(after, before=PLAIN):
    lines = changed_lines(before, after)
    return lines, compared(before, after, lines)


def test_the_same_bill_changes_nothing():
    lines, totals = both(PLAIN)
    assert lines.is_empty()
    row = totals.row(0, named=True)
    assert (row["difference_yuan"], row["lines_changed"], row["changed"]) == (0.0, 0, [])


def test_another_price_changes_its_lines_and_they_add_up_to_the_difference():
    dearer = bill(billed(), OCTOBER, ROWS, rates({"flat_yuan_per_kwh": 0.7}), LATER)
    lines, totals = both(dearer)
    row = totals.row(0, named=True)
    assert row["changed"] == ["energy:peak", "energy:flat", "energy:valley", "power_factor"]
    assert row["lines_changed"] == 4
    assert lines["difference_yuan"].sum() == pytest.approx(row["difference_yuan"])
    assert row["known_difference_yuan"] == row["difference_yuan"]
    flat = lines.filter(period="flat").row(0, named=True)
    assert (flat["price_before_yuan"], flat["price_after_yuan"]) == (0.6725, 0.7)
    assert flat["difference_yuan"] == pytest.approx(11_160 * (0.7 - 0.6725))
    yuan, known = sum_known(totals)
    assert (float(yuan), known) == (row["difference_yuan"], 1)


def test_a_line_that_comes_counts_from_nothing():
    """Transformer capacity in place of a demand charge."""
    other = billed({"basic": "transformer_capacity", "transformer_kva": 100})
    lines, totals = both(bill(other, OCTOBER, ROWS, rates(), LATER))
    new = lines.filter(item="capacity").row(0, named=True)
    gone = lines.filter(item="demand").row(0, named=True)
    assert (new["amount_before_yuan"], new["difference_yuan"]) == (None, 2300.0)
    assert (gone["amount_after_yuan"], gone["difference_yuan"]) == (None, -1120.0)
    assert lines["difference_yuan"].sum() == pytest.approx(totals["difference_yuan"][0])


def test_what_cannot_be_told_has_a_reason_and_no_difference():
    bare = bill(billed({"prices": None}), OCTOBER, ROWS, rates(), LATER)
    lines, totals = both(bare)
    row = totals.row(0, named=True)
    assert (row["after_yuan"], row["difference_yuan"]) == (None, None)
    assert row["reason_after"] == "amounts_missing"
    assert lines.filter(period="flat")["reason_after"].to_list() == ["no_price"]
    assert sum_known(totals) == (0, 0)


def test_another_source_of_the_same_figure_is_a_change_of_no_yuan():
    told = bill(billed(), OCTOBER, ROWS, rates({"source": "a later notice"}), LATER)
    lines, totals = both(told)
    assert set(lines["difference_yuan"]) == {0.0}
    assert totals["difference_yuan"].to_list() == [0.0]
    assert "a later notice" in " ".join(lines["factors_after"][0])


def test_a_site_of_one_side_and_tiers_of_a_simulation_are_told():
    site = billed(quota_month_kwh=[{"from": "2020-01-01", "value": 20_000}])
    tiers = bill(site, OCTOBER, ROWS, rates(surcharge=PACKS.surcharges[0]), LATER)
    lines, totals = both(tiers)
    assert lines["item"].to_list() == ["surcharge_simulated"] * 3
    assert totals["difference_yuan"].to_list() == [0.0]  # no part of the total
    other = PLAIN.with_columns(site_id=pl.lit("new"))
    _, totals = both(pl.concat([PLAIN, other]))
    row = totals.filter(site_id="new").row(0, named=True)
    assert (row["before_yuan"], row["difference_yuan"]) == (None, None)
    assert row["reason_before"] == "no_such_site"
