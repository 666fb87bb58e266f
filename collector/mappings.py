"""File mapping profiles: how the columns of a CSV, Excel or Parquet file become readings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator

from collector.quantity import COUNTERS, QUANTITIES
from collector.site import Identifier, Strict, Text
from collector.units import factor
from collector.yamlfile import Fault, faults_of, load_yaml

SITE = "site"
"""Zone of a mapping whose stamps are local to each site."""


class TimeColumn(Strict):
    """The column of time stamps and what they mean."""

    column: str
    """Heading of the column of dates and times; of the dates where `clock_column` has the times."""
    clock_column: str = ""
    """Heading of the column of times of day; joined to the date by one space."""
    format: str = "%Y-%m-%d %H:%M:%S"
    """As of strptime; `excel` (days since 1899-12-30), `epoch_s` and `epoch_ms` (since 1970, UTC).
    `24:00` is understood as the midnight that ends the day. A format with `%z` carries its own
    offset, and `zone` is not used. Real date cells of Excel and Parquet need no format."""
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
    """Multiplies the file's figure, beside its unit, e.g. a CT ratio the export left out."""
    unit: str = ""
    """Unit of the file's figures, e.g. MWh; empty: the quantity's own. Interval values may be mean
    powers (kW): the energy is the mean times the interval."""

    @model_validator(mode="after")
    def _fits(self) -> "ValueColumn":
        if self.quantity not in QUANTITIES:
            raise ValueError(f"no quantity {self.quantity!r}; one of {', '.join(QUANTITIES)}")
        if (self.gives == "momentary") == (self.quantity in COUNTERS):
            raise ValueError(f"{self.quantity} cannot be given as {self.gives}")
        factor(self.quantity, self.unit, 60 if self.gives == "interval" else None)
        return self


class FileMapping(Strict):
    """A mapping profile; one YAML file in the folder of mappings."""

    title: Text
    layout: Literal["one_meter", "meter_a_row", "meter_a_column"]
    meter: Identifier | None = None
    """Id of the meter, for `one_meter`; the import may name another."""
    meter_column: str = ""
    """Column of meter ids, for `meter_a_row`."""
    meter_ids: Mapping[str, Identifier] = {}
    """Meter ids by what the file calls the meters, where that is something else."""
    ignore_columns: tuple[str, ...] = ()
    """Columns that are no meter, for `meter_a_column`, e.g. remarks."""
    encoding: Literal["utf-8", "gb18030", "utf-16"] = "utf-8"
    """Of a CSV file; head-end systems here often export GB 18030 (GBK). A byte order mark is
    understood."""
    separator: Literal[",", ";", "\t", "|"] = ","
    """Between the columns of a CSV file."""
    decimal_comma: bool = False
    """Figures are written 1234,5."""
    thousands: Literal["", ",", ".", " ", "'"] = ""
    """Sign between groups of three digits; a figure grouped otherwise is refused."""
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    """Lines above the line of headings, e.g. a title."""
    sheet: str = ""
    """Name of an Excel workbook's sheet; required if there are several."""
    missing: tuple[str, ...] = ("",)
    """What stands in a cell that has no value; such a cell is no fault and never a zero."""
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
        self._signs()
        intervals = any(one.gives == "interval" for one in self.values)
        names = {one.quantity for one in self.values}
        if intervals and "reactive_import_kvarh" in names and "energy_import_kwh" not in names:
            raise ValueError("interval values of reactive_import_kvarh need energy_import_kwh too")
        if len(names) != len(self.values):
            raise ValueError("two entries of `values` give the same quantity")
        if intervals and not all(one.gives == "interval" for one in self.values):
            raise ValueError("interval values and others cannot share a mapping")
        if intervals != (self.time.stamp != "instant") or intervals != bool(
            self.time.every_minutes
        ):
            raise ValueError(
                "interval values need `stamp: start` or `end` and `every_minutes`; others neither"
            )
        return self

    def _signs(self) -> None:
        """Check that no sign means two things.

        Raises:
            ValueError: one does.
        """
        decimal = "," if self.decimal_comma else "."
        if self.thousands == decimal:
            raise ValueError(f"`thousands: {decimal!r}` is the decimal sign too: see decimal_comma")


def load_mapping(path: Path) -> tuple[FileMapping | None, list[Fault]]:
    """Read a profile; None and the faults if there are any."""
    loaded = load_yaml(path)
    if loaded.faults:
        return None, list(loaded.faults)
    try:
        return FileMapping.model_validate(loaded.data), []
    except ValidationError as error:
        return None, faults_of(error, path, loaded.lines, model=FileMapping)
