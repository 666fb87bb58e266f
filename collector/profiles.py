"""Meter profiles: which register holds which quantity, as data in config/meter-profiles/."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from collector.quantity import QUANTITIES
from collector.site import Identifier, Strict
from collector.words import WORDS, Order, Type, modulus_of
from collector.yamlfile import Fault, faults_of, load_yaml

MAX_REGISTERS = 125
"""Most registers one response can carry (Modbus Application Protocol V1.1b3, 6.3 and 6.4)."""

Address = Annotated[int, Field(ge=0, le=65535)]


def _known(name: str) -> str:
    if name not in QUANTITIES:
        raise ValueError(f"one of {', '.join(QUANTITIES)}")
    return name


class Register(Strict):
    """One quantity: value = (raw number x scale x 10^scale_register + offset) x ratio."""

    quantity: Annotated[str, AfterValidator(_known)]
    """Column of READING it fills; the unit after scaling is the column's."""
    address: Address
    """Protocol address of the first word, counted from 0 (a datasheet's 30001 or 40001 is 0)."""
    type: Type
    function: Literal[3, 4] | None = None
    """3 holding, 4 input registers; None: the profile's."""
    word_order: Order | None = None
    """`big`: the most significant word comes first; None: the profile's."""
    byte_order: Order | None = None
    """Bytes inside a word; the protocol says big, a few meters differ; None: the profile's."""
    scale: float = 1.0
    scale_register: Address | None = None
    """Where the meter tells the power of ten (signed 16-bit, SunSpec style); read in the same
    request and by the same function as the value. 0x8000 there means "no value"."""
    plus: tuple[Address, ...] = ()
    """Further registers of the same kind whose numbers are added, where a meter tells a total by
    its parts only, e.g. one register a tariff. Sentinels and bad digits of a part are the sum's."""
    offset: float = 0.0
    sentinels: tuple[int, ...] = ()
    """Raw words, as one unsigned number, that mean "no value", e.g. 0x7FFFFFFF."""
    secondary: bool = False
    """The meter shows values behind its transformers: multiply by the CT and PT ratio in force."""
    group: str = ""
    """Registers of one group are read in one request, so that they belong to one moment."""
    modulus: Annotated[float, Field(gt=0)] | None = None
    """Value, after scaling, at which a counter rolls over to 0, where the maker states one; None:
    the width of the type decides (see `rollover`)."""
    note: str = ""

    @model_validator(mode="after")
    def _inside(self) -> "Register":
        if self.span[1] > 65536:
            raise ValueError("a register must end at address 65535 or before")
        if self.scale == 0:
            raise ValueError("`scale` other than 0")
        return self

    @property
    def end(self) -> int:
        """First address behind the register."""
        return self.address + WORDS[self.type]

    @property
    def rollover(self) -> float | None:
        """Value, after scaling, at which the counter starts again at 0; None: not known.

        Stated by the maker, else what an unsigned or decimal register of this width can hold; a sum
        of registers has none, for each part starts again by itself.
        """
        if self.modulus is not None or self.scale_register is not None or self.plus:
            return None if self.plus else self.modulus
        width = modulus_of(self.type)
        return None if width is None else width * abs(self.scale)

    @property
    def span(self) -> tuple[int, int]:
        """First address and first address behind what must be read for this value."""
        starts = (self.address, *self.plus)
        first, behind = min(starts), max(starts) + WORDS[self.type]
        if self.scale_register is None:
            return first, behind
        return min(first, self.scale_register), max(behind, self.scale_register + 1)


class Identity(Strict):
    """Who the meter says it is: read by hand or by the integrator's tools, never as a quantity."""

    what: Literal["maker", "model", "serial_number", "firmware", "hardware"]
    address: Address
    type: Literal["ascii"] | Type
    words: Annotated[int, Field(ge=1, le=64)] | None = None
    """Length of `ascii`; the other types know theirs."""
    function: Literal[3, 4] | None = None
    """None: the profile's."""
    word_order: Order | None = None
    byte_order: Order | None = None
    expect: tuple[str | int, ...] = ()
    """What meters of this profile answer, whole; empty: anything."""
    prefix: str = ""
    """What the text of an `ascii` answer begins with."""
    note: str = ""

    @model_validator(mode="after")
    def _length(self) -> "Identity":
        if (self.type == "ascii") != (self.words is not None):
            raise ValueError("`words` for type ascii, and for no other")
        if self.address + self.size > 65536:
            raise ValueError("a register must end at address 65535 or before")
        return self

    @property
    def size(self) -> int:
        """How many words it fills."""
        return self.words or WORDS[self.type]


class Profile(Strict):
    """The register map of one meter model."""

    id: Identifier
    title: str
    reference: str
    """Where the map is written: datasheet, edition, address on the web."""
    function: Literal[3, 4] = 3
    word_order: Order = "big"
    byte_order: Order = "big"
    max_registers: Annotated[int, Field(ge=4, le=MAX_REGISTERS)] = MAX_REGISTERS
    """Most registers the meter answers in one request; the bus may say less."""
    max_gap: Annotated[int, Field(ge=0, le=124)] | None = None
    """Most unused registers that may be read along: 0 where the meter refuses a request that
    touches one it does not have; None: the bus decides."""
    forbidden: tuple[tuple[Address, Address], ...] = ()
    """Address ranges, first and last, that must not be read along: some meters answer none."""
    registers: tuple[Register, ...] = Field(min_length=1)
    identity: tuple[Identity, ...] = ()
    note: str = ""
    """What is not certain, what was left out and why, and how the meter must be set."""

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        names = [one.quantity for one in self.registers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"each quantity once; given twice: {', '.join(twice)}")
        if bad := [pair for pair in self.forbidden if pair[1] < pair[0]]:
            raise ValueError(f"`forbidden` ranges as [first, last]; not {bad}")
        for group, (_, first, end) in self.spans().items():
            if end - first > self.max_registers:
                raise ValueError(
                    f"group {group!r} within {self.max_registers} registers; it spans {end - first}"
                )
            if any(low < end and first <= high for low, high in self.forbidden):
                raise ValueError(f"group {group!r} clear of every `forbidden` range")
            functions = {self.function_of(r) for r in self.registers if r.group == group}
            if len(functions) > 1:
                raise ValueError(f"group {group!r} read by one function, not by 3 and 4")
        return self

    def function_of(self, register: Register) -> int:
        """Return the function code that reads `register`."""
        return register.function or self.function

    def spans(self) -> dict[str, tuple[int, int, int]]:
        """Return what must be read in one piece: name -> (function, first address, end).

        A register without a group stands for itself, under its quantity in angle brackets.
        """
        found: dict[str, tuple[int, int, int]] = {}
        for one in self.registers:
            name = one.group or f"<{one.quantity}>"
            low, high = one.span
            _, first, end = found.get(name, (0, low, high))
            found[name] = (self.function_of(one), min(first, low), max(end, high))
        return found

    def rollover_of(self, quantity: str) -> tuple[float, bool] | None:
        """Return (value at which the register starts again at 0, secondary), None if not known."""
        for one in self.registers:
            if one.quantity == quantity and one.rollover is not None:
                return one.rollover, one.secondary
        return None


@dataclass(frozen=True, slots=True)
class Profiles:
    """All profiles of a folder, by id, and what was wrong with the others."""

    by_id: Mapping[str, Profile]
    faults: tuple[Fault, ...]


def load_profiles(folder: Path) -> Profiles:
    """Read every `*.yaml` of `folder`; a file's name is its profile's id."""
    found: dict[str, Profile] = {}
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.yaml")):
        loaded = load_yaml(path)
        faults += loaded.faults
        if loaded.faults:
            continue
        try:
            profile = Profile.model_validate(loaded.data)
        except ValidationError as error:
            faults += faults_of(error, path, loaded.lines, model=Profile)
            continue
        if profile.id != path.stem:
            line = loaded.lines.get(("id",), 0)
            faults.append(Fault(path, line, "id", f"cannot be {profile.id!r}", f"{path.stem!r}"))
        found[profile.id] = profile
    if not folder.is_dir():
        faults.append(Fault(folder, 0, "", "no such folder", "a folder of meter profiles"))
    return Profiles(found, tuple(faults))
