"""The simulated fleet: exact energy, seeded, plausible; and the demo's files."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import polars as pl
import pytest

from collector.polls import micros
from collector.profiles import load_profiles
from collector.quantity import QUANTITIES
from collector.reading import READING
from collector.simulator.faults import FleetSettings, load_fleet
from collector.simulator.fleet import Fleet
from collector.simulator.mqtt_meters import Sender
from collector.simulator.shapes import SHAPES, Loads
from collector.site import Site
from collector.yamlfile import load_yaml

CONFIG = Path(__file__).parents[3] / "config"
MONDAY = datetime(2026, 11, 23, 1, 50, tzinfo=UTC)  # 09:50 in Shenzhen
EVERY = timedelta(seconds=15)


def demo_sites():
    found = []
    for path in sorted((CONFIG / "demo" / "sites").glob("*.yaml")):
        loaded = load_yaml(path)
        assert not loaded.faults
        found += [Site.model_validate(one) for one in loaded.data["sites"]]
    return found


def demo_fleet(started=MONDAY):
    settings, faults = load_fleet(CONFIG / "demo" / "fleet.yaml")
    assert not faults
    return Fleet.of(demo_sites(), settings, started)


def grid(start, days, step_s):
    return np.arange(micros(start), micros(start + timedelta(days=days)), step_s * 1_000_000)


def test_energy_is_the_integral_of_power():
    loads = Loads.of(SHAPES, SHAPES, [100.0] * len(SHAPES), [28_800] * len(SHAPES), seed=5)
    meters = np.arange(len(SHAPES))
    at = grid(datetime(2026, 11, 20, 16, tzinfo=UTC), 3, 5)  # Saturday, Sunday, Monday
    power, energy = loads.power_kw(at, meters), loads.energy_kwh(at, meters)
    summed = ((power[1:] + power[:-1]) / 2 * 5 / 3600).sum(axis=0)
    assert energy[-1] - energy[0] == pytest.approx(summed, rel=2e-5)
    assert (np.diff(energy, axis=0) >= 0).all()
    assert (power > 0).all()
    assert (power < 115).all()


def test_the_same_seed_gives_the_same_fleet_and_another_another():
    sites = demo_sites()
    frames = [
        Fleet.of(sites, FleetSettings(seed=seed), MONDAY).readings(MONDAY, MONDAY + EVERY, EVERY)
        for seed in (1, 1, 2)
    ]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_a_meter_does_not_depend_on_its_neighbours():
    sites = demo_sites()
    few = Fleet.of(sites[:3], FleetSettings(), MONDAY).readings(MONDAY, MONDAY + EVERY, EVERY)
    all_ = Fleet.of(sites, FleetSettings(), MONDAY).readings(MONDAY, MONDAY + EVERY, EVERY)
    assert few.equals(all_.filter(pl.col("meter_id").is_in(few["meter_id"].to_list())))


def test_readings_are_plausible_and_consistent():
    frame = demo_fleet().readings(MONDAY, MONDAY + timedelta(hours=1), timedelta(minutes=5))
    assert frame.schema == pl.Schema(READING)
    for name, quantity in QUANTITIES.items():
        values = frame[name].drop_nulls()
        assert values.is_between(quantity.low, quantity.high).all()
    phases = frame.select(
        gap=pl.sum_horizontal(f"power_{p}_kw" for p in "abc") - pl.col("power_kw")
    )
    assert phases["gap"].abs().max() < 1e-9


def test_a_main_meter_shows_its_sub_meters_and_its_own():
    fleet = demo_fleet()
    frame = fleet.readings(MONDAY, MONDAY + EVERY, EVERY)
    power = dict(zip(frame["meter_id"], frame["power_kw"], strict=True))
    for site in demo_sites():
        subs = sum(power[m.id] for m in site.meters if m.role == "sub")
        main = sum(power[m.id] for m in site.meters if m.role == "main")
        assert main > subs


def test_a_month_of_history_is_made_in_seconds():
    start = MONDAY - timedelta(days=31)
    frame = demo_fleet().readings(start, MONDAY, timedelta(minutes=15), ("energy_import_kwh",))
    assert frame.height == 31 * 96 * len(demo_fleet().members)
    falls = frame.sort("meter_id", "measured_at").select(
        pl.col("energy_import_kwh").diff().over("meter_id").min()
    )
    assert falls.item() >= 0


def test_the_demo_has_what_it_promises():
    sites = demo_sites()
    meters = [m for s in sites for m in s.meters]
    ids = [m.id for m in meters]
    via = Counter(m.source.via for m in meters)
    assert len(sites) >= 20
    assert len(set(ids)) == len(ids) >= 60
    assert {s.kind for s in sites} >= {"factory", "retail", "lodging", "catering"}
    assert 0.4 <= via["modbus"] / len(ids) <= 0.6
    assert len({s.district for s in sites}) >= 4
    assert all(s.contract_demand_kw and s.quota_month_kwh for s in sites)
    assert all(s.floor_area_m2 for s in sites if s.kind in {"retail", "lodging", "catering"})
    profiles = load_profiles(CONFIG / "meter-profiles").by_id
    assert {m.source.profile for m in meters if m.source.via == "modbus"} <= set(profiles)
    assert all(count == 1 for count in units(meters).values())


def units(meters):
    return Counter((m.source.bus, m.source.unit) for m in meters if m.source.via == "modbus")


def test_one_factory_exceeds_its_contract_soon_after_ten_on_any_working_day():
    fleet = demo_fleet()
    ten = datetime(2026, 11, 23, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    for week in range(0, 52, 4):
        for day in range(5):
            start = ten + timedelta(days=7 * week + day)
            assert exceeding(fleet, start) == {"minghui-castings"}
            assert exceeding(fleet, start - timedelta(minutes=30)) == set()


def exceeding(fleet, start):
    at = np.array([micros(start), micros(start + timedelta(minutes=15))])
    mains = [m for m in fleet.members if m.meter.role == "main"]
    energy = fleet.values(at, mains)["energy_import_kwh"]
    demand = (energy[1] - energy[0]) * 4
    over = [d > m.site.contract_demand_kw[0].value for m, d in zip(mains, demand, strict=True)]
    return {m.site.id for m, yes in zip(mains, over, strict=True) if yes}


def test_some_sites_cross_their_month_quota():
    fleet = demo_fleet()
    mains = [m for m in fleet.members if m.meter.role == "main"]
    first = datetime(2026, 10, 31, 16, tzinfo=UTC)
    at = np.array([micros(first), micros(first + timedelta(days=30))])
    energy = fleet.values(at, mains)["energy_import_kwh"]
    used = [
        (energy[1, i] - energy[0, i]) / m.site.quota_month_kwh[0].value for i, m in enumerate(mains)
    ]
    assert 3 <= sum(share > 1 for share in used) <= 10


def test_a_counter_reset_starts_again_from_zero():
    fleet = demo_fleet()
    member = fleet.by_id["bolun-metalwork-plating"]
    reset = member.troubles[0].start
    at = np.array([micros(reset) - 1, micros(reset), micros(reset + timedelta(hours=1))])
    energy = fleet.values(at, [member])["energy_import_kwh"][:, 0]
    assert energy[0] > 10_000
    assert energy[1] == pytest.approx(0, abs=1e-6)
    assert 0 < energy[2] < 400
    alone = fleet.values(at[2:], [member])["energy_import_kwh"][0, 0]
    assert alone == pytest.approx(energy[2], abs=1e-6)


def test_a_register_rolls_over_at_its_modulus():
    site = demo_sites()[0]
    meter = site.meters[0].model_copy(update={"register_modulus_kwh": 1000.0})
    fleet = Fleet.of([site.model_copy(update={"meters": (meter,)})], FleetSettings(), MONDAY)
    energy = fleet.readings(MONDAY, MONDAY + timedelta(days=1), timedelta(minutes=15))
    assert energy["energy_import_kwh"].is_between(0, 1000, closed="left").all()
    assert (energy["energy_import_kwh"].diff().drop_nulls() < 0).sum() >= 3


def told(sender, ticks):
    found = {}
    for tick in ticks:
        for topic, payload in sender.messages([tick]):
            found.setdefault(topic.split("/")[2], []).append(orjson.loads(payload))
    return found


def test_troubles_shape_what_is_published():
    fleet = demo_fleet()
    members = [m for m in fleet.members if m.meter.source.via == "mqtt"]
    ticks = [MONDAY + timedelta(minutes=5) * i for i in range(12)]
    found = told(Sender(fleet, members), ticks)
    assert len(found["haiwan-mall-main"]) == 12
    assert len(found["laojie-fashion-light"]) == 3  # silent from minute 15
    late = found["haiwan-mall-lifts"]
    assert [len(x) for x in late if isinstance(x, list)] == [9]  # minutes 5 to 40, and 45
    assert len(found["renmin-supermarket-cooling"]) == 24
    pairs = found["huaqiang-digital-stalls"]
    assert len(pairs) == 6
    assert all(a["measured_at"] > b["measured_at"] for a, b in pairs)


def test_faults_of_a_fleet_file_are_told_with_their_line(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text("loads:\n  - {meter: a, shape: castle}\ntroubles:\n  - {meter: a, kind: sad}\n")
    _, faults = load_fleet(path)
    assert [fault.line for fault in faults] == [2, 4]
    assert "furnace" in str(faults[0])
    with pytest.raises(ValueError, match="names meters no site has: a"):
        Fleet.of(
            [], FleetSettings.model_validate({"loads": [{"meter": "a", "shape": "shop"}]}), MONDAY
        )
