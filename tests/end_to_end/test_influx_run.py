"""`demandwatch run` fills an InfluxDB that is away in the middle; afterwards nothing is missing."""

import io
import json
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from program import Program
from services_mqtt import publisher
from waiting import until

OUTAGE_S = 60.0
START = datetime(2026, 3, 2, tzinfo=UTC)
METERS = ["m-1", "m-2", "m-3"]
SITE = {
    "id": "works",
    "name": {"zh": "厂", "en": "Works"},
    "kind": "factory",
    "district": "d",
    "meters": [{"id": one} for one in METERS],
}
HOURS = 24


def hour(meter, number):
    """The register each five minutes of an hour; a step of its own for each meter."""
    at = [number * 12 + n for n in range(12)]
    slope = 1.0 + METERS.index(meter)
    return json.dumps(
        [
            {
                "measured_at": (START + timedelta(minutes=5 * n)).isoformat(),
                "energy_import_kwh": 100 + slope * n + 0.5 * (n % 7 == 0),
            }
            for n in at
        ]
    )


def send(port, hours):
    with publisher(port) as field:
        for number in hours:
            for meter in METERS:
                topic = f"demandwatch/v1/{meter}/readings"
                field.publish(topic, hour(meter, number), 1).wait_for_publish(10)


def in_influx(influx):
    """Return energy by meter and start, as the server has it."""
    found = {}
    for series in influx.query("SELECT energy_kwh FROM interval GROUP BY meter_id"):
        for at, value in series["values"]:
            found[series["tags"]["meter_id"], at] = value
    return found


def in_history(program):
    out = program.call("query", "intervals", "-c", program.config, "--format", "parquet")
    rows = pl.read_parquet(io.BytesIO(out)).drop_nulls("energy_kwh")
    start = rows["start"].dt.epoch("us")
    return dict(zip(zip(rows["meter_id"], start, strict=True), rows["energy_kwh"], strict=True))


@pytest.mark.influxdb
@pytest.mark.mosquitto
@pytest.mark.timeout(180)
def test_a_server_that_is_away_in_the_middle_misses_nothing(tmp_path, mosquitto, influx):
    program = Program.make(
        tmp_path / "bureau",
        [SITE],
        collector={"mqtt": {"host": "127.0.0.1", "port": mosquitto.port}},
    )
    program.settings["processors"]["engine"] = {"flush_s": 0.5}
    program.settings["dashboards"]["influx"] = {"url": influx.url, "backoff_max_s": 1}
    program.write()
    process = program.start()
    sent = lambda: program.metric("demandwatch_influx_rows_total")  # noqa: E731
    taken = lambda: program.metric("demandwatch_readings_processed_total")  # noqa: E731
    try:
        send(mosquitto.port, range(HOURS // 3))
        until(lambda: sent() > 0, 20, "the first rows on the server")
        influx.stop()
        minute_over = time.monotonic() + OUTAGE_S
        send(mosquitto.port, range(HOURS // 3, 2 * HOURS // 3))
        until(lambda: taken() == 2 * HOURS // 3 * 12 * len(METERS), 20, "work to go on without it")
        until(lambda: program.metric("demandwatch_influx_failures_total") > 0, 20)
        assert b'"ready"' in program.get("/readyz")
        until(lambda: time.monotonic() >= minute_over, OUTAGE_S + 10, "the outage to last")
        influx.start()
        send(mosquitto.port, range(2 * HOURS // 3, HOURS))
        until(lambda: taken() == HOURS * 12 * len(METERS), 20)
        blocks = (HOURS * 4 - 1) * len(METERS)
        until(lambda: len(in_influx(influx)) >= blocks, 30, "the server to catch up")
    finally:
        program.stop(process)
    assert in_influx(influx) == pytest.approx(in_history(program))
    assert len(in_influx(influx)) == blocks
