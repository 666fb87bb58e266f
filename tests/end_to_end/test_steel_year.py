"""A steel works' year through the true pipeline: MQTT in, queries out, and a week over Modbus."""

import io
import math
import subprocess
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import polars as pl
import pytest
from program import COMMAND, ROOT, Program
from services import free_port
from waiting import until

MAPPING = ROOT / "config/mappings/steel-works.yaml"
YEAR_KWH = 959_636.71
PEAK_KW = 628.72


def steel_site(source):
    return {
        "id": "steel",
        "name": {"zh": "钢厂", "en": "Steel works"},
        "kind": "factory",
        "district": "gwangyang",
        "timezone": "Asia/Seoul",
        "meters": [{"id": "steel-works", "source": source, "rated_power_kw": 1000}],
    }


def intervals_of(program, *words):
    out = program.call(
        "query", "intervals", "-c", program.config, "--meter", "steel-works",
        "--format", "parquet", *words,
    )  # fmt: skip
    return pl.read_parquet(io.BytesIO(out))


@pytest.mark.realdata
@pytest.mark.mosquitto
@pytest.mark.timeout(180)
def test_a_year_over_mqtt_at_the_fastest_speed(tmp_path, mosquitto, real_data):
    program = Program.make(
        tmp_path / "bureau",
        [steel_site({"via": "mqtt"})],
        collector={"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}},
    )
    process = program.start()
    try:
        file = real_data / "steel_industry_data.csv"
        program.call("replay", file, "-c", program.config, "--mapping", MAPPING)
        done = lambda: program.metric("demandwatch_readings_processed_total") >= 35_041  # noqa: E731
        until(done, 60, "all readings to be processed")
    finally:
        program.stop(process)
    rows = intervals_of(program)
    assert rows.height == 35_040
    assert math.isclose(rows["energy_kwh"].sum(), YEAR_KWH, abs_tol=0.01)
    peak = rows.sort("demand_kw", descending=True).row(0, named=True)
    assert math.isclose(peak["demand_kw"], PEAK_KW, abs_tol=0.005)
    assert peak["start"] == datetime(2018, 11, 22, 0, 30, tzinfo=UTC)  # 09:30 in Seoul
    assert rows["coverage"].min() == 1.0
    assert set(rows["quality"].cast(str)) == {"measured"}
    gaps = rows.sort("start")["start"].diff().drop_nulls().unique()
    assert gaps.to_list() == [timedelta(minutes=15)]
    check_months(program, real_data)


def check_months(program, real_data):
    """Compare with an independent calculation in pandas."""
    out = program.call("query", "months", "-c", program.config, "--format", "csv")
    ours = pl.read_csv(io.BytesIO(out), try_parse_dates=True).sort("month")
    plain = pd.read_csv(real_data / "steel_industry_data.csv")
    plain["start"] = pd.to_datetime(plain["date"], format="%d/%m/%Y %H:%M")
    midnight = plain["start"].dt.strftime("%H:%M") == "00:00"
    plain.loc[midnight, "start"] += pd.Timedelta(days=1)  # stamped with the day it ends
    plain["start"] -= pd.Timedelta(minutes=15)
    months = plain.groupby(plain["start"].dt.to_period("M"))["Usage_kWh"]
    assert ours.height == 12
    assert ours["month"].to_list() == [date(2018, n, 1) for n in range(1, 13)]
    for mine, theirs in zip(ours["energy_kwh"], months.sum(), strict=True):
        assert math.isclose(mine, theirs, abs_tol=0.01)
    for mine, theirs in zip(ours["max_demand_kw"], months.max() * 4, strict=True):
        assert math.isclose(mine, theirs, abs_tol=0.005)


@pytest.mark.realdata
@pytest.mark.timeout(300)
def test_a_week_over_modbus_at_3600_times(tmp_path, real_data):
    """Seven days in 168 s; the reader polls every 5 recorded minutes, 83 real milliseconds."""
    program = Program.make(
        tmp_path / "bureau",
        [
            steel_site(
                {"via": "modbus", "bus": "b1", "profile": "demandwatch-sim", "poll_every_s": 300}
            )
        ],
        collector={"buses": [{"id": "b1", "host": "127.0.0.1", "port": free_port()}]},
    )
    words = [
        "replay", str(real_data / "steel_industry_data.csv"), "-c", str(program.config),
        "--mapping", str(MAPPING), "--via", "modbus", "--from", "2018-06-04", "--to", "2018-06-11",
    ]  # fmt: skip
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as player:
        try:
            player.stdout.readline()
            clock = player.stdout.readline().split("'")[1]
            process = program.start("--clock", clock)
            assert player.wait(200) == 0
            program.stop(process)
        finally:
            player.kill()
    start, end = datetime(2018, 6, 5, tzinfo=UTC), datetime(2018, 6, 10, tzinfo=UTC)
    rows = intervals_of(program, "--from", start.isoformat(), "--to", end.isoformat())
    assert rows.height == 5 * 96
    recorded = week_kwh(real_data, start, end)
    assert math.isclose(rows["energy_kwh"].sum(), recorded, rel_tol=0.001)


def week_kwh(real_data, start, end):
    plain = pd.read_csv(real_data / "steel_industry_data.csv")
    ends = pd.date_range("2018-01-01 00:15", periods=len(plain), freq="15min", tz="Asia/Seoul")
    inside = (ends > start) & (ends <= end)
    return float(plain["Usage_kWh"][inside].sum())
