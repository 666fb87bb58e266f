"""Real shops, a restaurant and hotels (Building Data Genome 2) before the demo guide.

Hourly energy is laid out as INTERVAL rows, days come from the store's own arithmetic, and each
building is judged: coverage decides first, so that months of zeros before commissioning or a
thousand missing hours leave a building undecided instead of efficient.
"""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from policy_rows import REPO

from collector import reading
from collector.dated import Dated
from collector.site import Site
from processors.book import Book
from processors.history.days import day_rows
from processors.history.store import History
from processors.intensity import Period
from processors.interval import INTERVAL
from processors.judge import judge
from processors.policy.load import load_packs
from processors.quota import accounts
from processors.settings import VerdictSettings

DATA = REPO.parent / "shared" / "data" / "bdg2"
NOW = datetime(2018, 6, 1, tzinfo=UTC)
USES = {
    "Retail": ("retail", "retail_department_store"),
    "Food sales and service": ("catering", "catering"),
    "Lodging/residential": ("lodging", "hotel"),
}
GUIDES = VerdictSettings(guides=dict.fromkeys(("retail", "catering", "lodging"), "demo-tertiary"))

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data/bdg2 is absent"),
]


@pytest.fixture(scope="module")
def hourly():
    """Long table: meter_id, timestamp (local, naive, start of the hour), kwh."""
    wide = [pl.read_csv(one, try_parse_dates=True) for one in sorted(DATA.glob("bgd_*.csv"))]
    long = [
        one.unpivot(index="timestamp", variable_name="meter_id", value_name="kwh") for one in wide
    ]
    return pl.concat(long)


@pytest.fixture(scope="module")
def sites(hourly):
    meta = pl.read_csv(DATA / "metadata.csv", infer_schema_length=None)
    known = meta.filter(pl.col("building_id").is_in(hourly["meter_id"].unique().to_list()))
    return [site_of(row) for row in known.iter_rows(named=True)]


def site_of(row):
    kind, use = USES[row["primaryspaceusage"]]
    name = row["building_id"]
    return Site.model_validate(
        {
            "id": name,
            "name": {"zh": name, "en": name},
            "kind": kind,
            "use": use,
            "district": row["site_id"],
            "timezone": row["timezone"],
            "floor_area_m2": [{"from": "2016-01-01", "value": row["sqm"], "declared_by": "BDG2"}],
            "meters": [{"id": name, "source": {"via": "file"}}],
        }
    )


@pytest.fixture(scope="module")
def intervals(hourly, sites):
    """Each hour as four equal blocks; an hour without a value is missing, not zero."""
    zones = {one.id: one.timezone for one in sites}
    quarters = pl.datetime_ranges("start", "last", interval="15m", time_unit="us")
    parts = [
        part.with_columns(start=in_utc(zone))
        .drop_nulls("start")
        .with_columns(last=pl.col("start") + pl.duration(minutes=45))
        .with_columns(start=quarters, energy_kwh=pl.col("kwh") / 4)
        .explode("start")
        for (name,), part in hourly.partition_by("meter_id", as_dict=True).items()
        for zone in [zones[name]]
    ]
    known = pl.col("energy_kwh").is_not_null()
    full = pl.concat(parts).with_columns(
        end=pl.col("start") + pl.duration(minutes=15),
        demand_kw=pl.col("energy_kwh") * 4,
        coverage=known.cast(pl.Float64),
        quality=pl.when(known).then(pl.lit("measured")).otherwise(pl.lit("missing")),
        flags=pl.lit([], pl.List(pl.String)),
        revision=0,
        computed_at=pl.lit(NOW),
    )
    absent = [pl.lit(None).alias(name) for name in INTERVAL if name not in full.columns]
    return full.with_columns(absent).select(pl.col(n).cast(t) for n, t in INTERVAL.items())


def in_utc(zone):
    local = pl.col("timestamp").cast(pl.Datetime("us"))
    there = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return there.dt.convert_time_zone("UTC")


@pytest.fixture(scope="module")
def days(intervals, sites):
    return day_rows(intervals, Book.of(sites).meters, NOW)


@pytest.fixture(scope="module")
def judged(days, sites):
    return judge_days(days, sites)


def judge_days(days, sites):
    packs, faults = load_packs(REPO / "config" / "policy")
    assert not faults
    years = (2016, 2017)
    return {year: judge(days, sites, packs, Period.year(year), GUIDES, NOW) for year in years}


def outcomes(frame, starting=""):
    mine = frame.filter(pl.col("site_id").str.starts_with(starting))
    return {site: (out, why) for site, out, why in mine["site_id", "outcome", "reason"].iter_rows()}


def test_each_building_has_a_verdict_for_2017_with_its_coverage(judged, sites):
    frame = judged[2017]
    assert frame["site_id"].to_list() == sorted(one.id for one in sites)
    assert frame.height == 19
    assert frame["coverage"].is_between(0.8, 1.0).all()
    assert frame["outcome"].value_counts().sort("outcome").rows() == [
        ("advanced", 1),
        ("overrun", 11),
        ("undecided", 3),
        ("within", 4),
    ]
    undecided = frame.filter(pl.col("outcome") == "undecided")
    assert outcomes(undecided) == {
        "Cockatoo_lodging_Jimmie": ("undecided", "coverage_below_minimum"),
        "Mouse_lodging_Vicente": ("undecided", "zero_days"),  # shut, or its meter was, for 69 days
        "Panther_retail_Gilbert": ("undecided", "implausibly_low"),  # 4 kWh/m2: part of the shop
    }


def test_a_figure_by_hand(judged):
    """Manie 2017: 560,183.52 kWh, less 42.72 in an hour that spring skipped, over 4,201.4 m2."""
    row = judged[2017].row(by_predicate=pl.col("site_id") == "Fox_retail_Manie", named=True)
    assert row["energy_kwh"] == pytest.approx(560_183.52 - 42.72, abs=0.01)
    assert row["denominator"] == pytest.approx(4201.4)
    # the missing hours are taken at the mean, on the record as coverage
    assert row["actual"] == pytest.approx(560_140.80 / 4201.4, rel=3e-4)
    assert row["actual"] >= row["energy_kwh"] / row["denominator"]
    assert row["coverage"] == pytest.approx(8758 / 8760, abs=1e-4)


def test_months_of_zeros_before_commissioning_are_undecided(judged):
    found = outcomes(judged[2016], "Panther_")
    assert len(found) == 14
    assert set(found.values()) == {("undecided", "zero_days")}


def test_an_invented_threshold_gives_a_clue_never_evidence(judged):
    over = judged[2017].filter(pl.col("outcome") == "overrun")
    assert over["standing"].unique().to_list() == ["clue"]
    assert all("threshold_not_published" in one for one in over["standing_reasons"])
    assert over["provenance"].unique().to_list() == ["illustrative"]


def test_the_store_gives_the_same_verdicts(tmp_path, intervals, sites, judged):
    names = ["Fox_food_Francesco", "Panther_lodging_Else"]
    few = [one for one in sites if one.id in names]
    history = History(tmp_path, lambda: NOW, Book.of(few))
    mine = intervals.filter(pl.col("meter_id").is_in(names))
    history.add(1, reading.empty(), mine)
    history.flush()
    days = history.days(date(2016, 1, 1), date(2018, 1, 1), names)
    again = judge_days(days, few)
    for year, frame in again.items():
        expected = judged[year].filter(pl.col("site_id").is_in(names))
        assert_frame_equal(frame, expected)
        history.add_verdicts(frame)
    history.flush()
    assert history.verdicts().height == 4


@pytest.mark.parametrize("day", [4, 10, 16, 23])
def test_the_range_of_a_projection_holds_as_often_as_it_says(days, sites, day):
    """10 % to 90 %: about four months in five, over a year of real buildings."""
    quota = (Dated.model_validate({"from": "2016-01-01", "value": 1e5}),)
    held = [one.model_copy(update={"quota_month_kwh": quota}) for one in sites]
    inside = []
    for month in range(1, 13):
        first = date(2017, month, 1)
        then = datetime(2017, month, day, 12, tzinfo=UTC)
        known = days.filter(pl.col("day") < then.date())
        said = accounts(known, held, then).select("site_id", "^projected_(low|high)_kwh$")
        was = accounts(days, held, NOW, month=first).filter(pl.col("missing_days") < 1)
        both = said.join(was.select("site_id", "energy_kwh"), on="site_id").drop_nulls()
        between = pl.col("energy_kwh").is_between("projected_low_kwh", "projected_high_kwh")
        inside += both.filter(pl.col("energy_kwh") > 0).select(between).to_series().to_list()
    assert len(inside) > 200
    assert 0.75 <= sum(inside) / len(inside) <= 0.90
