"""The Modbus source against real servers: simulated gateways and scripted ones."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from services_modbus import PROFILES, bus, frame, site_of
from waiting import until

from collector.simulator.modbus_meters import Device, Gateway, ModbusMeters, Refusal

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
SIM = PROFILES["demandwatch-sim"]
SHOWN = {"energy_import_kwh": 1234.567, "power_kw": 12.345, "voltage_a_v": 230.1}


@pytest.fixture
def gateway():
    """Start simulated gateways: {unit: what it shows} -> port."""
    running = []

    def start(shows, profile=SIM, port=0):
        devices = tuple(Device(unit, profile, show) for unit, show in shows.items())
        meters = ModbusMeters([Gateway("g", devices, port)], lambda: NOON)
        running.append(meters)
        return meters.start()["g"]

    yield start
    for meters in running:
        meters.stop()


def steady(_at):
    return SHOWN


def silent(_at):
    return Refusal.SILENT


def broken(_at):
    return Refusal.EXCEPTION


def test_registers_become_readings_in_the_journal(rig, gateway):
    before = rig.clock.now()
    rig.reader([bus(gateway({7: steady}))], [site_of([7])])
    until(lambda: rig.readings().height >= 3)
    row = rig.readings().row(0, named=True)
    assert (row["meter_id"], row["source"]) == ("m7", "modbus:bus-1")
    assert {name: row[name] for name in SHOWN} == pytest.approx(SHOWN)
    assert row["reactive_power_kvar"] is None
    assert before <= row["measured_at"] <= row["received_at"] <= rig.clock.now()


def test_a_poll_counts_when_it_is_journalled(rig, gateway):
    reader = rig.reader([bus(gateway({7: steady}))], [site_of([7])])
    until(lambda: rig.outcome("ok") >= 5)
    reader.stop()
    assert rig.readings().height == rig.outcome("ok") == rig.health.snapshot()["successes"][0]
    assert rig.health.snapshot()["response_ms"][0] > 0


@pytest.mark.parametrize("profile", ["schneider-iem3155", "carlo-gavazzi-em340", "eastron-sdm630"])
def test_real_register_maps_over_the_wire(rig, gateway, profile):
    port = gateway({3: steady}, PROFILES[profile])
    rig.reader([bus(port)], [site_of([3], profile)])
    until(lambda: rig.readings().height)
    row = rig.readings().row(0, named=True)
    assert row["energy_import_kwh"] == pytest.approx(1234.567, abs=0.07)
    assert row["power_kw"] == pytest.approx(12.345, rel=1e-6)


def test_a_dead_slave_costs_its_own_slot_only(rig, gateway):
    port = gateway({1: silent, 2: steady, 3: steady})
    rig.reader([bus(port, timeout_s=0.1)], [site_of([1, 2, 3])])
    until(lambda: rig.outcome("timeout") >= 3 and rig.outcome("ok") >= 60)
    health = {row["meter_id"]: row for row in rig.health.snapshot().to_dicts()}
    assert "no answer within 0.1 s" in health["m1"]["last_error"]
    assert health["m1"]["successes"] == 0 == health["m2"]["failures"] == health["m3"]["failures"]
    assert rig.outcome("ok") > 5 * rig.outcome("timeout")
    assert rig.rejects.counts()["timeout"] == rig.outcome("timeout")


def test_thingsboard_gateway_2132_a_slave_that_answers_exceptions_stops_nobody(rig, gateway):
    rig.reader([bus(gateway({1: broken, 2: steady}))], [site_of([1, 2])])
    until(lambda: rig.rejects.counts().get("modbus_exception", 0) >= 2 and rig.outcome("ok") >= 2)
    note = rig.rejects.latest().row(0, named=True)
    assert (note["subject"], note["source"]) == ("m1", "modbus:bus-1")
    assert "exception 4, server device failure" in note["excerpt"]
    assert rig.readings("m1").is_empty()


def test_a_meter_that_comes_back_is_heard_again(rig, gateway):
    answers = iter([silent] * 3)

    def recovering(at):
        return next(answers, steady)(at)

    port = gateway({1: recovering})
    rig.reader([bus(port, timeout_s=0.05)], [site_of([1])])
    until(lambda: rig.outcome("timeout") >= 3 and rig.outcome("ok") >= 2)


def test_a_register_without_value_is_null_and_a_mute_meter_is_told(rig, gateway):
    rig.reader(
        [bus(gateway({1: lambda _at: {"energy_import_kwh": 5.0}, 2: lambda _at: {}}))],
        [site_of([1, 2])],
    )
    until(lambda: rig.readings("m1").height and rig.rejects.counts().get("sentinel"))
    assert rig.readings("m1")["power_kw"][0] is None
    assert rig.readings("m2").is_empty()


def test_neuron_1602_a_gateway_where_nobody_listens_stops_no_other(rig, gateway):
    port = gateway({1: steady})
    other = bus(1, id="bus-2")  # port 1: nobody listens there
    site = site_of([1])
    lost = site.meters[0].model_copy(
        update={"id": "lost", "source": site.meters[0].source.model_copy(update={"bus": "bus-2"})}
    )
    rig.reader([other, bus(port)], [site.model_copy(update={"meters": (*site.meters, lost)})])
    until(lambda: rig.rejects.counts().get("unreachable", 0) >= 2 and rig.outcome("ok") >= 2)
    labels = {"bus": "bus-1"}
    assert rig.metrics.value("demandwatch_modbus_connected", labels) == 1
    assert rig.metrics.value("demandwatch_modbus_connected", {"bus": "bus-2"}) == 0


def test_a_restarted_gateway_is_reconnected(rig, gateway):
    devices = (Device(1, SIM, steady),)
    first = ModbusMeters([Gateway("g", devices)], lambda: NOON)
    port = first.start()["g"]
    rig.reader([bus(port)], [site_of([1])])
    until(lambda: rig.outcome("ok") >= 2)
    first.stop()
    until(lambda: rig.outcome("unreachable") >= 1)
    assert gateway({1: steady}, port=port) == port
    count = rig.outcome("ok")
    until(lambda: rig.outcome("ok") > count)


def good(transaction, unit, count, value=1):
    pdu = struct.pack(">BB", 3, 2 * count) + struct.pack(">Q", value) + bytes(2 * count - 8)
    return frame(transaction, unit, pdu)


def test_a_short_frame_is_rejected_and_the_next_poll_is_right(rig, scripted):
    seen = []

    def answer(transaction, unit, _function, _start, count):
        seen.append(transaction)
        if len(seen) == 1:  # says 4 registers where 36 were asked
            return [(0, frame(transaction, unit, struct.pack(">BB", 3, 8) + bytes(8)))]
        if len(seen) == 2:  # announces more bytes than it carries
            return [(0, frame(transaction, unit, struct.pack(">BB", 3, 72) + bytes(8)))]
        if len(seen) == 3:  # stops in the middle
            return [(0, good(transaction, unit, count)[:20])]
        return [(0, good(transaction, unit, count, 42_000))]

    rig.reader([bus(scripted(answer))], [site_of([1])])
    until(lambda: rig.readings().height)
    assert rig.rejects.counts()["short_frame"] == 3
    assert set(rig.readings()["energy_import_kwh"]) == {42.0}


def test_a_late_answer_is_not_taken_for_the_next(rig, scripted):
    def answer(transaction, unit, _function, _start, count):
        if unit == 1:  # answers after the timeout, while unit 2 is being asked
            return [(0.15, good(transaction, unit, count, 1_000_000))]
        return [(0, good(transaction, unit, count, 2_000_000))]

    slow = bus(scripted(answer), timeout_s=0.12, backoff_min_s=0.01, backoff_max_s=0.01)
    rig.reader([slow], [site_of([1, 2])])
    until(lambda: rig.outcome("timeout") >= 2 and rig.readings("m2").height >= 1)
    assert set(rig.readings("m2")["energy_import_kwh"]) == {2000.0}
    # on a busy machine its own answer may still come in time; another's never is taken for it
    assert set(rig.readings("m1")["energy_import_kwh"]) <= {1000.0}


def test_ratios_in_force_are_applied(rig, gateway):
    site = site_of([1], "chint-dtsu666")
    ratio = [{"from": "2020-01-01", "value": 100}, {"from": "2021-01-01", "value": 200}]
    meter = type(site.meters[0]).model_validate(site.meters[0].model_dump() | {"ct_ratio": ratio})
    port = gateway({1: steady}, PROFILES["chint-dtsu666"])
    rig.reader([bus(port)], [site.model_copy(update={"meters": (meter,)})])
    until(lambda: rig.readings().height)
    assert rig.readings()["power_kw"][0] == pytest.approx(12.345 * 200, rel=1e-6)
    assert rig.readings()["voltage_a_v"][0] == pytest.approx(230.1, rel=1e-6)


def test_a_ratio_not_yet_in_force_gives_no_value(rig, gateway):
    site = site_of([1], "chint-dtsu666")
    tomorrow = (rig.clock.now() + timedelta(days=2)).date().isoformat()
    ratio = [{"from": tomorrow, "value": 100}]
    meter = type(site.meters[0]).model_validate(site.meters[0].model_dump() | {"ct_ratio": ratio})
    port = gateway({1: lambda _at: SHOWN | {"frequency_hz": 50.0}}, PROFILES["chint-dtsu666"])
    rig.reader([bus(port)], [site.model_copy(update={"meters": (meter,)})])
    until(lambda: rig.readings().height)
    assert rig.readings()["energy_import_kwh"][0] is None
    assert rig.readings()["frequency_hz"][0] == pytest.approx(50)
    assert "no CT or PT ratio in force" in rig.rejects.latest()["excerpt"][0]


def test_settings_that_cannot_work_are_refused(rig):
    with pytest.raises(ValueError, match=r"no profile 'nope'; known: .*eastron"):
        rig.reader([bus(502)], [site_of([1], "nope")])
    with pytest.raises(ValueError, match="meter m250: unit 250 on an RTU line; 1 to 247"):
        rig.reader([bus(502, kind="rtu_over_tcp")], [site_of([250])])
    with pytest.raises(ValueError, match=r"bus bus-1: tls: .*No such file"):
        rig.reader([bus(802, kind="tls", tls={"ca": rig.folder / "none.pem"})], [site_of([1])])
