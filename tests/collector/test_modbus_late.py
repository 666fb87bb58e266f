"""Late answers: a value never moves into another register, whatever a gateway does with time."""

import random

import pytest
from services_modbus import bus, site_of
from waiting import until

from collector.modbusframes import answer_pdu, rtu, tcp
from collector.profiles import Profile

TWINS = Profile.model_validate(
    {
        "id": "twins",
        "title": "Three requests alike in all but the address",
        "reference": "this test",
        "registers": [
            {"quantity": "energy_import_kwh", "address": 0, "type": "u32"},
            {"quantity": "power_kw", "address": 1000, "type": "u32", "scale": 0.001},
            {"quantity": "reactive_import_kvarh", "address": 2000, "type": "u32"},
        ],
    }
)
"""Each register shows its own address."""
SHOWN = {"energy_import_kwh": 0.0, "power_kw": 1.0, "reactive_import_kvarh": 2000.0}


class Meter:
    """Answers each request by its address; `delays` tells by how many requests each is late."""

    def __init__(self, numbered, delays, *, in_order=True):
        self.in_order = in_order
        self.numbered, self.delays = numbered, iter(delays)
        self.kept = []
        self.asked = 0

    def __call__(self, request, send):
        """Keep the answer; send those that have waited for long enough."""
        self.asked += 1
        pdu = request[7:] if self.numbered else request[1:-2]
        words = b"".join(pdu[1:3].rjust(4, b"\0") for _ in range((pdu[4] + 1) // 2))
        said = answer_pdu(pdu[0], words[: 2 * pdu[4]])
        number = int.from_bytes(request[:2])
        frame = tcp(number, 1, said) if self.numbered else rtu(1, said)
        when = self.asked + next(self.delays, 0)
        if self.in_order and self.kept:
            when = max(when, self.kept[-1][0])
        self.kept.append((when, frame))
        due = [one for when, one in self.kept if when <= self.asked]
        self.kept = [(when, one) for when, one in self.kept if when > self.asked]
        for one in due:
            send(one)


def chance(seed):
    draw = random.Random(seed)
    return [draw.choice([0, 0, 0, 1, 2]) for _ in range(30)]


LATE = {
    "the first answer comes after the second request": [1],
    "one request behind for a while": [1] * 7,
    "two requests behind for a while": [2] * 9,
    "every third is kept back": [0, 0, 1] * 12,
    "at random": chance(1),
    "at random otherwise": chance(2),
}


@pytest.mark.parametrize("kind", ["tcp", "rtu_over_tcp", "rtu_over_tcp, overtaking"])
@pytest.mark.parametrize(("name", "retries"), [(n, i % 2 * 2) for i, n in enumerate(LATE)])
def test_grid_x_modbus_78_a_late_answer_is_never_the_next_requests(rig, raw, kind, name, retries):
    """Overtaking (answers out of order) no serial line does; even then none is mistaken."""
    numbered, delays = kind == "tcp", LATE[name]
    meter = Meter(numbered, delays, in_order="overtaking" not in kind)
    port = raw(meter, 12 if numbered else 8)
    kind = kind.split(",")[0]
    late = {"timeout_s": 0.04, "backoff_min_s": 0.01, "backoff_max_s": 0.01, "retries": retries}
    rig.reader([bus(port, kind=kind, **late)], [site_of([1], "twins")], {"twins": TWINS})
    until(lambda: meter.asked > len(delays) + 10 and rig.readings().height >= 3)
    wrong = [row for row in rig.readings().to_dicts() if {k: row[k] for k in SHOWN} != SHOWN]
    assert not wrong


@pytest.mark.parametrize("behind", [1, 2, 5])
def test_a_line_that_is_behind_for_ever_gives_no_value_rather_than_a_wrong_one(rig, raw, behind):
    meter = Meter(False, [behind] * 10_000)
    quick = {"timeout_s": 0.03, "backoff_min_s": 0.01, "backoff_max_s": 0.01}
    settings = bus(raw(meter), kind="rtu_over_tcp", **quick)
    rig.reader([settings], [site_of([1], "twins")], {"twins": TWINS})
    until(lambda: meter.asked > 25)
    assert rig.readings().is_empty()


def test_doubled_answers_make_a_reading_doubtful_and_it_is_refused(rig, raw):
    def talk(request, send):
        frame = rtu(1, answer_pdu(3, request[2:4].rjust(4, b"\0")))
        send(frame + frame)

    rig.reader([bus(raw(talk), kind="rtu_over_tcp")], [site_of([1], "twins")], {"twins": TWINS})
    until(lambda: rig.rejects.counts().get("stray_answer", 0) >= 2)
    assert rig.readings().is_empty()
