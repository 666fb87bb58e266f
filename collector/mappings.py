"""File mapping profiles: how the columns of a CSV or Parquet file become readings."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator

from collector.quantity import COUNTERS, QUANTITIES
from collector.site import Identifier, Strict, Text
from collector.yamlfile import Fault, faults_of, load_yaml

SITE = "site"
"""Zone of a mapping whose stamps are local to each site."""


class TimeColumn(Strict):
    """The column of time stamps and what they mean."""

    column: str
    format: str = "%Y-%m-%d %H:%M:%S"
    """As of strptime. `24:00` is understood as the midnight that ends the day."""
    zone: str = "site"
    """IANA zone of the stamps; `site`: each meter's stamps are in the zone of its site."""
    stamp: Literal["start", "end", "instant"] = "instant"
    """What an interval value is stamped with; `instant` for registers and momentary values."""
    every_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    """Length of the intervals; required for interval values."""
    midnight_same_date: bool = False
    """Trap: the row that ends the day is stamped 00:00 of that same day."""

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        if zone == SITE:
            return zone
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            told = f"{zone!r} is neither an IANA time zone, e.g. Asia/Shanghai, nor `{SITE}`"
            raise ValueError(told) from None
        return zone


class ValueColumn(Strict):
    """One column of values, or (layout `meter_a_column`) all of them."""

    column: str = ""
    """Empty in layout `meter_a_column`."""
    quantity: str
    gives: Literal["register", "interval", "momentary"] = "register"
    """`interval`: what was used in each interval; it becomes a running register."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Multiplies the file's figure into the quantity's unit, e.g. 0.001 for Wh."""

    @model_validator(mode="after")
    def _fits(self) -> "ValueColumn":
        if self.quantity not in QUANTITIES:
            raise ValueError(f"no quantity {self.quantity!r}; one of {', '.join(QUANTITIES)}")
        if (self.gives == "momentary") == (self.quantity in COUNTERS):
            raise ValueError(f"{self.quantity} cannot be given as {self.gives}")
        return self


class FileMapping(Strict):
    """A mapping profile; one YAML file in the folder of mappings."""

    title: Text
    layout: Literal["one_meter", "meter_a_row", "meter_a_column"]
    meter: Identifier | None = None
    """Id of the meter, for `one_meter`; the import may name another."""
    meter_column: str = ""
    """Column of meter ids, for `meter_a_row`."""
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    """Of a CSV file; head-end systems here often export GB 18030 (GBK)."""
    time: TimeColumn
    values: Annotated[tuple[ValueColumn, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> "FileMapping":
        if self.layout == "meter_a_row" and not self.meter_column:
            raise ValueError("`meter_column` is required for layout meter_a_row")
        if self.layout == "meter_a_column" and len(self.values) != 1:
            raise ValueError("layout meter_a_column has exactly one entry in `values`")
        if self.layout != "meter_a_column" and not all(one.column for one in self.values):
            raise ValueError("each entry of `values` needs its `column`")
        intervals = any(one.gives == "interval" for one in self.values)
        if intervals and not all(one.gives == "interval" for one in self.values):
            raise ValueError("interval values and others cannot share a mapping")
        if intervals != (self.time.stamp != "instant") or intervals != bool(
            self.time.every_minutes
        ):
            raise ValueError(
                "interval values need `stamp: start` or `end` and `every_minutes`; others neither"
            )
        return self


def load_mapping(path: Path) -> tuple[FileMapping | None, list[Fault]]:
    """Read a profile; None and the faults if there are any."""
    loaded = load_yaml(path)
    if loaded.faults:
        return None, list(loaded.faults)
    try:
        return FileMapping.model_validate(loaded.data), []
    except ValidationError as error:
        return None, faults_of(error, path, loaded.lines, model=FileMapping)
