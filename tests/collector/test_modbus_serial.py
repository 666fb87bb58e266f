"""Serial lines, and peers that others wrote: mbpoll asks our meters, libmodbus answers us."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from services import end, free_port, requires, skip
from services_modbus import PROFILES, bus, line, site_of
from waiting import until

from collector.profiles import Profile
from collector.simulator.modbus_meters import Device, Gateway, ModbusMeters

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
SHOWN = {"energy_import_kwh": 1234.5, "power_kw": 12.345, "voltage_a_v": 230.1}
SOURCE = Path(__file__).with_name("libmodbus_meter.c")
FOREIGN = Profile.model_validate(
    {
        "id": "foreign",
        "title": "The registers of libmodbus_meter.c",
        "reference": "this test",
        "registers": [
            {"quantity": "voltage_a_v", "address": 120, "type": "u16"},
            {"quantity": "power_kw", "address": 2, "type": "u32", "scale": 1e-6},
            {"quantity": "current_a_a", "address": 7, "type": "u16", "function": 4, "scale": 0.01},
        ],
    }
)
READ = {"voltage_a_v": 220, "power_kw": (102 * 65536 + 103) / 1e6, "current_a_a": 400.07}


@pytest.fixture
def meters():
    """Start simulated meters on a gateway."""
    running = []

    def start(**gateway):
        devices = tuple(
            Device(unit, PROFILES["eastron-sdm630"], lambda _: SHOWN) for unit in (1, 5)
        )
        made = ModbusMeters([Gateway("g", devices, **gateway)], lambda: NOON)
        running.append(made)
        return made.start()["g"]

    yield start
    for one in running:
        one.stop()


@pytest.mark.socat
def test_meters_on_a_serial_line_are_read(rig, cable, meters):
    here, there = cable.ends
    meters(kind="rtu", device=there)
    rig.reader([line(here)], [site_of([1, 5, 9], "eastron-sdm630")])
    until(lambda: rig.readings("m1").height >= 3 and rig.readings("m5").height >= 3)
    until(lambda: rig.outcome("timeout") >= 1)
    row = rig.readings("m5").row(0, named=True)
    assert {name: row[name] for name in SHOWN} == pytest.approx(SHOWN, rel=1e-6)
    assert rig.readings("m9").is_empty()


@pytest.mark.socat
def test_a_cable_that_is_pulled_and_plugged_again_is_read_again(rig, cable, meters):
    here, there = cable.ends
    meters(kind="rtu", device=there)
    rig.reader([line(here)], [site_of([1], "eastron-sdm630")])
    until(lambda: rig.readings().height >= 2)
    cable.pull()
    until(lambda: rig.outcome("unreachable") >= 1)
    count = rig.readings().height
    assert rig.metrics.value("demandwatch_modbus_connected", {"bus": "bus-1"}) == 0
    cable.plug()
    meters(kind="rtu", device=there)
    until(lambda: rig.readings().height > count)


def test_meters_behind_a_serial_server_are_read(rig, meters):
    port = meters(kind="rtu_over_tcp")
    rig.reader([bus(port, kind="rtu_over_tcp")], [site_of([1, 5], "eastron-sdm630")])
    until(lambda: rig.readings("m1").height >= 2 and rig.readings("m5").height >= 2)
    assert rig.readings()["power_kw"].to_list() == pytest.approx(
        [12.345] * rig.readings().height, rel=1e-6
    )


@pytest.mark.mbpoll
@pytest.mark.socat
def test_a_foreign_client_reads_our_meters_on_a_serial_line(cable, meters):
    here, there = cable.ends
    meters(kind="rtu", device=there)
    command = [requires("mbpoll"), "-m", "rtu", "-b", "9600", "-P", "none", "-0", "-1", "-o", "1"]
    read = [*command, "-a", "5", "-t", "3:float", "-B", "-r", "72", "-c", "1", here]
    said = subprocess.run(read, capture_output=True, text=True, check=False)
    assert "[72]: \t1234.5" in said.stdout
    beyond = [*command, "-a", "5", "-t", "3", "-r", "9000", "-c", "1", here]
    said = subprocess.run(beyond, capture_output=True, text=True, check=False)
    assert "Illegal data address" in said.stdout + said.stderr


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """The meter that libmodbus makes of our C source: started on a port or a device."""
    binary = tmp_path_factory.mktemp("libmodbus") / "meter"
    compiler = requires("gcc")
    command = [compiler, str(SOURCE), "-I/usr/include/modbus", "-lmodbus", "-o", str(binary)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        skip(f"no libmodbus to compile against: {built.stderr.splitlines()[:1]}")
    running = []

    def start(kind, where):
        process = subprocess.Popen([binary, kind, where], stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout.readline() == b"ready\n"

    yield start
    for process in running:
        end(process)
        process.stdout.close()


@pytest.mark.libmodbus
def test_a_foreign_meter_is_read_over_tcp(rig, foreign):
    port = free_port()
    foreign("tcp", str(port))
    rig.reader([bus(port)], [site_of([1], "foreign")], {"foreign": FOREIGN})
    until(lambda: rig.readings().height >= 3)
    row = rig.readings().row(0, named=True)
    assert {name: row[name] for name in READ} == pytest.approx(READ)


@pytest.mark.libmodbus
@pytest.mark.socat
def test_a_foreign_meter_is_read_on_a_serial_line(rig, foreign, cable):
    here, there = cable.ends
    foreign("rtu", there)
    settings = line(here, baudrate=9600, timeout_s=1.0)
    rig.reader([settings], [site_of([1], "foreign")], {"foreign": FOREIGN})
    until(lambda: rig.readings().height >= 3)
    row = rig.readings().row(0, named=True)
    assert {name: row[name] for name in READ} == pytest.approx(READ)
