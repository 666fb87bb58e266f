"""Several products at one site: parts by meter, share and quota, that add up to the site."""

import os
from datetime import date, timedelta

import polars as pl
import pytest
from fakes.reference_allocation import parts
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rows import at, day_rows, meter, site
from test_verdict import quota

from processors.allocation import allocate
from processors.claims import Period, output_claims
from processors.intensity import measure
from processors.judge import judge
from processors.policy.load import Packs
from processors.settings import VerdictSettings

MAY = Period(date(2017, 5, 1), date(2017, 5, 6))
DAYS = [MAY.start + timedelta(days=n) for n in range(MAY.days)]
HOUSE = [meter("m"), meter("n"), meter("s1", role="sub", behind="m"), meter("s2", role="sub")]


def made(product, output=100.0, **over):
    told = {"from": MAY.start, "until": MAY.end, "product": product, "output": output,
            "unit": "t", "declared_by": "works"}  # fmt: skip
    return told | over


def split(products, rows, quotas, meters=HOUSE):
    """DAY rows of parts and claims of one site's products."""
    works = site(kind="factory", floor_area_m2=[], meters=meters, production=products)
    claims = output_claims(works, MAY)
    return allocate(rows, claims, lambda one: quotas.get(one.product, {}))


def energies(products, rows, quotas):
    """Product -> day -> energy, and the claims by product."""
    days, claims = split(products, rows, quotas)
    found = {}
    for one in claims:
        mine = (
            days.filter(pl.col("meter_id").is_in(one.rows))
            .group_by("day")
            .agg(pl.when(pl.col("energy_kwh").null_count() == 0).then(pl.col("energy_kwh").sum()))
        )
        found[one.product] = {} if one.shared else dict(mine.rows())
    return found, {one.product: one for one in claims}


ROWS = pl.concat([
    day_rows("m", MAY.start, MAY.end, 60.0), day_rows("n", MAY.start, MAY.end, 40.0),
    day_rows("s1", MAY.start, MAY.end, 20.0), day_rows("s2", MAY.start, MAY.end, 10.0),
])  # fmt: skip


def test_a_sub_meter_then_a_share_then_output_times_quota():
    products = [made("a", meters=["s1"]), made("b", share=0.25), made("c", 100), made("d", 300)]
    quotas = {"c": {"kWh": 30.0, "kgce": 9.0}, "d": {"kWh": 10.0}}
    found, claims = energies(products, ROWS, quotas)
    assert found["a"][MAY.start] == 20.0
    assert found["b"][MAY.start] == pytest.approx(0.25 * 80)
    assert found["c"][MAY.start] == found["d"][MAY.start] == pytest.approx(30.0)
    assert {name: one.allocation for name, one in claims.items()} == {
        "a": "own_meters", "b": "remainder declared_share",
        "c": "remainder output_by_quota", "d": "remainder output_by_quota",
    }  # fmt: skip
    assert claims["c"].meters == ("m", "n", "s1")


@pytest.mark.parametrize(
    "products",
    [
        [made("a", share=0.5), made("b", share=0.4)],
        [made("a", share=1.0), made("b")],
        [made("a"), made("c")],
        [made("a", meters=["m"]), made("b", meters=["s1"])],
        [made("a", meters=["s1"]), made("b", meters=["s1", "s2"])],
        [made("a", share=0.5)],
        [made("b"), made("b", **{"from": date(2017, 5, 2)})],
    ],
)
def test_what_cannot_be_parted_is_left_undecided(products):
    quotas = {"a": {"kWh": 1.0}, "b": {"kWh": 1.0}, "c": {"kgce": 1.0}}
    _, claims = split(products, ROWS, quotas)
    assert all(one.shared for one in claims)


def test_a_day_on_which_a_meter_is_silent_or_a_sub_meter_above_is_unknown():
    low = ROWS.with_columns(
        pl.when((pl.col("meter_id") == "s1") & (pl.col("day") == DAYS[1])).then(500.0)
        .when((pl.col("meter_id") == "n") & (pl.col("day") == DAYS[2])).then(None)
        .otherwise("energy_kwh").alias("energy_kwh")
    )  # fmt: skip
    found, claims = energies([made("a", meters=["s1"]), made("b")], low, {})
    assert [found["b"][day] for day in DAYS[:4]] == [80.0, None, None, 80.0]
    days, _ = split([made("a", meters=["s1"]), made("b")], low, {})
    row = measure(days, [claims["b"]]).row(0, named=True)
    assert row["coverage"] == pytest.approx(3 / 5)
    assert row["energy_kwh"] == pytest.approx(240.0)


amounts = st.integers(0, 10_000).map(lambda n: n / 8)


@st.composite
def houses(draw):
    """Products of a site with two mains and two sub-meters, and five days of energy."""
    names = draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))
    owners = [["s1"], ["s2"], [], [], []]
    shares = draw(
        st.sampled_from([[None] * 5, [None, None, 0.25, None, 0.5], [0.5, 0.5, 0.5, 0.5, 0]])
    )
    products = []
    for n, name in enumerate(names):
        first = draw(st.integers(0, 2))
        last = draw(st.integers(first + 1, 5))
        share = shares[n] or None
        products.append(
            {"name": name, "meters": owners[n] if len(names) > 1 else [],
             "start": DAYS[0] + timedelta(days=first), "until": DAYS[0] + timedelta(days=last),
             "share": share, "output": draw(st.integers(1, 500)), "quota": draw(st.integers(1, 90))}
        )  # fmt: skip
    energy = {
        name: [draw(st.none() | amounts) if draw(st.booleans()) else draw(amounts) for _ in DAYS]
        for name in ("m", "n", "s1", "s2")
    }
    return products, energy


@settings(max_examples=int(os.environ.get("DEMANDWATCH_FUZZ_EXAMPLES", "40")), deadline=None)
@given(houses())
def test_parts_are_those_of_the_plain_reference_and_add_up_to_the_site(house):
    products, energy = house
    rows = pl.concat(
        [day_rows(name, MAY.start, MAY.end, lambda day, e=e: e[DAYS.index(day)])
         for name, e in energy.items()]
    )  # fmt: skip
    told = [
        made(one["name"], one["output"], meters=one["meters"], share=one["share"],
             **{"from": one["start"], "until": one["until"]})
        for one in products
    ]  # fmt: skip
    quotas = {one["name"]: {"kWh": float(one["quota"])} for one in products}
    found, claims = energies(told, rows, quotas)
    for one in products:
        one["weight"] = one["output"] * one["quota"] / (one["until"] - one["start"]).days
    unclear = set()
    for n, day in enumerate(DAYS):
        today = {name: e[n] for name, e in energy.items()}
        want = parts(day, ["m", "n"], today, products)
        clear = parts(
            day, ["m", "n"], dict.fromkeys(today, 1_000.0) | {"s1": 1.0, "s2": 1.0}, products
        )
        unclear |= {name for name, kwh in clear.items() if kwh is None}
        if all(not claims[name].shared for name in want):
            _same(found, want, day, claims)
            _adds_up(found, want, today, day, products)
    assert {name for name, one in claims.items() if one.shared} == unclear


def _same(found, want, day, claims):
    for name, kwh in want.items():
        got = found[name].get(day)
        assert (got is None) == (kwh is None), (name, day)
        assert kwh is None or got == pytest.approx(float(kwh), rel=1e-12, abs=1e-9)


def _adds_up(found, want, today, day, products):
    """Where every product is declared for the day, the parts are the site's energy."""
    if len(want) < len(products) or any(kwh is None for kwh in want.values()):
        return
    rest = [one["name"] for one in products if not one["meters"]]
    own = sum(today[m] for one in products for m in one["meters"])
    if rest and all(day in found[name] for name in rest):
        whole = sum(found[name][day] for name in rest) + own
        assert whole == pytest.approx(today["m"] + today["n"], rel=1e-12, abs=1e-9)


def test_a_verdict_says_how_energy_was_parted_and_an_estimated_one_is_but_a_clue():
    rows = ROWS.filter(pl.col("meter_id").is_in(["m", "s1"]))
    packs = Packs(tables=(quota(), quota(id="x", product="x").model_copy(update={"id": "y"})))

    def judged(*products):
        meters = [meter("m"), meter("s1", role="sub")]
        works = site(kind="factory", floor_area_m2=[], meters=meters, production=list(products))
        told = judge(rows, [works], packs, MAY, VerdictSettings(), at(date(2017, 6, 1)))
        names = ("actual", "allocation", "standing", "standing_reasons")
        return dict(zip(told["row_id"], told.select(names).rows(), strict=True))

    apart = judged(made("p", 1.0, meters=["s1"]), made("x", 1.0))
    assert apart["p_el"] == (100.0, "own_meters", "evidence", [])
    assert apart["x"] == (200.0, "remainder", "evidence", [])
    both = judged(made("p", 1.0), made("x", 2.0))
    assert both["p_el"] == (pytest.approx(100.0), "output_by_quota", "clue", ["allocated"])
    assert both["x"] == (pytest.approx(100.0), "output_by_quota", "clue", ["allocated"])
    said = judged(made("p", 1.0, share=0.25), made("x", 1.0, share=0.75))
    assert said["x"] == (225.0, "declared_share", "clue", ["allocated"])
