"""A bus's budget: against the standard's numbers, and against a line that takes its time."""

import asyncio
import contextlib
import math
import socket
import threading
import time

import pytest
from bench_images import PROFILES

from collector.bench.budget import budget_of, budget_of_line, pace_of
from collector.bench.modbusbench import Slave, open_modbus
from collector.clock import Clock
from collector.dlt645.readings import targets_of as spoken_of
from collector.linesettings import LineSettings
from collector.polls import targets_of
from collector.settings import BusSettings
from collector.simulator.served import Stand
from collector.simulator.stand import StandSettings
from collector.site import Site


def bus_of(kind="rtu", **more):
    place = {"device": "/dev/null"} if kind == "rtu" else {"host": "127.0.0.1"}
    return BusSettings.model_validate({"id": "b", "kind": kind, **place, **more})


def site_of(*sources):
    meters = [{"id": f"m{i}", "source": one} for i, one in enumerate(sources)]
    name = {"zh": "厂", "en": "Works"}
    return Site.model_validate(
        {"id": "s", "name": name, "kind": "factory", "district": "d", "meters": meters}
    )


def targets(bus, count=1, profile="demandwatch-sim", every_s=15.0):
    source = {"via": "modbus", "bus": "b", "profile": profile, "poll_every_s": every_s}
    site = site_of(*({**source, "unit": 1 + i} for i in range(count)))
    return targets_of(bus, [site], PROFILES)


@pytest.mark.parametrize(
    ("rate", "parity", "stop_bits", "character_ms", "silence_ms"),
    [
        (9600, "N", 1, 1.0417, 3.6458),
        (9600, "E", 1, 1.1458, 4.0104),  # 11 bits; V1.02 figure 13: 3.5 characters
        (19200, "E", 1, 0.5729, 2.0052),
        (38400, "E", 1, 0.2865, 1.75),  # 2.5.1.1: above 19200 fixed
        (9600, "N", 2, 1.1458, 4.0104),
    ],
)
def test_characters_and_silence_are_the_standards(
    rate, parity, stop_bits, character_ms, silence_ms
):
    pace = pace_of(bus_of(baudrate=rate, parity=parity, stop_bits=stop_bits))
    assert pace.character_s * 1000 == pytest.approx(character_ms, abs=1e-4)
    assert pace.silence_s * 1000 == pytest.approx(silence_ms, abs=1e-3)


def test_an_exchange_is_pause_request_answer_time_answer():
    bus = bus_of(baudrate=9600, parity="E", pause_between_s=0.01)
    (cost,) = budget_of(bus, targets(bus), answer_s=0.03).costs
    assert (cost.transactions, cost.registers, cost.characters) == (1, 40, 93)
    assert cost.poll_s == pytest.approx(0.01 + 93 * 11 / 9600 + 0.03)


def test_a_tcp_exchange_is_a_round_trip():
    bus = bus_of("tcp", pause_between_s=0.002)
    (cost,) = budget_of(bus, targets(bus), answer_s=0.004).costs
    assert cost.poll_s == pytest.approx(0.006)


def test_load_says_what_can_be_held():
    bus = bus_of(baudrate=9600)
    room = budget_of(bus, targets(bus, 32, every_s=15))
    assert room.warning == ""
    assert room.load == pytest.approx(room.cycle_s / 15)
    tight = budget_of(bus, targets(bus, 32, every_s=room.cycle_s * 1.1))
    assert "leaves no room" in tight.warning
    full = budget_of(bus, targets(bus, 32, every_s=room.cycle_s * 0.9))
    assert "cannot be held" in full.warning


def test_a_dead_meter_costs_its_slot_at_its_backoff():
    bus = bus_of(timeout_s=1.0, retries=2, backoff_max_s=100)
    alive, dead = budget_of(bus, targets(bus, 2), dead=1).costs
    assert (alive.dead, dead.dead) == (False, True)
    assert dead.dead_s == pytest.approx(1.0 + bus.pause_s + bus.wire_s(40))
    assert dead.silent_s == pytest.approx(3 * dead.dead_s)
    assert dead.load == pytest.approx(dead.dead_s / 100)


def test_dlt645_counts_each_identifier_and_the_clock():
    line = LineSettings(id="l", kind="tcp", host="h", baudrate=2400)
    source = {"via": "dlt645", "line": "l", "address": "000000000001"}
    site = site_of({**source, "items": ["energy_import_total", "voltage"]})
    (cost,) = budget_of_line(line, spoken_of("l", [site]), answer_s=0.05).costs
    # 32 + 4 wake bytes there and 4 back + data: 4, 6, then date 4 and time 3
    assert (cost.transactions, cost.characters) == (4, 4 * 40 + 4 + 6 + 4 + 3)
    assert cost.poll_s == pytest.approx(4 * (line.pause_between_s + 0.05) + 177 * 11 / 2400)


@contextlib.contextmanager
def paced(port, character_s, silence_s):
    """A serial server with a slow line behind it: every byte takes its time, both ways."""
    door = socket.create_server(("127.0.0.1", 0))
    over = []

    def carry(source, sink, extra_s):
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                time.sleep(len(data) * character_s + extra_s)
                sink.sendall(data)

    def serve():
        with contextlib.suppress(OSError):
            client, _ = door.accept()
            meter = socket.create_connection(("127.0.0.1", port))
            over.extend([client, meter])
            back = threading.Thread(target=carry, args=(meter, client, 0.0), daemon=True)
            back.start()
            carry(client, meter, silence_s)

    threading.Thread(target=serve, daemon=True).start()
    yield door.getsockname()[1]
    for one in [door, *over]:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@pytest.mark.parametrize("profile", ["demandwatch-sim", "chint-dtsu666"])
def test_the_formula_is_what_a_paced_line_takes(profile):
    async def quickest(bus, layout, wanted_s):
        """Read until the line's own pace shows: a busy machine only ever adds to it."""
        async with open_modbus(bus, Clock.real().now) as bench:
            loop, times = asyncio.get_running_loop(), [math.inf]
            while min(times) > wanted_s and len(times) < 40:
                began = loop.time()
                assert not (await bench.read(layout, Slave(1))).unanswered
                times.append(loop.time() - began)
            return min(times)

    link = {"kind": "rtu_over_tcp", "profile": profile}
    stand = Stand(StandSettings.model_validate({"links": [link]}), PROFILES, Clock.real())
    try:
        (served,) = stand.start()
        planned = bus_of("rtu_over_tcp", port=served.port, baudrate=4800)
        (target,) = targets(planned, profile=profile)
        least = budget_of(planned, [target], answer_s=0.0).cycle_s
        pace = pace_of(planned)
        with paced(served.port, pace.character_s, pace.silence_s) as port:
            bus = planned.model_copy(update={"port": port, "timeout_s": 0.5})
            took = asyncio.run(quickest(bus, target.layout, 1.1 * least))
    finally:
        stand.close()
    assert 0.95 * least <= took <= 1.1 * least
