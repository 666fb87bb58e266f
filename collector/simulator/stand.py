"""A stand of simulated meters for the bench: its settings."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from collector.simulator.askedfaults import FAULTS, MODBUS, Asked
from collector.simulator.shapes import SHAPES
from collector.site import Identifier, Strict

Kind = Literal["tcp", "rtu", "rtu_over_tcp", "dlt645", "mqtt"]


def units_of(text: str) -> list[int]:
    """Return the numbers of `1-3,7`.

    Raises:
        ValueError: it is of another form, or a number is not a unit's.
    """
    found: list[int] = []
    for part in text.split(","):
        span = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if span is None:
            raise ValueError(f"{text!r}: units as 1-3,7")
        found += range(int(span[1]), int(span[2] or span[1]) + 1)
    if not found or not all(0 <= one <= 255 for one in found):
        raise ValueError(f"{text!r}: units from 0 to 255, e.g. 1-3,7")
    return list(dict.fromkeys(found))


class StandLink(Strict):
    """One simulated link and its meters."""

    id: Identifier = "bench"
    kind: Kind = "tcp"
    """`tcp`, `rtu_over_tcp`, `rtu`: Modbus; `dlt645`: at a device, else over TCP; `mqtt`."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """To listen on, 0: any free one; for `mqtt` the broker's (1883)."""
    host: str = ""
    """To listen on (127.0.0.1); for `mqtt` the broker's."""
    device: str = ""
    """For `rtu`, and `dlt645` on a serial line: the far end of the line."""
    baudrate: Annotated[int, Field(ge=300, le=921_600)] | None = None
    """9600; for `dlt645` 2400."""
    profile: Identifier = "demandwatch-sim"
    """Modbus: the map the meters show."""
    units: str = "1"
    """Modbus: their numbers, e.g. `1-3,7`."""
    addresses: tuple[Annotated[str, Field(pattern=r"^[0-9]{12}$")], ...] = ("000000000001",)
    """DL/T 645: their addresses, in quotes."""
    meters: tuple[Identifier, ...] = ("m1",)
    """MQTT: their ids; they publish to demandwatch/v1/ID/readings."""
    every_s: Annotated[float, Field(gt=0, le=3600)] = 15.0
    """MQTT: seconds between two readings."""
    protocol: Literal["5", "3.1.1"] = "5"
    """MQTT: version."""
    shape: str = "three_shift"
    """Of the load over the day."""
    peak_kw: Annotated[float, Field(gt=0)] = 80.0
    """Power at the top of the shape."""

    @field_validator("shape")
    @classmethod
    def _known(cls, shape: str) -> str:
        if shape not in SHAPES:
            raise ValueError(f"one of {', '.join(SHAPES)}")
        return shape

    @model_validator(mode="after")
    def _complete(self) -> "StandLink":
        units_of(self.units)
        if self.kind == "rtu" and not self.device:
            raise ValueError("`device` is required for kind rtu")
        if self.device and self.kind not in {"rtu", "dlt645"}:
            raise ValueError(f"`device` is not for kind {self.kind}")
        return self

    def names(self) -> list[str]:
        """Return what a fault may call the meters."""
        if self.kind in MODBUS:
            return [str(one) for one in units_of(self.units)]
        return list(self.addresses if self.kind == "dlt645" else self.meters)


class StandSettings(Strict):
    """A file for `demandwatch simulate --file`."""

    seed: int = 1
    """Same seed, same registers."""
    links: tuple[StandLink, ...] = Field(min_length=1)
    faults: tuple[str, ...] = ()
    """As `--fault`; with several links a meter is called LINK/NAME."""

    @model_validator(mode="after")
    def _sound(self) -> "StandSettings":
        ids = [one.id for one in self.links]
        if len(set(ids)) < len(ids):
            raise ValueError("each link needs an id of its own")
        for text in self.faults:
            self.hit(Asked.of(text))
        return self

    def hit(self, fault: Asked) -> list[tuple[StandLink, str]]:
        """Return whom a fault concerns: link and name.

        Raises:
            ValueError: nobody, or the fault does not happen there.
        """
        link_id, _, name = fault.who.rpartition("/")
        links = [one for one in self.links if link_id in {"", one.id}]
        found = [(one, each) for one in links for each in one.names() if name in {"all", each}]
        if not found:
            known = ", ".join(f"{one.id}/{each}" for one in self.links for each in one.names())
            raise ValueError(f"fault {fault.name}: no meter {fault.who!r}; there are {known}, all")
        for one, _each in found:
            if FAULTS[fault.name].on(one.kind) is None:
                possible = [name for name, kind in FAULTS.items() if kind.on(one.kind) is not None]
                raise ValueError(
                    f"{fault.name} does not happen over {one.kind}; there are {', '.join(possible)}"
                )
        return found
