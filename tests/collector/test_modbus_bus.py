"""A bus of many slaves: the dead one costs its own slot, the link comes back, time is the read."""

import asyncio
import itertools
import selectors
import threading
import time
from datetime import timedelta

import pytest
from services import free_port
from services_modbus import bus, site_of
from waiting import until

from collector.clock import Clock
from collector.modbusframes import answer_pdu, tcp
from collector.turns import Turns

PERIOD_S = 0.5
SLOT_S = 0.2
UNITS = range(1, 33)


class Slaves:
    """32 slaves behind one gateway; notes when each is asked."""

    def __init__(self, dead=()):
        self.dead = dead
        self.asked = {unit: [] for unit in UNITS}

    def __call__(self, request, send):
        unit, count = request[6], request[11]
        self.asked[unit].append(time.monotonic())
        if unit not in self.dead:
            send(tcp(int.from_bytes(request[:2]), unit, answer_pdu(3, bytes(2 * count))))


def gaps(slaves, unit):
    asked = slaves.asked[unit]
    return [b - a for a, b in itertools.pairwise(asked)]


def test_telegraf_11782_one_dead_slave_of_32_costs_its_own_slot_only(rig, raw):
    """Telegraf #11782, thingsboard-gateway #2132, neuron #1602: one dead slave stops everything."""
    polls, longest = {}, {}
    for name, dead in {"sound": (), "dead": (7,)}.items():
        slaves = Slaves(dead)
        settings = bus(raw(slaves, 12), timeout_s=SLOT_S, backoff_min_s=5, backoff_max_s=300)
        reader = rig.reader([settings], [site_of(UNITS, every_s=PERIOD_S)])
        until(lambda: len(slaves.asked[32]) >= 6, timeout_s=20)  # noqa: B023 - called at once
        reader.stop()
        others = [unit for unit in UNITS if unit != 7]
        polls[name] = min(len(slaves.asked[unit]) for unit in others)
        longest[name] = max(max(gaps(slaves, unit)) for unit in others)
        assert len(slaves.asked[7]) == 1 or not dead
    assert polls["dead"] >= polls["sound"] - 1
    assert longest["dead"] <= longest["sound"] + SLOT_S + 0.3  # a busy machine's share


def test_a_dead_slave_is_asked_without_repetitions_and_heard_at_once_when_it_is_back(rig, raw):
    slaves = Slaves(dead={7})
    port = raw(slaves, 12)
    rig.reader([bus(port, timeout_s=0.05, retries=3)], [site_of([1, 7], every_s=0.05)])
    until(lambda: len(slaves.asked[7]) >= 9)
    spacing = gaps(slaves, 7)
    assert all(gap < 0.2 for gap in spacing[:3])  # the repetitions of the first poll
    # then one request a poll, after pauses of 0.05 s that double up to 0.4 s
    assert all(gap >= 0.05 * 2**i for i, gap in enumerate(spacing[3:7]))
    slaves.dead = ()
    until(lambda: rig.readings("m7").height >= 3)
    assert rig.outcome("timeout") <= len(slaves.asked[7]) - 3 - 3


def test_a_meter_may_have_its_own_patience(rig, raw):
    slaves = Slaves(dead={7, 8})
    site = site_of([7, 8])
    slow = site.meters[1].source.model_copy(update={"timeout_s": 0.3, "retries": 0})
    meters = (site.meters[0], site.meters[1].model_copy(update={"source": slow}))
    port = raw(slaves, 12)
    rig.reader(
        [bus(port, timeout_s=0.05, retries=1, backoff_min_s=60, backoff_max_s=60)],
        [site.model_copy(update={"meters": meters})],
    )
    until(lambda: rig.outcome("timeout") >= 2)
    health = {row["meter_id"]: row["last_error"] for row in rig.health.snapshot().to_dicts()}
    assert "no answer within 0.1 s" in health["m7"]
    assert "no answer within 0.3 s" in health["m8"]
    assert [len(slaves.asked[unit]) for unit in (7, 8)] == [2, 1]


def test_the_time_of_a_reading_is_that_of_the_read(rig, raw):
    """Half way between request and answer, whatever the journal's group commit adds."""
    moments = []

    def talk(request, send):
        begun = rig.clock.now()
        threading.Event().wait(0.2)
        send(tcp(int.from_bytes(request[:2]), 1, answer_pdu(3, bytes(2 * request[11]))))
        moments.append((begun, rig.clock.now()))

    rig.reader([bus(raw(talk, 12), timeout_s=2)], [site_of([1], every_s=1)])
    until(lambda: rig.readings().height >= 1)
    (begun, ended), at = moments[0], rig.readings()["measured_at"][0]
    assert begun <= at <= ended
    assert abs((at - begun) - (ended - at)) < timedelta(seconds=0.08)


class Hurried(asyncio.SelectorEventLoop):
    """A loop that never waits: where nothing is ready, its time jumps to what is due next."""

    def __init__(self):
        super().__init__(_Jumping(self))
        self.ahead_s = 0.0
        self.hurried = True
        self.patience_s = 0.0003
        """Real seconds without an event before time jumps."""

    def time(self):
        return super().time() + self.ahead_s


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        found = super().select(min(timeout, self._loop.patience_s))
        if not found and self._loop.hurried:
            self._loop.ahead_s += max(timeout - self._loop.patience_s, 0)
        return found


@pytest.mark.parametrize("away_s", [13, 13 * 3600])
def test_the_link_is_found_again_after_13_hours_as_after_13_seconds(rig, raw, away_s):
    port = free_port()
    loop = Hurried()
    rig.reader(
        [bus(port, timeout_s=60, backoff_min_s=5, backoff_max_s=300)],
        [site_of([1], every_s=15)],
        loop=loop,
    )
    until(lambda: loop.ahead_s >= away_s, timeout_s=60)
    assert rig.readings().is_empty()
    loop.hurried, loop.patience_s = False, 0.05
    before = loop.ahead_s
    raw(Slaves(), 12, port)
    loop.hurried = True
    until(lambda: rig.readings().height >= 1)
    # at most 30 s to the next attempt, 60 s to the journal; the rest is a busy machine's
    assert loop.ahead_s - before < 300
    assert rig.outcome("unreachable") >= away_s / 31


@pytest.mark.parametrize("attempts", [4, 1500])
def test_the_pause_between_attempts_does_not_grow_with_the_absence(attempts):
    turns = Turns(bus(1, backoff_min_s=5, backoff_max_s=300), targets(3), Clock.real(), 0)
    pauses = [turns.unreachable() for _ in range(attempts)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) <= 30


def targets(count, every_s=10.0):
    from types import SimpleNamespace

    return [SimpleNamespace(every_s=every_s, name=i) for i in range(count)]


def test_after_an_absence_the_meters_are_spread_over_their_period_again():
    turns = Turns(bus(1), targets(4), Clock.real(), 0)
    turns.unreachable()
    turns.connected(13 * 3600.0)
    seen = []
    for _ in range(8):
        now = 13 * 3600.0 + max(0.0, turns.next_in(13 * 3600.0))
        seen.append((turns.target.name, now - 13 * 3600.0))
        turns.done(now)
    assert seen == [(0, 0), (1, 2.5), (2, 5), (3, 7.5), (0, 10), (1, 12.5), (2, 15), (3, 17.5)]


def test_several_that_fall_silent_in_a_row_mean_the_connection_one_dead_meter_does_not():
    turns = Turns(bus(1, backoff_min_s=5, backoff_max_s=300), targets(10), Clock.real(), 0)
    now = 0.0
    dead = {3}
    for _ in range(40):
        now = max(now, now + turns.next_in(now))
        turns.failed(now, answered=False) if turns.target.name in dead else turns.done(now)
        assert not turns.deaf
    dead = set(range(10))
    failures = 0
    while not turns.deaf:
        now = max(now, now + turns.next_in(now))
        turns.failed(now, answered=False)
        failures += 1
    assert failures <= 4
