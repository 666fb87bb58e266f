"""Data items: which identifiers carry which quantities, and how many digits they have; pure.

Formats from DL/T 645-2007, appendix A: tables A.1 (energy, XXXXXX.XX), A.2 (maximum demand and its
time, XX.XXXX and YYMMDDhhmm), A.3 (variables). Powers, currents, power factors and the running
demand carry their direction in the top bit. Values are those of the meter's terminals: CT and PT
ratios come later.

Combined reactive energy 1 and 2 (00030000, 00040000) is left out: which quadrants they add depends
on the meter's feature words 04000602 and 04000603, and meters are set differently. The quadrants
themselves are unmistakable: I and II are drawn (OBIS 3.8.0), III and IV fed back (OBIS 4.8.0).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from collector.dlt645 import bcd
from collector.dlt645.meterclock import minute, minute_bytes

_PHASES = ("a", "b", "c")
_TIME_BYTES = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a meter may be asked for."""

    name: str
    """As a meter's settings list it."""
    dis: tuple[int, ...]
    """Identifiers DI3 DI2 DI1 DI0, one request each; FF in one place asks for the block of all
    items there. The values of several requests are summed."""
    quantities: tuple[str, ...]
    """What the values are, in the answer's order."""
    size: int
    """Bytes of one value."""
    decimals: int
    signed: bool = False
    rates: bool = False
    """The answer has as many values as the meter has rates and one for the total; those beyond
    rate 4 are passed over. Else it has exactly `quantities`."""
    timed: bool = False
    """The number is followed by when it occurred, five bytes to the minute."""

    def label(self, di: int) -> str:
        """Return name and identifier, for messages."""
        return f"{self.name} ({di:08X})"


def _energy(way: str, di: int) -> list[Item]:
    total = f"energy_{way}_kwh"
    rates = tuple(f"energy_{way}_t{rate}_kwh" for rate in range(1, 5))
    return [
        Item(f"energy_{way}", (di | 0xFF00,), (total, *rates), 4, 2, rates=True),
        Item(f"energy_{way}_total", (di,), (total,), 4, 2),
    ]


def _phased(name: str, di: int, size: int, decimals: int, unit: str, *, signed: bool) -> list[Item]:
    each = [f"{name}_{phase}_{unit}" for phase in _PHASES]
    single = [
        Item(f"{name}_{phase}", (di | index << 8,), (each[index - 1],), size, decimals, signed)
        for index, phase in enumerate(_PHASES, 1)
    ]
    return [Item(name, (di | 0xFF00,), tuple(each), size, decimals, signed), *single]


def _rows() -> list[Item]:
    powers = ("power_kw", "power_a_kw", "power_b_kw", "power_c_kw")
    demand = ("demand_register_kw", "demand_register_at_s")
    return [
        *_energy("import", 0x00010000),
        *_energy("export", 0x00020000),
        Item("reactive_import", (0x00050000, 0x00060000), ("reactive_import_kvarh",), 4, 2),
        Item("reactive_export", (0x00070000, 0x00080000), ("reactive_export_kvarh",), 4, 2),
        Item("demand_register", (0x01010000,), demand, 3, 4, timed=True),
        *_phased("voltage", 0x02010000, 2, 1, "v", signed=False),
        *_phased("current", 0x02020000, 3, 3, "a", signed=True),
        Item("power", (0x0203FF00,), powers, 3, 4, signed=True),
        Item("power_total", (0x02030000,), ("power_kw",), 3, 4, signed=True),
        Item("reactive_power", (0x02040000,), ("reactive_power_kvar",), 3, 4, signed=True),
        Item("apparent_power", (0x02050000,), ("apparent_power_kva",), 3, 4, signed=True),
        Item("power_factor", (0x02060000,), ("power_factor",), 2, 3, signed=True),
        Item("frequency", (0x02800002,), ("frequency_hz",), 2, 2),
        Item("demand", (0x02800004,), ("demand_kw",), 3, 4, signed=True),
    ]


ITEMS: dict[str, Item] = {row.name: row for row in _rows()}
"""Every item a meter may be asked for, in the order of asking: registers first, for their instant
matters most."""
DEFAULT = (
    "energy_import", "energy_export", "voltage", "current", "power", "reactive_power",
    "power_factor",
)  # fmt: skip
"""What every three-phase multi-function meter has."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value that was read but cannot be believed."""

    quantity: str
    reason: str
    """`not_bcd`, or `dlt645_error`: the answer has another length."""
    text: str


Values = Mapping[str, float | None]


def decode(
    item: Item, payloads: Sequence[bytes], zone: ZoneInfo
) -> tuple[dict[str, float], list[Doubt]]:
    """Return the values that one item's answers state, and those in doubt.

    Args:
        item: what was asked for.
        payloads: what followed the identifier, one of each of `item.dis`.
        zone: in which the meter's clock runs.

    Returns:
        Secondary values by quantity; what the meter marks as absent (FFH) is left out. A sum is
        stated only if every part is.
    """
    parts = []
    for payload in payloads:
        fault = _fault(item, payload)
        if fault is not None:
            return {}, [Doubt(item.quantities[0], "dlt645_error", fault)]
        parts.append(_values(item, payload, zone))
    doubts = [one for part in parts for one in part.values() if isinstance(one, Doubt)]
    values: dict[str, float] = {}
    for name in item.quantities:
        stated = [part.get(name) for part in parts]
        numbers = [one for one in stated if isinstance(one, float)]
        if len(numbers) == len(parts):
            values[name] = sum(numbers)
    return values, doubts


def _fault(item: Item, payload: bytes) -> str | None:
    """Return why the answer's length cannot be, or None."""
    width = len(payload)
    if item.rates:
        sound = width > 0 and width % item.size == 0 and width <= 64 * item.size
        return None if sound else f"{item.name}: {width} bytes are no energies of {item.size} each"
    expected = item.size + _TIME_BYTES if item.timed else item.size * len(item.quantities)
    return None if width == expected else f"{item.name}: {width} bytes, {expected} expected"


def _values(item: Item, payload: bytes, zone: ZoneInfo) -> dict[str, float | Doubt | None]:
    found: dict[str, float | Doubt | None] = {}
    names = item.quantities[:1] if item.timed else item.quantities
    for index, name in enumerate(names):
        raw = payload[index * item.size : (index + 1) * item.size]
        if raw:  # a meter of fewer rates says fewer
            try:
                found[name] = bcd.number(raw, item.decimals, signed=item.signed)
            except bcd.NotBcdError as error:
                found[name] = Doubt(name, "not_bcd", f"{name}: {error}")
    if item.timed:
        name = item.quantities[1]
        try:
            at = minute(payload[item.size :], zone)
            found[name] = None if at is None else at.timestamp()
        except bcd.NotBcdError as error:
            found[name] = Doubt(name, "not_bcd", f"{name}: {error}")
    return found


def encode(item: Item, di: int, values: Values, zone: ZoneInfo) -> bytes:
    """Return the payload a meter would answer `di` with; for simulated meters.

    What is absent or None shows as FFH. Of a sum the first identifier carries all.
    """
    if item.timed:
        name, when = item.quantities
        at = values.get(when)
        told = None if at is None else datetime.fromtimestamp(at, UTC)
        return bcd.packed(values.get(name), item.size, item.decimals) + minute_bytes(told, zone)
    if di != item.dis[0]:
        return bcd.packed(0.0, item.size, item.decimals)
    return b"".join(
        bcd.packed(values.get(name), item.size, item.decimals, signed=item.signed)
        for name in item.quantities
    )
