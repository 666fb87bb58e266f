"""Bills from history: the steel works' year against pandas, and a day that turns out hot."""

import json
import math
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from program import ROOT, Program
from test_steel_year import MAPPING, steel_site
from typer.testing import CliRunner

from collector.clock import Clock
from collector.site import Site
from demandwatch.cli import app
from demandwatch.faults import ConfigurationError
from demandwatch.settings import load
from processors.book import Book
from processors.history.store import History
from processors.policy.load import load_packs
from processors.tariff.powerfactor import month_factor
from processors.tariff.split import by_period, grid

NEVER = datetime(2030, 1, 1, tzinfo=UTC)
SUPPLY = {
    "from": "2018-01-01",
    "tariff": "guangdong-tou",
    "area": "guangdong",
    "prices": "trial",
    "basic": "actual_max_demand",
    "power_factor_standard": "0.90",
}
PRICES = {
    "from": "2018-01-01",
    "flat_yuan_per_kwh": 0.6725,
    "funds_yuan_per_kwh": 0.03,
    "demand_yuan_per_kw": 32,
    "provenance": "illustrative",
    "source": "trial",
}


def early_packs(folder):
    """The shipped packs, the tariff in force since 2010: the recordings are of 2018."""
    folder.mkdir()
    for file in (ROOT / "config/policy").glob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        if file.name.startswith("tariff-"):
            text = text.replace("from: 2021-10-01", "from: 2010-01-01")
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


def made(folder, sites, **tariff):
    program = Program.make(folder / "bureau", sites)
    processors = program.settings["processors"]
    processors["policy_folder"] = str(early_packs(folder / "policy"))
    processors["tariff"] = {
        "prices": {"trial": [PRICES]},
        "power_factor": "power-factor-1983",
    } | tariff
    program.write()
    return program


def bill(program, *words):
    rows = called(program, "bill", *words)
    return {(row["item"], row["period"]): row for row in rows}


def called(program, command, *words):
    """Run a command in this process: a new one takes seconds to start."""
    told = [command, "-c", str(program.config), "--format", "json", *words]
    done = CliRunner().invoke(app, told, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout_bytes)


@pytest.fixture(scope="module")
def steel(tmp_path_factory, real_data):
    """The year, imported; and the same rows in pandas, with the period of each."""
    program = made(
        tmp_path_factory.mktemp("steel"), [steel_site({"via": "file"}) | {"supply": [SUPPLY]}]
    )
    file = real_data / "steel_industry_data.csv"
    program.call("import", file, "-c", program.config, "--mapping", MAPPING)
    plain = pd.read_csv(file)
    plain["start"] = pd.date_range("2018-01-01", periods=len(plain), freq="15min")
    hour, month = plain["start"].dt.hour, plain["start"].dt.month
    plain["period"] = "flat"
    plain.loc[hour < 8, "period"] = "valley"
    plain.loc[hour.isin([10, 11, 14, 15, 16, 17, 18]), "period"] = "peak"
    plain.loc[hour.isin([11, 15, 16]) & month.isin([7, 8, 9]), "period"] = "sharp"
    return program, plain


@pytest.mark.realdata
@pytest.mark.timeout(240)
def test_the_periods_of_every_month_add_up_to_the_register_and_agree_with_pandas(steel):
    program, plain = steel
    packs, _ = load_packs(program.folder.parent / "policy")
    site = steel_site({"via": "file"})
    book = Book.of([Site.model_validate(site)])
    history = History.open_readonly(program.folder / "var/history", book, lambda: NEVER)
    for month in (date(2018, n, 1) for n in range(1, 13)):
        end = (month + timedelta(days=31)).replace(day=1)
        axis = grid(month, end, packs.tariff("guangdong-tou", month), "Asia/Seoul")
        first, last = axis["start"][0], axis["start"][-1] + timedelta(minutes=15)
        rows = history.intervals(first, last)
        found = by_period(rows, axis, NEVER)
        mine = plain[plain["start"].dt.month == month.month]
        theirs = mine.groupby("period")["Usage_kWh"].agg(["sum", "max"])
        assert set(found["period"]) == set(theirs.index)
        assert math.isclose(found["energy_kwh"].sum(), rows["energy_kwh"].sum(), abs_tol=1e-9)
        for one in found.rows(named=True):
            expected = theirs.loc[one["period"]]
            assert math.isclose(one["energy_kwh"], expected["sum"], abs_tol=1e-6)
            assert math.isclose(one["max_demand_kw"], expected["max"] * 4, abs_tol=1e-6)
            assert one["lower_bound"]  # 15-minute values hold block demand only
            assert one["coverage"] == 1.0
        active = mine["Usage_kWh"].sum()
        reactive = mine["Lagging_Current_Reactive.Power_kVarh"].sum()
        factor = month_factor(rows)
        assert math.isclose(factor.reactive_kvarh, reactive, abs_tol=0.01)
        assert float(factor.factor) == round(active / math.hypot(active, reactive), 2)


@pytest.mark.realdata
def test_the_steel_works_bill_of_july_is_pandas_bill(steel):
    program, plain = steel
    lines = bill(program, "--site", "steel", "--month", "2018-07")
    july = plain[plain["start"].dt.month == 7]
    prices = {"sharp": 1.4291, "peak": 1.1433, "flat": 0.6725, "valley": 0.2556}
    total = 0.0
    for period, kwh in july.groupby("period")["Usage_kWh"].sum().items():
        yuan = lines["energy", period]["amount_yuan"]
        assert math.isclose(yuan, kwh * prices[period], abs_tol=0.0051)
        total += yuan
    top = july["Usage_kWh"].max() * 4
    assert math.isclose(lines["demand", None]["amount_yuan"], top * 32, abs_tol=0.0051)
    assert "demand_lower_bound" in lines["demand", None]["notes"]
    charges = total + lines["demand", None]["amount_yuan"]
    adjusted = lines["power_factor", None]
    percent = adjusted["price_yuan"] * 100
    assert math.isclose(adjusted["amount_yuan"], charges * percent / 100, abs_tol=0.0051)
    funds = lines["funds", None]["amount_yuan"]
    assert math.isclose(
        lines["total", None]["amount_yuan"], charges + adjusted["amount_yuan"] + funds, abs_tol=0.01
    )


@pytest.mark.realdata
def test_ice_storage_is_evaluated_from_history(steel):
    """Outside China no day type is known: all days make one typical day, as pandas' mean has it."""
    program, plain = steel
    words = ("--site", "steel", "--baseline", "2018-04", "--month", "2018-05")
    rows = {row["period"]: row for row in called(program, "ice-storage", *words)}
    month, hour = plain["start"].dt.month, plain["start"].dt.hour
    april, may = (plain[(month == n) & (hour < 8)]["Usage_kWh"].sum() for n in (4, 5))
    assert not rows["valley"]["day_types"]
    assert math.isclose(rows["valley"]["baseline_kwh"], april / 30 * 31, abs_tol=0.01)
    assert math.isclose(rows["valley"]["actual_kwh"], may, abs_tol=0.01)
    assert math.isclose(rows["valley"]["shift_kwh"], may - april / 30 * 31, abs_tol=0.02)


STATION = """\
title: {zh: 气温, en: temperature}
layout: meter_a_row
meter_column: meter
time: {column: at, format: "%Y-%m-%d %H:%M", zone: Asia/Shanghai}
values: [{column: c, quantity: temperature_c, gives: momentary}]
"""
REGISTER = STATION.replace("temperature_c, gives: momentary", "energy_import_kwh")


def shop(name="shop"):
    return {
        "id": name,
        "name": {"zh": "店", "en": "shop"},
        "kind": "factory",
        "district": "d",
        "supply": [SUPPLY | {"basic": "none"}],
        "meters": [
            {"id": "shop-main", "source": {"via": "file"}},
            {"id": "guangzhou", "role": "weather", "source": {"via": "file"}},
        ],
    }


def bring(program, mapping, lines):
    folder = program.folder
    (folder / "rows.csv").write_text("\n".join(["at,meter,c", *lines]) + "\n", encoding="utf-8")
    (folder / "rows.yaml").write_text(mapping, encoding="utf-8")
    program.call(
        "import", folder / "rows.csv", "-c", program.config, "--mapping", folder / "rows.yaml"
    )


def test_a_temperature_that_arrives_later_rates_the_day_anew(tmp_path):
    """What was known before stays to be asked for."""
    program = made(tmp_path, [shop()], weather_station="guangzhou")
    first = datetime(2026, 6, 1)  # noqa: DTZ001 - local to the site, as the file says
    times = [first + timedelta(minutes=15 * n) for n in range(96 * 3 + 1)]
    bring(program, REGISTER, [f"{at:%Y-%m-%d %H:%M},shop-main,{n}" for n, at in enumerate(times)])
    words = ("--site", "shop", "--month", "2026-06")
    before = bill(program, *words)
    assert ("energy", "sharp") not in before
    assert before["energy", "peak"]["quantity"] == 3 * 28
    assert "hot_days_unknown" in before["energy", "peak"]["notes"]
    known = Clock.real().now() + timedelta(seconds=1)
    bring(program, STATION, ["2026-06-02 14:10,guangzhou,35.2"])
    after = bill(program, *words)
    assert after["energy", "sharp"]["quantity"] == 12.0
    assert after["energy", "peak"]["quantity"] == 3 * 28 - 12
    sharp = called(program, "bill", *words, "--periods")[0]
    assert (sharp["period"], sharp["energy_kwh"], sharp["max_demand_kw"]) == ("sharp", 12.0, 4.0)
    assert sharp["max_demand_at"].startswith("2026-06-02T03:15")
    assert sharp["lower_bound"]
    then = bill(program, *words, "--as-of", f"{known:%Y-%m-%dT%H:%M:%S+00:00}")
    assert ("energy", "sharp") not in then


def test_contracts_that_name_what_does_not_exist_are_faults(tmp_path):
    broken = shop() | {"supply": [SUPPLY | {"area": "atlantis", "prices": "none"}]}
    program = made(tmp_path, [broken], weather_station="shop-main")
    with pytest.raises(ConfigurationError) as error:
        load(program.config)
    text = str(error.value)
    assert "guangdong-tou has no ratios for atlantis" in text
    assert "no price list 'none'" in text
    assert "no weather station 'shop-main'" in text
