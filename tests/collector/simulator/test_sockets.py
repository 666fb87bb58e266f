"""Brokers, publishers, gateways and replays over real sockets, read by the real sources."""

import subprocess
import threading
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from services import free_port, listens, requires
from services_modbus import PROFILES, bus, site_of
from waiting import until

from collector.clock import Clock
from collector.intake import Desk
from collector.reading import conform
from collector.settings import MqttSettings
from collector.simulator.broker import open_broker
from collector.simulator.faults import FleetSettings
from collector.simulator.fleet import Fleet
from collector.simulator.gateways import gateways_of
from collector.simulator.modbus_meters import Device, Gateway, ModbusMeters, Refusal
from collector.simulator.mqtt_meters import MqttMeters
from collector.simulator.publisher import Publisher
from collector.simulator.replay import Recording, publish
from collector.site import MqttSource
from collector.sources.mqtt import MqttReader

START = datetime(2026, 11, 23, 1, 50, tzinfo=UTC)
SIM = PROFILES["demandwatch-sim"]


@pytest.fixture(
    params=[
        pytest.param(False, marks=pytest.mark.mosquitto, id="mosquitto"),
        pytest.param(True, id="amqtt"),
    ]
)
def broker(request, tmp_path):
    if not request.param:
        requires("mosquitto")
    made = open_broker(tmp_path / "broker", embedded=request.param)
    assert made.name == ("amqtt" if request.param else "mosquitto")
    yield made
    made.stop()
    assert not listens(made.port)


@pytest.fixture
def listener(rig, broker):
    """Start the real MQTT source on the broker for some meters."""
    running = []

    def start(meters):
        settings = MqttSettings(host=broker.host, port=broker.port, protocol=broker.protocol)
        desk = Desk(rig.journal, rig.rejects, rig.metrics, rig.health, rig.clock.now)
        reader = MqttReader(settings, frozenset(meters), desk)
        running.append(reader)
        reader.start()
        until(lambda: reader.status().connected, what="the reader to connect")
        return reader

    yield start
    for reader in running:
        reader.stop()


def test_a_taken_port_is_replaced_by_a_free_one(tmp_path):
    first = open_broker(tmp_path, embedded=True)
    second = open_broker(tmp_path, port=first.port, embedded=True)
    assert second.port != first.port
    second.stop()
    first.stop()
    again = open_broker(tmp_path, port=first.port, embedded=True)
    assert again.port == first.port
    again.stop()


def test_a_replay_arrives_complete(rig, broker, listener):
    at = [START - timedelta(minutes=15) * (1000 - i) for i in range(1000)]
    frames = [
        pl.DataFrame(
            {"meter_id": name, "measured_at": at, "received_at": at, "source": "x"}
        ).with_columns(
            energy_import_kwh=pl.int_range(1000).cast(pl.Float64) + offset / 3,
            power_kw=pl.when(pl.int_range(1000) % 7 > 0).then(pl.lit(1.5)),
        )
        for offset, name in enumerate(("a", "b"))
    ]
    listener(["a", "b"])
    publisher = Publisher(broker.host, broker.port, broker.protocol)
    publisher.connect()
    seen = []
    sent = publish(pl.concat(frames), publisher, per_message=50, progress=seen.append)
    publisher.close()
    assert (sent.readings, sent.messages, sum(seen)) == (2000, 40, 2000)
    until(lambda: rig.readings().unique(("meter_id", "measured_at")).height == 2000, 20)
    columns = ["meter_id", "measured_at", "energy_import_kwh", "power_kw"]
    got = rig.readings().select(columns).unique().sort("meter_id", "measured_at")
    want = conform(pl.concat(frames)).select(columns).sort("meter_id", "measured_at")
    assert got.equals(want)


def test_virtual_meters_publish_at_the_clock_s_speed(rig, broker, listener):
    site = site_of([1, 2])
    meters = tuple(m.model_copy(update={"source": MqttSource()}) for m in site.meters)
    site = site.model_copy(update={"meters": meters})
    rig.clock = Clock.accelerated(START, 300)
    fleet = Fleet.of([site], FleetSettings(), START)
    listener([m.id for m in meters])
    meters_ = MqttMeters(fleet, Publisher(broker.host, broker.port, broker.protocol), rig.clock)
    meters_.start()
    until(lambda: rig.readings().height >= 20)
    meters_.stop()
    frame = rig.readings()
    assert set(frame["measured_at"].dt.epoch("s") % 15) == {0}
    shown = fleet.readings(START, START + timedelta(hours=3), timedelta(seconds=15))
    both = frame.join(shown, on=["meter_id", "measured_at"], how="inner")
    assert both.height == frame.height
    assert (both["energy_import_kwh"] - both["energy_import_kwh_right"]).abs().max() < 1e-4


def test_a_publisher_waiting_for_a_dead_broker_can_be_closed(broker):
    publisher = Publisher(broker.host, broker.port, broker.protocol)
    publisher.connect()
    broker.stop()
    site = site_of([1])
    meter = site.meters[0].model_copy(update={"source": MqttSource()})
    clock = Clock.accelerated(START, 1_000_000)
    fleet = Fleet.of([site.model_copy(update={"meters": (meter,)})], FleetSettings(), START)
    meters = MqttMeters(fleet, publisher, clock)
    meters._thread.start()
    until(lambda: meters.messages >= 1)
    meters.stop()
    assert not [t for t in threading.enumerate() if t.name == "mqtt-meters"]


def test_no_broker_is_an_error():
    with pytest.raises(OSError, match="refused"):
        Publisher("127.0.0.1", free_port()).connect()


def test_a_fleet_s_gateway_is_read_by_the_modbus_source(rig):
    rig.clock = Clock.accelerated(START, 60)
    site = site_of([1, 2], every_s=15)
    fleet = Fleet.of([site], FleetSettings(), START)
    meters = ModbusMeters(gateways_of(fleet, [bus(502)], PROFILES), rig.clock.now)
    ports = meters.start()  # port 502 may be refused or taken: then any
    rig.reader([bus(ports["bus-1"])], [site])
    until(lambda: rig.readings().height >= 6)
    for row in rig.readings().to_dicts():
        at = row["measured_at"]  # at 60 times life, half a second of a busy machine is 30 s
        around = fleet.readings(
            at - timedelta(seconds=30), at + timedelta(seconds=31), timedelta(seconds=60)
        )
        low, high = around.filter(meter_id=row["meter_id"])["energy_import_kwh"]
        assert low - 0.001 <= row["energy_import_kwh"] <= high + 0.001
    meters.stop()


@pytest.mark.mbpoll
def test_a_foreign_client_reads_the_simulated_meter():
    devices = (
        Device(1, PROFILES["eastron-sdm630"], lambda _at: {"energy_import_kwh": 1234.5}),
        Device(2, SIM, lambda _at: Refusal.EXCEPTION),
    )
    meters = ModbusMeters([Gateway("g", devices)], lambda: START)
    port = str(meters.start()["g"])
    command = [requires("mbpoll"), "-m", "tcp", "-p", port, "-0", "-1", "-o", "0.5"]
    read = [*command, "-a", "1", "-t", "3:float", "-B", "-r", "72", "-c", "1", "127.0.0.1"]
    good = subprocess.run(read, capture_output=True, text=True, check=False)
    bad = subprocess.run(
        [*command, "-a", "2", "-t", "4", "-r", "0", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    none = subprocess.run(
        [*command, "-a", "9", "-t", "4", "-r", "0", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    meters.stop()
    assert "[72]: \t1234.5" in good.stdout
    assert "Slave device or server failure" in bad.stdout + bad.stderr
    assert "timed out" in none.stdout + none.stderr


def test_a_recording_is_served_by_the_clock_and_its_energy_kept(rig):
    quarter = timedelta(minutes=15)
    at = [START + quarter * i for i in range(97)]
    used = pl.Series([(i * 37) % 11 + 0.25 for i in range(97)])
    frame = pl.DataFrame({"meter_id": "m1", "measured_at": at, "energy_import_kwh": used.cum_sum()})
    recording = Recording(frame)
    assert recording.show(at[0] - quarter) is Refusal.SILENT
    assert recording.show(at[-1] + quarter) is Refusal.SILENT
    middle = recording.show(at[3] + quarter / 2)
    assert middle["energy_import_kwh"] == pytest.approx(frame["energy_import_kwh"][3:5].mean())
    rig.clock = Clock.accelerated(START, 3600)
    meters = ModbusMeters([Gateway("g", (Device(1, SIM, recording.show),))], rig.clock.now)
    port = meters.start()["g"]
    rig.reader([bus(port)], [site_of([1], every_s=60)])
    until(lambda: rig.readings().height >= 30)
    meters.stop()
    slack = timedelta(minutes=5)  # of site time: 83 ms for a poll and its answer
    for row in rig.readings().filter(pl.col("measured_at") > START + slack).to_dicts():
        low = recording.show(row["measured_at"] - slack)["energy_import_kwh"]
        high = recording.show(row["measured_at"] + slack)["energy_import_kwh"]
        assert low - 0.001 <= row["energy_import_kwh"] <= high + 0.001


def test_a_recording_is_of_one_meter():
    frame = pl.DataFrame({"meter_id": ["a", "b"], "measured_at": [START, START]})
    with pytest.raises(ValueError, match="exactly one meter"):
        Recording(frame)
