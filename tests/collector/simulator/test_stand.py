"""A stand of simulated meters: what may be asked for, and that it happens on the wire."""

import asyncio
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import pytest
from bench_images import PROFILES
from pydantic import ValidationError
from services_mqtt import NOW, reading
from waiting import until

from collector.bench.dlt645bench import Spoken, open_dlt645
from collector.bench.dltlook import look_of_items
from collector.bench.look import look_of
from collector.bench.modbusbench import Slave, open_modbus
from collector.clock import Clock
from collector.linesettings import LineSettings
from collector.reason import Reason
from collector.registers import plan
from collector.settings import BusSettings
from collector.simulator.askedfaults import FAULTS, Asked
from collector.simulator.served import Stand
from collector.simulator.stand import StandSettings, units_of

CLOCK = Clock.real()
SHANGHAI = ZoneInfo("Asia/Shanghai")


def settings(faults=(), **link):
    return StandSettings.model_validate({"links": [link], "faults": list(faults)})


@contextmanager
def standing(faults=(), clock=CLOCK, **link):
    stand = Stand(settings(faults, **link), PROFILES, clock)
    try:
        yield stand.start()[0]
    finally:
        stand.close()


def bus_of(served, kind="tcp"):
    place = {"host": "127.0.0.1", "port": getattr(served, "port", 0), "timeout_s": 2.0}
    if kind == "rtu":
        place = {"device": served, "timeout_s": 0.15}
    return BusSettings.model_validate({"id": "b", "kind": kind, **place})


def modbus(bus, profile="eastron-sdm630", unit=1, times=1):
    """Return the readings of a meter, one after the other."""

    async def work():
        async with open_modbus(bus, CLOCK.now) as bench:
            layout = plan(PROFILES[profile])
            return [await bench.read(layout, Slave(unit, 0.15)) for _ in range(times)]

    return asyncio.run(work())


def spoken(port, address="000000000001"):
    async def work():
        line = LineSettings(
            id="l", kind="tcp", host="127.0.0.1", port=port, timeout_s=0.2, baudrate=115200,
            retries=0, pause_between_s=0.001,
        )  # fmt: skip
        async with open_dlt645(line, CLOCK.now) as bench:
            told = await bench.address()
            return told, await bench.read(Spoken(address, SHANGHAI, retries=0))

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("2:timeout@30s..60s", Asked("2", "timeout", None, 1, 30, 30)),
        ("all:late=1.5s/3", Asked("all", "late", 1.5, 3, 0, None)),
        ("x/1:exception=6@2m..", Asked("x/1", "exception", 6, 1, 120, None)),
        ("m1:drift@1h..2h", Asked("m1", "drift", None, 1, 3600, 3600)),
    ],
)
def test_faults_are_asked_for_in_one_line(text, asked):
    assert Asked.of(text) == asked


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("timeout", "write WHO:FAULT"),
        ("1:explode", "no such fault; there are timeout"),
        ("9:timeout", "no meter '9'; there are bench/1, all"),
        ("1:timeout@9s..3s", "must end after it began"),
        ("1:bad_digits", "does not happen over tcp; there are timeout"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_what_is_allowed(fault, said):
    with pytest.raises(ValidationError, match=said.replace("(", r"\(")):
        settings([fault], kind="tcp")


def test_units_are_numbers_and_spans():
    assert units_of("1-3,7,2") == [1, 2, 3, 7]
    for wrong in ("", "1-", "a", "300"):
        with pytest.raises(ValueError, match="units"):
            units_of(wrong)


@pytest.mark.parametrize("kind", ["tcp", "rtu_over_tcp"])
def test_meters_are_served_and_agree_with_themselves(kind):
    with standing(kind=kind, profile="eastron-sdm630", units="1-2") as served:
        (first,) = modbus(bus_of(served, kind))
        (second,) = modbus(bus_of(served, kind), unit=2)
    one, two = (look_of(PROFILES["eastron-sdm630"], each) for each in (first, second))
    assert not first.unanswered
    assert one.value("power_kw") != two.value("power_kw")
    assert 0 < one.value("energy_import_kwh") < 20_000


@pytest.mark.socat
def test_a_serial_line_is_served(cable):
    here, there = cable.ends
    with standing(kind="rtu", device=there, baudrate=115200):
        (reading,) = modbus(bus_of(here, "rtu"), "demandwatch-sim")
    assert not reading.unanswered


_SAID = {
    "timeout": "no answer within", "late": "no answer within",
    "stale_transaction": "no sound answer", "wrong_crc": "no sound answer",
    "partial_frame": "no sound answer", "hang_up": "was lost",
    "exception": "exception 4", "out_of_order": "no answer",
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(_SAID))
def test_wire_faults_happen_over_modbus(fault):
    with standing([f"1:{fault}"], kind="tcp") as served:
        (reading,) = modbus(bus_of(served), "demandwatch-sim")
    assert reading.unanswered
    assert _SAID[fault] in reading.unanswered[0]


@pytest.mark.parametrize("fault", ["doubled", "stray_frame"])
def test_what_a_sound_reader_survives_it_survives(fault):
    with standing([f"1:{fault}"], kind="tcp") as served:
        found = modbus(bus_of(served), "demandwatch-sim", times=3)
    assert not any(one.unanswered for one in found)


def test_faults_of_values_happen():
    faults = ["1:swapped_words", "2:sentinel", "3:reset", "4:repeat", "5:rollover"]
    looks = {}
    with standing(faults, kind="tcp", units="1-6") as served:
        for unit in range(1, 7):
            found = modbus(bus_of(served), "demandwatch-sim", unit, times=2)
            looks[unit] = [look_of(PROFILES["demandwatch-sim"], one) for one in found]
    assert looks[1][0].value("frequency_hz") == pytest.approx(50, abs=0.1)
    assert looks[1][0].value("voltage_a_v") is None or looks[1][0].value("voltage_a_v") > 1000
    assert {one.doubt for one in looks[2][0].cells.values()} == {"sentinel"}
    assert looks[3][0].value("energy_import_kwh") < 1
    assert looks[4][0].values("power_kw", "voltage_a_v") == looks[4][1].values(
        "power_kw", "voltage_a_v"
    )
    assert looks[5][0].value("energy_import_kwh") < 1
    assert looks[6][0].value("energy_import_kwh") > 1


def test_a_fault_begins_and_ends_in_its_time():
    fast = Clock.accelerated(CLOCK.now(), 3000)
    said = []

    async def watch(port):
        async with open_modbus(bus_of(port), CLOCK.now) as bench:
            while len(said) < 3:  # an hour is 1.2 seconds here: quiet, refused, quiet again
                answer = await bench.present(Slave(1, 1.0))
                if not said or said[-1] != answer.refused:
                    said.append(answer.refused)

    with standing(["1:exception@1h..2h"], fast, kind="tcp") as served:
        asyncio.run(watch(served))
    assert said == [False, True, False]


def test_dlt645_meters_are_served_with_faults():
    with standing(kind="dlt645", addresses=["000000000042"]) as served:
        told, reading = spoken(served.port, "000000000042")
    look = look_of_items(reading, SHANGHAI)
    assert told == "000000000042"
    assert look.value("voltage_a_v") == pytest.approx(230, abs=5)
    assert abs(reading.clock_offset_s) < 2
    with standing(["all:clock=300"], kind="dlt645") as served:
        _, late = spoken(served.port)
    assert late.clock_offset_s == pytest.approx(300, abs=2)
    with standing(["all:wrong_crc"], kind="dlt645") as served:
        told, broken = spoken(served.port)
    assert told is None
    assert "broken answer" in broken.unanswered[0]


def test_every_fault_says_where_it_happens():
    for name, one in FAULTS.items():
        assert one.says, name
        assert any(one.on(kind) is not None for kind in ("tcp", "dlt645", "mqtt")), name


@pytest.mark.mosquitto
def test_mqtt_meters_publish_to_a_broker(mosquitto, desk):
    link = {"kind": "mqtt", "port": mosquitto.port, "meters": ["m1", "m2", "m3", "m4"]}
    link |= {"every_s": 0.2}
    faults, clock = ["m2:timeout", "m3:sentinel", "m4:partial_frame"], Clock.accelerated(NOW, 1.0)
    with reading(mosquitto.port, desk), standing(faults, clock, **link):
        until(lambda: desk.journal.read(0, 1000).frame.height >= 6, what="readings in the journal")
    frame = desk.journal.read(0, 1000).frame
    assert set(frame["meter_id"]) == {"m1", "m3"}
    assert frame.filter(meter_id="m1")["energy_import_kwh"].null_count() == 0
    assert frame.filter(meter_id="m3")["energy_import_kwh"].drop_nulls().is_empty()
    assert set(desk.rejects.counts()) == {Reason.NOT_JSON}
