"""The faults a simulated meter can be asked for by name, on any kind of link; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collector.simulator.dlt645_manners import LineFault
from collector.simulator.faults import Trouble
from collector.simulator.wire_faults import Wire

MODBUS = frozenset({"tcp", "rtu", "rtu_over_tcp"})


class Watch(StrEnum):
    """Faults of a meter's clock."""

    AHEAD = "clock"


@dataclass(frozen=True, slots=True)
class Named:
    """A fault by the name it is asked for; None where it does not happen."""

    says: str
    modbus: Wire | Trouble | None = None
    dlt645: Wire | Trouble | LineFault | Watch | None = None
    mqtt: Trouble | None = None

    def on(self, kind: str) -> Wire | Trouble | LineFault | Watch | None:
        """Return what it is on a kind of link."""
        if kind in MODBUS:
            return self.modbus
        return self.dlt645 if kind == "dlt645" else self.mqtt


def _everywhere(says: str, trouble: Trouble) -> Named:
    return Named(says, trouble, trouble, trouble)


FAULTS: Mapping[str, Named] = {
    "timeout": Named(
        "no answer; over MQTT: publishes nothing", Wire.TIMEOUT, Wire.TIMEOUT, Trouble.SILENT
    ),
    "late": Named(
        "the answer comes VALUE seconds after its request (2); over MQTT: all at the fault's end",
        Wire.LATE, Wire.LATE, Trouble.LATE,
    ),
    "stale_transaction": Named(
        "the answer is to the request before: by its number, over DL/T 645 by its identifier",
        Wire.STALE_TRANSACTION, Wire.STALE_TRANSACTION,
    ),
    "wrong_crc": Named("the check does not fit", Wire.WRONG_CRC, Wire.WRONG_CRC),
    "partial_frame": Named(
        "only the first half of the answer, or message, comes",
        Wire.PARTIAL_FRAME, Wire.PARTIAL_FRAME, Trouble.PARTIAL,
    ),
    "stray_frame": Named(
        "somebody else's frame comes just before the answer", Wire.STRAY_FRAME, Wire.STRAY_FRAME
    ),
    "doubled": Named("everything comes twice", Wire.DOUBLED, Wire.DOUBLED, Trouble.DUPLICATE),
    "out_of_order": Named(
        "an answer goes out only after the next request; over MQTT: the younger reading first",
        Wire.OUT_OF_ORDER, None, Trouble.OUT_OF_ORDER,
    ),
    "hang_up": Named("the connection is closed instead of an answer", Wire.HANG_UP),
    "exception": Named(
        "Modbus exception VALUE (4); over DL/T 645: no such data", Wire.EXCEPTION, Wire.EXCEPTION
    ),
    "swapped_words": Named("numbers come in the other word order", Wire.SWAPPED_WORDS),
    "swapped_address": Named("the address comes last digits last", None, LineFault.SWAPPED_ADDRESS),
    "bad_digits": Named("a digit above 9 in every value", None, LineFault.BAD_DIGITS),
    "clock": Named("the meter's clock is VALUE seconds ahead (90)", None, Watch.AHEAD),
    "sentinel": _everywhere("registers show their sign for no value", Trouble.SENTINEL),
    "reset": _everywhere("the registers start again from 0", Trouble.COUNTER_RESET),
    "rollover": _everywhere("the energy register passes its end", Trouble.ROLLOVER),
    "drift": _everywhere("power and energy read 5 % too much", Trouble.DRIFT),
    "repeat": _everywhere("the values of the fault's start, again and again", Trouble.REPEAT),
}  # fmt: skip
"""Every fault that can be asked for; kinds of link where it does not happen have None."""

_TEXT = re.compile(
    r"(?P<who>[^:@\s]+):(?P<name>[a-z_]+)(=(?P<value>[0-9.]+)s?)?(/(?P<every>[1-9][0-9]*))?"
    r"(@(?P<start>[0-9.]+[smh]?)\.\.(?P<end>[0-9.]+[smh]?)?)?"
)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Asked:
    """One fault asked for."""

    who: str
    """A unit, an address, a meter, or `all`."""
    name: str
    value: float | None
    every: int
    """Each so many requests one is hit."""
    after_s: float
    for_s: float | None

    @classmethod
    def of(cls, text: str) -> "Asked":
        """Read `WHO:FAULT[=VALUE][/EVERY][@FROM..[TO]]`, e.g. `2:timeout@30s..60s`.

        Raises:
            ValueError: with what is allowed.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r}: write WHO:FAULT[=VALUE][/EVERY][@FROM..[TO]], e.g. 2:timeout@30s..60s"
            )
        if found["name"] not in FAULTS:
            raise ValueError(f"{text!r}: no such fault; there are {', '.join(FAULTS)}")
        start, end = _seconds(found["start"] or "0"), found["end"]
        if end and _seconds(end) <= start:
            raise ValueError(f"{text!r}: a fault must end after it began")
        value = None if found["value"] is None else float(found["value"])
        lasts = None if not end else _seconds(end) - start
        return cls(found["who"], found["name"], value, int(found["every"] or 1), start, lasts)


def _seconds(text: str) -> float:
    return float(text.rstrip("smh")) * _SECONDS.get(text[-1], 1.0)
