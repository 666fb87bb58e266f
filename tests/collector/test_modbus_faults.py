"""What breaks in the field, by the meters of the simulator and by gateways of ill manners."""

import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
from services import free_port
from services_modbus import PROFILES, bus, site_of
from waiting import until

from collector.modbusframes import answer_pdu, tcp
from collector.profiles import Profile
from collector.simulator.modbus_meters import Device, Gateway, ModbusMeters
from collector.simulator.wire_faults import Nuisance, Wire, WireFault

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
SHOWN = {"energy_import_kwh": 1234.5, "power_kw": 12.5, "voltage_a_v": 230.0}
OTHER = {name: value + 10 for name, value in SHOWN.items()}
REASON = {
    Wire.TIMEOUT: "timeout",
    Wire.LATE: "timeout",
    Wire.OUT_OF_ORDER: "timeout",
    Wire.STALE_TRANSACTION: "short_frame",
    Wire.WRONG_CRC: "short_frame",
    Wire.PARTIAL_FRAME: "short_frame",
    Wire.EXCEPTION: "modbus_exception",
}
"""What each fault is told as; the others do not make a poll fail."""


@pytest.fixture
def faulty():
    """Start two meters of one map, unit 1 with wire faults."""
    running = []

    def start(kind, fault, **more):
        told = {"meter": "m1", "kind": fault, "delay_s": 0.15, **more}
        fault = WireFault.model_validate(told)
        profile = PROFILES["eastron-sdm630"]
        devices = (
            Device(1, profile, lambda _: SHOWN, Nuisance([fault], NOON)),
            Device(2, profile, lambda _: OTHER),
        )
        made = ModbusMeters([Gateway("g", devices, kind=kind)], lambda: NOON)
        running.append(made)
        return made.start()["g"]

    yield start
    for one in running:
        one.stop()


@pytest.mark.parametrize("kind", ["tcp", "rtu_over_tcp"])
@pytest.mark.parametrize("fault", [one for one in Wire if one is not Wire.SWAPPED_WORDS])
def test_no_fault_of_the_wire_makes_a_value_and_all_are_survived(rig, faulty, kind, fault):
    port = faulty(kind, fault, every=5)
    quick = {"timeout_s": 0.1, "backoff_min_s": 0.02, "backoff_max_s": 0.02, "baudrate": 115200}
    rig.reader([bus(port, kind=kind, **quick)], [site_of([1, 2], "eastron-sdm630")])
    until(lambda: rig.readings("m1").height >= 3 and rig.readings("m2").height >= 3)
    harmless = fault is Wire.STRAY_FRAME or (kind == "tcp" and fault is Wire.DOUBLED)
    if fault in REASON and not (kind == "rtu_over_tcp" and fault is Wire.STALE_TRANSACTION):
        reason = REASON[fault]
        until(lambda: rig.rejects.counts().get(reason) or rig.rejects.counts().get("timeout"))
    elif harmless:
        assert set(rig.rejects.counts()) <= {"out_of_range"}  # 0 Hz, which SHOWN does not state
    for meter, shown in (("m1", SHOWN), ("m2", OTHER)):
        for row in rig.readings(meter).to_dicts():
            assert {name: row[name] for name in shown} == shown


def test_swapped_words_are_as_the_wrong_profile_would_see_them(rig, faulty):
    port = faulty("tcp", "swapped_words")
    rig.reader([bus(port)], [site_of([1], "eastron-sdm630")])
    until(lambda: sum(rig.rejects.counts().values()) or rig.readings().height)
    assert not (rig.readings()["energy_import_kwh"] == SHOWN["energy_import_kwh"]).any()


def test_a_fault_begins_and_ends_as_told():
    told = {"meter": "m1", "kind": "timeout", "after_s": 60, "for_s": 30, "every": 2}
    nuisance = Nuisance([WireFault.model_validate(told)], NOON)
    hits = [bool(nuisance.next(NOON + timedelta(seconds=s))) for s in (0, 60, 70, 80, 89, 90, 95)]
    assert hits == [False, True, False, True, False, False, False]


ONE = Profile.model_validate(
    {
        "id": "two-requests",
        "title": "",
        "reference": "this test",
        "registers": [
            {"quantity": "energy_import_kwh", "address": 0, "type": "u32"},
            {"quantity": "power_kw", "address": 500, "type": "u32"},
        ],
    }
)


def good(request):
    words = request[8:10].rjust(4, b"\0")
    return tcp(int.from_bytes(request[:2]), request[6], answer_pdu(request[7], words))


def test_a_gateway_that_closes_after_each_answer_is_read(rig, raw):
    def talk(request, send):
        send(good(request))
        return False

    settings = bus(raw(talk, 12), timeout_s=1)
    rig.reader([settings], [site_of([1, 2], "two-requests")], {"two-requests": ONE})
    until(lambda: rig.readings("m1").height >= 3 and rig.readings("m2").height >= 3)
    assert set(rig.readings()["power_kw"]) == {500.0}


def test_a_gateway_that_takes_one_connection_only_is_read_and_found_again(rig):
    """The next connection is let in only when the one before is closed."""
    served = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    listener.settimeout(10)

    def serve():
        for hang_up_after in (5, 10_000):
            with listener.accept()[0] as peer:
                for _ in range(hang_up_after):
                    if not (request := peer.recv(12)):
                        break
                    served.append(hang_up_after)
                    peer.sendall(good(request))

    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    reader = rig.reader(
        [bus(port, timeout_s=1)], [site_of([1], "two-requests")], {"two-requests": ONE}
    )
    until(lambda: served.count(10_000) >= 6)
    reader.stop()
    thread.join(5)
    listener.close()
    assert served.count(5) == 5


class Proxy:
    """Passes bytes on until it is told to vanish: it stays connected and says nothing more."""

    def __init__(self, target):
        self.target, self.deaf = target, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                here = self.listener.accept()[0]
            except OSError:
                return
            self.open.append(here)
            there = socket.create_connection(("127.0.0.1", self.target))
            self.open.append(there)
            lost = self.deaf
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self.carry, args=(a, b, lost), daemon=True).start()

    @staticmethod
    def carry(one, other, lost):
        try:
            while data := one.recv(4096):
                if not lost.is_set():
                    other.sendall(data)
        except OSError:
            return

    def vanish(self):
        """What is connected now hears nothing more, without a FIN; a new connection works."""
        lost, self.deaf = self.deaf, threading.Event()
        lost.set()

    def close(self):
        self.listener.close()
        for one in self.open:
            one.close()


def test_a_half_open_connection_is_given_up_and_no_value_is_repeated(rig, raw):
    """Thingsboard-gateway #2065: the last value came again and again with a fresh time."""
    asked = []

    def talk(request, send):
        asked.append(rig.clock.now())
        send(good(request))

    proxy = Proxy(raw(talk, 12))
    patient = bus(proxy.port, timeout_s=0.2, backoff_min_s=0.1, backoff_max_s=0.4)
    site = site_of([1, 2, 3, 4], "two-requests")
    reader = rig.reader([patient], [site], {"two-requests": ONE})
    until(lambda: rig.readings().height >= 8)
    proxy.vanish()
    gone = rig.clock.now()
    until(lambda: rig.outcome("timeout") >= 2)
    until(lambda: asked[-1] > gone)
    until(lambda: rig.readings()["measured_at"].max() > asked[-1] - timedelta(seconds=1))
    reader.stop()
    proxy.close()
    answered = len(asked) // 2  # two requests a reading
    assert rig.readings().height <= answered + 1
    dead = [at for at in rig.readings()["measured_at"] if gone < at < gone + timedelta(seconds=0.2)]
    assert len(dead) <= 1  # one may have been under way


def test_a_lost_gateway_leaves_no_reading_behind(rig, raw):
    """Broken in the middle of a request: neither a value nor a repeated one."""
    seen = []

    def talk(request, send):
        seen.append(request)
        if len(seen) == 6:
            return False
        return send(good(request))

    rig.reader(
        [bus(raw(talk, 12), timeout_s=1)], [site_of([1], "two-requests")], {"two-requests": ONE}
    )
    until(lambda: len(seen) >= 12)
    times = rig.readings()["measured_at"]
    assert times.n_unique() == times.len()
    assert rig.readings().height <= (len(seen) + 1) // 2


def test_openems_2494_what_belongs_together_is_read_in_one_request(rig, raw):
    """Phase values of different moments gave wrong totals; a group is never split."""
    group = {"type": "u32", "group": "phases"}
    profile = Profile.model_validate(
        {
            "id": "phases", "title": "", "reference": "this test",
            "registers": [
                {"quantity": f"power_{phase}_kw", "address": 40 * i, **group}
                for i, phase in enumerate("abc")
            ],
        }
    )  # fmt: skip
    asked = []

    def talk(request, send):
        asked.append(request[8:12].hex())
        words = bytes(2 * request[11])
        send(tcp(int.from_bytes(request[:2]), 1, answer_pdu(3, words)))

    rig.reader([bus(raw(talk, 12))], [site_of([1], "phases")], {"phases": profile})
    until(lambda: rig.readings().height >= 2)
    assert set(asked) == {"00000052"}  # 82 registers from 0


def test_the_port_of_a_dead_gateway_costs_others_nothing(rig, faulty):
    site = site_of([2], "eastron-sdm630")
    lost = site.meters[0].source.model_copy(update={"bus": "bus-2"})
    meters = (*site.meters, site.meters[0].model_copy(update={"id": "lost", "source": lost}))
    buses = [bus(free_port(), id="bus-2"), bus(faulty("tcp", "timeout"))]
    rig.reader(buses, [site.model_copy(update={"meters": meters})])
    until(lambda: rig.readings("m2").height >= 20)
    assert rig.outcome("timeout") == 0
