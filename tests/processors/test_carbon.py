"""Carbon: each month by the factor in force or none, product labels with what they do not count."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from history_rows import book
from policy_rows import REPO, day_rows, meter, site

from processors.carbon import BOUNDARY, CARBON, LABEL, Factors, labels, ledger
from processors.claims import Period
from processors.indices import Length, indices
from processors.policy.load import load_packs
from processors.savings_settings import CarbonSettings

PACK = load_packs(REPO / "config" / "policy")[0].factor_pack("emission-factors")
LATER = datetime(2030, 1, 1, tzinfo=UTC)
YEARS = (date(2021, 11, 1), date(2023, 3, 1))


def factors(*choices):
    told = choices or [{"from": "2015-01-01", "scope": "广东"}]
    return Factors(PACK, CarbonSettings(factors=told).factors)


def months(kwh=10.0, span=YEARS, now=LATER):
    rows = day_rows("m", *span, kwh).with_columns(max_block_demand_kw=1.0)
    return indices(rows, book("m").meters, Length.MONTH, now, 0.95)


def by_month(chosen, rows=None):
    frame = ledger(months() if rows is None else rows, chosen)
    assert frame.schema == pl.Schema(CARBON)
    return {one["month"]: one for one in frame.iter_rows(named=True)}


def plainly(days, year_factors, choice=None):
    """kg CO2 by month, day by day."""
    out = {}
    for row in days.iter_rows(named=True):
        month, factor = row["day"].replace(day=1), year_factors.get(choice or row["day"].year)
        held = out.get(month, 0.0)
        known = factor is not None and held is not None
        out[month] = held + row["energy_kwh"] * factor if known else None
    return out


def test_each_month_takes_the_factor_of_its_own_year_or_none():
    rows = by_month(factors())
    days = day_rows("m", *YEARS, 10.0)
    theirs = plainly(days, {2021: 0.4715, 2022: 0.4403})
    assert {month: one["kg_co2"] for month, one in rows.items()} == {
        month: pytest.approx(kg) if kg is not None else None for month, kg in theirs.items()
    }
    new_year = rows[date(2023, 1, 1)]
    assert (new_year["kg_co2"], new_year["reason"]) == (None, "factor_not_known")
    assert new_year["energy_kwh"] == 310.0  # what is known stays visible
    assert rows[date(2022, 2, 1)]["provenance"] == "published"
    assert {one["boundary"] for one in rows.values()} == {BOUNDARY}
    assert "scope 2, location-based" in BOUNDARY


def test_another_years_factor_is_used_only_by_choice_and_says_so():
    carry = {"from": "2023-01-01", "scope": "广东", "year": 2022, "declared_by": "bureau"}
    rows = by_month(factors({"from": "2021-01-01", "scope": "广东"}, carry))
    row = rows[date(2023, 1, 1)]
    assert (row["factor_year"], row["carried"]) == (2022, True)
    assert row["kg_co2"] == pytest.approx(310 * 0.4403)
    assert rows[date(2022, 12, 1)]["carried"] is False


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ([{"from": "2030-01-01", "scope": "广东"}], "no_factor_chosen"),
        ([{"from": "2015-01-01", "scope": "云南"}], "no_factor_for_year"),
        ([{"from": "2015-01-01", "scope": "广东", "year": 2019}], "no_factor_for_year"),
    ],
)
def test_no_factor_is_no_emission(choices, reason):
    row = by_month(factors(*choices))[date(2021, 12, 1)]
    assert (row["kg_co2"], row["factor_kg_per_kwh"], row["reason"]) == (None, None, reason)


def test_nothing_known_is_null_and_a_running_month_a_lower_bound():
    rows = by_month(factors(), months(span=(date(2022, 2, 1), date(2022, 2, 15)), now=LATER))
    row = rows[date(2022, 2, 1)]
    assert (row["coverage"], row["kg_co2"]) == (0.5, pytest.approx(140 * 0.4403))
    silent = by_month(factors(), months(kwh=None, span=(date(2022, 2, 1), date(2022, 3, 1))))
    assert {(one["kg_co2"], one["reason"]) for one in silent.values()} == {(None, "no_data")}


MADE = {
    "from": "2021-12-01",
    "until": "2022-02-01",
    "product": "cement",
    "output": 100.0,
    "unit": "t",
    "declared_by": "owner",
}
SPAN = (date(2021, 12, 1), date(2022, 2, 1))


def weights(claim):
    """Clinker may use three times as much a tonne as cement; nothing is known of lime."""
    return {"cement": {"kWh": 10.0}, "clinker": {"kWh": 30.0}}.get(claim.product, {})


def label(rows=None, chosen=None, **over):
    held = site(production=over.get("production", [MADE]))
    days = day_rows("m", *SPAN, 10.0) if rows is None else rows
    span = Period(date(2021, 1, 1), date(2023, 1, 1))
    frame = labels(days, [held], span, chosen or factors(), 0.95, weights)
    assert frame.schema == pl.Schema(LABEL)
    return frame.row(0, named=True)


def test_a_label_divides_dated_emissions_by_the_output_and_states_its_boundary():
    row = label()
    assert row["kg_co2"] == pytest.approx(310 * 0.4715 + 310 * 0.4403)
    assert row["kg_co2_per_unit"] == pytest.approx(row["kg_co2"] / 100)
    assert row["factors"] == ["0.4403 (广东 2022, published)", "0.4715 (广东 2021, published)"]
    assert (row["unit"], row["boundary"], row["provenance"]) == ("t", BOUNDARY, "published")
    assert "CO2 only" in row["label"]


def test_a_factor_that_is_not_published_is_on_the_label():
    row = label(chosen=factors({"from": "2015-01-01", "scope": "national"}))
    assert row["provenance"] == "unverified"  # of 2021; that of 2022 is published
    assert row["label"].startswith("factor is unverified")


def test_a_factor_of_another_year_is_on_the_label():
    row = label(chosen=factors({"from": "2015-01-01", "scope": "广东", "year": 2022}))
    assert row["kg_co2"] == pytest.approx(620 * 0.4403)
    assert row["label"].startswith("published factors; factor of another year; CO2 only")
    assert "another year" not in label()["label"]
    none = factors({"from": "2030-01-01", "scope": "广东"})
    assert label(chosen=none)["label"] is None


def test_no_label_without_coverage_a_factor_or_an_allocation():
    few = day_rows("m", SPAN[0], date(2022, 1, 15), 10.0)
    assert (label(few)["kg_co2_per_unit"], label(few)["reason"]) == (None, "low_coverage")
    late = factors({"from": "2022-01-01", "scope": "广东"})
    assert (label(chosen=late)["kg_co2"], label(chosen=late)["reason"]) == (
        None, "no_factor_chosen",
    )  # fmt: skip
    two = [MADE, MADE | {"product": "lime"}]
    assert label(production=two)["reason"] == "shared_meters"
    assert label(day_rows("x", *SPAN, 1.0))["reason"] == "no_data"


def test_products_in_common_are_parted_and_output_value_is_no_product():
    two = [MADE, MADE | {"product": "clinker"}, MADE | {"product": "output_value", "unit": "万元"}]
    frame = labels(
        day_rows("m", *SPAN, 10.0), [site(production=two)], Period(*SPAN), factors(), 0.95, weights
    )
    assert frame["product"].to_list() == ["cement", "clinker"]
    assert frame["allocation"].to_list() == ["output_by_quota"] * 2
    assert frame["energy_kwh"].to_list() == pytest.approx([155.0, 465.0])
    assert frame["kg_co2"].sum() == pytest.approx(label()["kg_co2"])


def counted(*counts, unstated=0):
    """Label of a counter that counts these of each span of SPAN; its last days not stated."""
    told = {"from": "2021-01-01", "product": "cement", "per_count": 0.5, "unit": "t",
            "declared_by": "Li"}  # fmt: skip
    line = {"id": "line", "role": "count", "counts": {"of": [told]}}
    held, days = site(meters=[meter("m"), line]), day_rows("m", *SPAN, 10.0)
    known = day_rows("line", SPAN[0], SPAN[1] - timedelta(days=unstated), None, blocks=96,
                     output_count=counts[0], coverage=1.0)  # fmt: skip
    rows = pl.concat([days, known])
    frame = labels(rows, [held], Period(*SPAN), factors(), 0.95, weights)
    assert frame.schema == pl.Schema(LABEL)
    return frame.row(0, named=True)


def test_a_label_of_what_a_counter_counted_is_that_of_the_same_declared():
    row, declared = counted(100 / 31), label()
    names = ("output", "energy_kwh", "kg_co2", "kg_co2_per_unit", "reason", "provenance")
    assert {n: row[n] for n in names} == {
        n: pytest.approx(declared[n]) if isinstance(declared[n], float) else declared[n]
        for n in names
    }
    assert (row["declared_by"], row["count_coverage"]) == ("Li (counter line)", 1.0)
    few = counted(4.0, unstated=2)  # 60 of 62 days: output and energy of those alone
    assert (few["output"], few["energy_kwh"]) == (120.0, 600.0)
    assert few["count_coverage"] == pytest.approx(60 / 62)


@pytest.mark.parametrize(
    ("counts", "unstated", "reason"),
    [(4.0, 10, "count_not_covered"), (4.0, 62, "count_not_covered"), (0.0, 0, "nothing_counted")],
)
def test_a_counter_that_says_too_little_makes_no_label(counts, unstated, reason):
    row = counted(counts, unstated=unstated)
    assert (row["kg_co2"], row["kg_co2_per_unit"], row["reason"]) == (None, None, reason)


def test_no_declaration_no_label():
    frame = labels(day_rows("m", *SPAN, 1.0), [site()], Period(*SPAN), factors(), 0.95, weights)
    assert frame.is_empty()
    assert frame.schema == pl.Schema(LABEL)
