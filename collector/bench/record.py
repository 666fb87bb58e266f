"""What a conformity report rests on: the map, the link and every word that was read."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from collector.bench.dltlook import look_of_items
from collector.bench.look import Look, Ratio, Reading, look_of
from collector.identity import Identified
from collector.profiles import Profile
from collector.site import Strict


class Told(Strict):
    """One thing the meter said of itself."""

    what: str
    value: str
    expected: bool | None

    def identified(self) -> Identified:
        """Return it as the ranking takes it."""
        return Identified(self.what, self.value, self.expected)


class Longest(Strict):
    """How much comes in one answer, found by trying."""

    function: int
    start: int
    count: int
    why: str
    """What stopped more."""


class Record(Strict):
    """Everything measured; the judgement can be made anew from it, without the meter."""

    meter: str
    where: str
    """Address of the link."""
    unit: int | None = None
    """Modbus."""
    address: str = ""
    """DL/T 645."""
    profile: Profile | None = None
    """The whole map, so that nobody needs the file it came from; None: DL/T 645."""
    zone: str = "Asia/Shanghai"
    """In which a DL/T 645 meter's clock runs."""
    ct: Annotated[float, Field(gt=0)] = 1.0
    pt: Annotated[float, Field(gt=0)] = 1.0
    rated_power_kw: Annotated[float, Field(gt=0)] | None = None
    """Greatest power the connection can carry; None: not stated."""
    timeout_s: float = 1.0
    """Longest wait for an answer during the measurement."""
    readings: tuple[Reading, ...] = Field(min_length=1)
    identities: tuple[Told, ...] = ()
    longest: tuple[Longest, ...] = ()
    """Empty: not tried."""
    max_clock_offset_s: float = 60.0
    """Limit the clock is held to; ours, not a law's."""

    @property
    def ratio(self) -> Ratio:
        """The transformers."""
        return Ratio(self.ct, self.pt)

    def looks(self) -> list[Look]:
        """Decode the readings."""
        if self.profile is None:
            return [look_of_items(one, ZoneInfo(self.zone), self.ratio) for one in self.readings]
        return [look_of(self.profile, one, self.ratio) for one in self.readings]
