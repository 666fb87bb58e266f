"""A bus's budget: how long its meters take to read, before one is installed; pure.

Serial lines (Modbus over Serial Line V1.02, 2.5.1): a character takes one start bit, eight bits, a
parity bit if there is parity, one or two stop bits: 10 bits at 8N1, 11 at 8E1. Between frames the
line is silent for 3.5 characters; above 19200 baud for 1.75 ms whatever the rate.

    request    8 characters: unit, function, address, count, CRC
    answer     5 + 2n characters: unit, function, length, n registers, CRC
    exchange = pause + (13 + 2n) characters + max(silence, answer time)

`pause` is the silence the collector keeps before a request, `answer time` what passes between the
last byte of a request and the first of its answer: the meter's own time, and behind a serial server
the network's round trip. Over Modbus TCP an exchange is pause + round trip; a gateway with a serial
line behind it is as slow as that line: plan it as `rtu_over_tcp`.

DL/T 645-2007: 16 characters and the wake bytes there, 16 and the data back with four wake bytes,
11 bits each; one exchange an identifier.

    cycle = sum of all meters' exchanges         shortest common poll period
    load  = sum of (time a poll / poll period)   share of the time the line is busy; at most 1
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from collector.dlt645.items import Item
from collector.dlt645.readings import Target as Spoken
from collector.linesettings import LineSettings
from collector.polls import Target
from collector.settings import BusSettings

SERIAL_ANSWER_S = 0.02
"""Assumed answer time where none is measured: meters' papers say 5 to 100 ms."""
NETWORK_ANSWER_S = 0.005
"""Assumed round trip to a device on the same network."""
ROOM = 0.8
"""Load up to which repetitions and late answers still find room."""
_RATES = 4
"""Rates a DL/T 645 meter is taken to tell beside the total."""
_WAKE_BACK = 4
_CLOCK_BYTES = (4, 3)
"""Data of the answers about date and time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What an exchange costs on a link, seconds."""

    character_s: float
    """0 over Modbus TCP."""
    silence_s: float
    """Least pause of the line between request and answer."""
    pause_s: float
    """What the collector waits before each request."""
    answer_s: float
    """From the request's end to the answer's beginning."""

    def exchange_s(self, characters: int) -> float:
        """Return how long an exchange of so many characters takes, both ways together."""
        return self.pause_s + characters * self.character_s + max(self.silence_s, self.answer_s)


def pace_of(bus: BusSettings, answer_s: float | None = None) -> Pace:
    """Return the pace of a Modbus link; `answer_s` None: assumed."""
    if not bus.unnumbered:
        return Pace(0.0, 0.0, bus.pause_s, NETWORK_ANSWER_S if answer_s is None else answer_s)
    network = NETWORK_ANSWER_S if bus.kind == "rtu_over_tcp" else 0.0
    answer = SERIAL_ANSWER_S + network if answer_s is None else answer_s
    bits = 9 + (bus.parity != "N") + bus.stop_bits
    silence = 3.5 * bits / bus.baudrate if bus.baudrate <= 19_200 else 0.00175
    return Pace(bits / bus.baudrate, silence, bus.pause_s, answer)


def pace_of_line(line: LineSettings, answer_s: float | None = None) -> Pace:
    """Return the pace of a DL/T 645 line."""
    network = NETWORK_ANSWER_S if line.kind == "tcp" else 0.0
    answer = SERIAL_ANSWER_S + network if answer_s is None else answer_s
    bits = 9 + (line.parity != "N") + line.stop_bits
    return Pace(bits / line.baudrate, 0.0, line.pause_between_s, answer)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one meter costs."""

    meter: str
    every_s: float
    """Its poll period."""
    transactions: int
    registers: int
    """0 over DL/T 645."""
    characters: int
    """Bytes on the line, both ways."""
    poll_s: float
    """Time of one poll that is answered."""
    silent_s: float
    """Time it takes to find out that it is silent, repetitions included."""
    dead_s: float
    """Time of each later attempt, without repetitions."""
    rest_s: float
    """Longest pause between two such attempts."""
    dead: bool = False

    @property
    def load(self) -> float:
        """Share of the link's time."""
        if self.dead:
            return self.dead_s / max(self.every_s, self.rest_s)
        return self.poll_s / self.every_s


@dataclass(frozen=True, slots=True)
class Budget:
    """A link and its meters."""

    link: str
    costs: tuple[Cost, ...]

    @property
    def cycle_s(self) -> float:
        """Time to read everybody once; of dead meters their later attempts."""
        return sum(one.dead_s if one.dead else one.poll_s for one in self.costs)

    @property
    def load(self) -> float:
        """Share of the time the link is busy; above 1 the periods cannot be held."""
        return sum(one.load for one in self.costs)

    @property
    def worst_slot_s(self) -> float:
        """How long a meter that falls silent holds up the others, once."""
        return max((one.silent_s for one in self.costs), default=0.0)

    @property
    def warning(self) -> str:
        """What is wrong; empty if nothing is."""
        periods = f"poll_every_s {min((c.every_s for c in self.costs), default=0):g}"
        if self.load > 1:
            return (
                f"{self.link}: {periods} cannot be held: a cycle takes {self.cycle_s:.2f} s, the"
                f" link would be busy {self.load:.0%} of the time"
            )
        if self.load > ROOM:
            return (
                f"{self.link}: {periods} leaves no room for repetitions: the link is busy"
                f" {self.load:.0%} of the time; a cycle takes {self.cycle_s:.2f} s"
            )
        return ""


def budget_of(
    bus: BusSettings, targets: Sequence[Target], dead: int = 0, answer_s: float | None = None
) -> Budget:
    """Return the budget of a Modbus bus.

    Args:
        bus: the link.
        targets: its meters.
        dead: how many of them do not answer; the last ones.
        answer_s: measured answer time; None: assumed.
    """
    pace = pace_of(bus, answer_s)
    costs = [_cost(bus, pace, one) for one in targets]
    return Budget(f"bus {bus.id}", _with_dead(costs, dead))


def _cost(bus: BusSettings, pace: Pace, target: Target) -> Cost:
    counts = [block.count for block in target.layout.blocks]
    sizes = [13 + 2 * count for count in counts]
    once = pace.pause_s + target.timeout_s + bus.wire_s(counts[0])
    return Cost(
        target.meter_id, target.every_s, len(counts), sum(counts),
        sum(sizes) if bus.unnumbered else sum(size + 8 for size in sizes),
        sum(pace.exchange_s(size) for size in sizes),
        once * (target.retries + 1), once, bus.backoff_max_s,
    )  # fmt: skip


def budget_of_line(
    line: LineSettings, targets: Sequence[Spoken], dead: int = 0, answer_s: float | None = None
) -> Budget:
    """Return the budget of a DL/T 645 line; arguments as in `budget_of`."""
    pace = pace_of_line(line, answer_s)
    costs = [_cost_on_line(line, pace, one) for one in targets]
    return Budget(f"line {line.id}", _with_dead(costs, dead))


def _cost_on_line(line: LineSettings, pace: Pace, target: Spoken) -> Cost:
    data = [_data(item) for item in target.items for _ in item.dis]
    clock = min(1.0, target.every_s / target.clock_every_s) if target.clock_every_s else 1.0
    sizes = [32 + target.wake_bytes + _WAKE_BACK + size for size in data]
    clocks = [32 + target.wake_bytes + _WAKE_BACK + size for size in _CLOCK_BYTES]
    poll = sum(pace.exchange_s(size) for size in sizes)
    poll += clock * sum(pace.exchange_s(size) for size in clocks)
    once = pace.pause_s + line.timeout_s + (16 + target.wake_bytes) * pace.character_s
    return Cost(
        target.meter_id, target.every_s, len(sizes) + (2 if clock == 1 else 0), 0,
        sum(sizes) + (sum(clocks) if clock == 1 else 0), poll,
        once * (line.retries + 1), once, line.backoff_max_s,
    )  # fmt: skip


def _data(item: Item) -> int:
    if item.rates:
        return item.size * (1 + _RATES)
    return item.size + 5 if item.timed else item.size * len(item.quantities)


def _with_dead(costs: Sequence[Cost], dead: int) -> tuple[Cost, ...]:
    alive = max(0, len(costs) - dead)
    return (*costs[:alive], *(replace(one, dead=True) for one in costs[alive:]))
