"""`demandwatch import` and `policy judge` on real buildings (Building Data Genome 2)."""

import io
import json
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
import polars as pl
import pytest
from program import ROOT, Program
from test_bdg2_verdicts import USES

MAPPING = ROOT / "config/mappings/bdg2.yaml"
GUIDES = dict.fromkeys(("retail", "catering", "lodging"), "demo-tertiary")

pytestmark = [pytest.mark.realdata, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def data(real_data):
    return real_data / "bdg2"


@pytest.fixture(scope="module")
def buildings(data):
    """Facts of the buildings that the files hold, by id."""
    meta = pd.read_csv(data / "metadata.csv").set_index("building_id")
    names = [n for file in files(data) for n in pd.read_csv(file, nrows=0).columns[1:]]
    return meta.loc[sorted(names)]


def files(data):
    return sorted(data.glob("bgd_*.csv"))


def site(name, facts):
    kind, use = USES[facts["primaryspaceusage"]]
    area = {"from": "2016-01-01", "value": float(facts["sqm"]), "declared_by": "BDG2"}
    return {
        "id": name,
        "name": {"zh": name, "en": name},
        "kind": kind,
        "use": use,
        "district": facts["site_id"],
        "timezone": facts["timezone"],
        "floor_area_m2": [area],
        "meters": [{"id": name, "source": {"via": "file"}, "max_interpolation_gap_s": 3600}],
    }


@pytest.fixture(scope="module")
def program(tmp_path_factory, data, buildings):
    """A bureau into which everything was imported."""
    sites = [site(name, facts) for name, facts in buildings.iterrows()]
    made = Program.make(tmp_path_factory.mktemp("bdg2") / "bureau", sites)
    made.settings["processors"]["verdicts"] = {"guides": GUIDES}
    made.write()
    for file in files(data):
        load(made, file)
    return made


def load(program, file):
    words = ["import", file, "-c", program.config, "--mapping", MAPPING]
    return program.call(*words, timeout=200).decode()


def judged(program, year):
    words = ["policy", "judge", "-c", program.config, "--format", "json"]
    out = program.call(*words, "--from", f"{year}-01-01", "--to", f"{year + 1}-01-01")
    return {one["site_id"]: one for one in json.loads(out)}


def independent(data, buildings, year):
    """Return kWh/m2, the share of known hours, the greatest hour, whether any day is zero."""
    found = {}
    for file in files(data):
        table = pd.read_csv(file, parse_dates=["timestamp"])
        part = table[table["timestamp"].dt.year == year]
        for name in part.columns[1:]:
            hours = part[name]
            area = buildings.loc[name, "sqm"]
            zeros = (hours.groupby(part["timestamp"].dt.date).sum() == 0).any()
            found[name] = (hours.sum() / area, hours.notna().mean(), hours.max() / area, zeros)
    return found


def test_every_building_has_a_verdict_for_2017_with_its_coverage(program, buildings):
    verdicts = judged(program, 2017)
    assert len(verdicts) == 19
    assert set(verdicts) == set(buildings.index)
    for one in verdicts.values():
        assert one["outcome"] in {"within", "advanced", "overrun", "undecided"}
        assert (one["outcome"] == "undecided") == bool(one["reason"])
        assert one["actual"] > 0
        assert one["unit"] == "kWh/(m2.a)"
        assert 0.5 < one["coverage"] <= 1
        assert one["outcome"] == "undecided" or one["coverage"] >= 0.95
    outcomes = {one["outcome"] for one in verdicts.values()}
    assert outcomes == {"within", "advanced", "overrun", "undecided"}


def test_the_figures_equal_an_independent_calculation(program, data, buildings):
    verdicts, compared = judged(program, 2017), 0
    for name, (intensity, known, hour, zeros) in independent(data, buildings, 2017).items():
        if known == 1.0 and not zeros:
            compared += 1
            # an hour that spring skips and one that autumn doubles in the zone are not the file's
            assert verdicts[name]["actual"] == pytest.approx(intensity, abs=2 * hour)
            assert verdicts[name]["coverage"] > 0.999
    assert compared >= 2


def test_a_building_without_an_hour_that_is_told_twice_or_never_equals_it_exactly(
    program, data, buildings
):
    """Over a span without a change of the clocks: days of one building, kWh."""
    name = "Fox_retail_Manie"
    zone = ZoneInfo(buildings.loc[name, "timezone"])
    assert zone.key == buildings.loc[name, "timezone"]
    query = ["query", "days", "-c", program.config, "--meter", name, "--format", "parquet"]
    out = program.call(*query, "--from", "2017-05-01", "--to", "2017-06-01")
    ours = pl.read_parquet(io.BytesIO(out)).sort("day")
    table = next(t for t in map(pd.read_csv, files(data)) if name in t.columns)
    hours = table.assign(at=pd.to_datetime(table["timestamp"])).set_index("at")[name]
    theirs = hours["2017-05-01":"2017-05-31"].resample("D").sum()
    assert ours["day"].to_list() == [date(2017, 5, n) for n in range(1, 32)]
    assert ours["energy_kwh"].to_list() == pytest.approx(theirs.to_list(), abs=1e-3)


def test_a_year_with_months_of_zeros_before_commissioning_is_undecided(program):
    verdicts = judged(program, 2016)
    panthers = {n: one for n, one in verdicts.items() if n.startswith("Panther_")}
    assert len(panthers) == 14
    assert {one["outcome"] for one in panthers.values()} == {"undecided"}
    assert all(one["reason"] for one in panthers.values())


def test_importing_twice_changes_nothing(program, data):
    def everything():
        words = ["query", "intervals", "-c", program.config, "--format", "parquet"]
        rows = pl.read_parquet(io.BytesIO(program.call(*words)))
        return rows.sort("meter_id", "start")

    before, verdicts = everything(), judged(program, 2017)
    said = load(program, files(data)[0])
    assert "0 intervals issued" in said
    assert everything().equals(before)
    again = judged(program, 2017)
    figures = ("outcome", "actual", "coverage", "reason")
    assert {n: [one[f] for f in figures] for n, one in again.items()} == {
        n: [one[f] for f in figures] for n, one in verdicts.items()
    }
