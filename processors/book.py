"""The book: what the arithmetic must know of each meter, as frames, vectorised over meters."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs

from collector.polls import Ratios
from collector.reading import UTC_US
from collector.site import Meter, MqttSource, Site
from collector.validation import Validation, limit, resolved

BOOK: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "site_id": pl.String(),
    "district": pl.String(),
    "timezone": pl.String(),
    "is_main": pl.Boolean(),
    "rated_power_kw": pl.Float64(),
    "register_modulus_kwh": pl.Float64(),
    "max_interpolation_gap_s": pl.Int64(),
    "counts": pl.Boolean(),
}
"""One row a meter. Of a meter that `counts` output, rated power and modulus are in counts."""

CHANGE: dict[str, pl.DataType] = {
    "meter_id": pl.String(),
    "at": UTC_US,
    "kind": pl.String(),
    "final_kwh": pl.Float64(),
    "start_kwh": pl.Float64(),
}
"""One row a change: from `at` on the register is another one; `kind` is `meter` or `ratio`; null
registers were not declared."""

RULES: dict[str, pl.DataType] = {
    "range_share": pl.Float64(),
    "spike_share": pl.Float64(),
    "decrease": pl.Boolean(),
    "stuck_kwh": pl.Float64(),
    "phase_share": pl.Float64(),
    "phase_floor_kw": pl.Float64(),
    "power_share": pl.Float64(),
    "power_floor_kwh": pl.Float64(),
    "power_readings": pl.Int64(),
    "clock_s": pl.Float64(),
    "sum_kwh": pl.Float64(),
    "linear_s": pl.Float64(),
    "prolonged_s": pl.Float64(),
    "longest_s": pl.Float64(),
}
"""One row a meter: the limits of `collector.validation`; null where the rule is off."""

_FOR_EVER_S = 400.0 * 86_400.0
_ANY_COUNT = 1e12
"""An hour's counts that nothing exceeds: nobody said how fast the counter may be."""


@dataclass(frozen=True)
class Book:
    """Immutable facts of all meters; replaced whole when the settings are reloaded."""

    meters: pl.DataFrame
    """One row a meter, schema BOOK, sorted by meter_id."""
    changed: pl.DataFrame | None = None
    """Schema CHANGE, sorted by meter_id and instant; None: nothing changed."""
    limits: pl.DataFrame | None = None
    """Schema RULES, row by row as `meters`; None: the defaults for all."""

    @classmethod
    def of(cls, sites: Iterable[Site]) -> "Book":
        """Build the book of `sites`."""
        pairs = sorted(
            ((site, meter) for site in sites for meter in site.meters), key=lambda one: one[1].id
        )
        changes = [row for site, meter in pairs for row in _changes(site, meter)]
        known = {Validation(): _limits(resolved())}
        limits = []
        for site, meter in pairs:
            own = Validation()
            if site.validation != own or meter.validation != own:
                limits.append(_limits(resolved(site.validation, meter.validation)))
            else:
                limits.append(known[own])
        rows = [_row(site, meter) for site, meter in pairs]
        return cls(
            pl.DataFrame(rows, schema=BOOK, orient="row"),
            pl.DataFrame(changes, schema=CHANGE, orient="row"),
            pl.DataFrame(limits, schema=RULES, orient="row"),
        )

    @cached_property
    def ids(self) -> pl.Enum:
        """Return the meters' ids as a type whose physical value is the meter's row."""
        return pl.Enum(self.meters["meter_id"])

    @cached_property
    def counting(self) -> list[str]:
        """Return the meters whose register counts output."""
        return self.meters.filter("counts")["meter_id"].to_list()

    @cached_property
    def rules(self) -> pl.DataFrame:
        """Return the limits of each meter, schema RULES, row by row as `meters`."""
        if self.limits is not None:
            return self.limits
        one = pl.DataFrame([_limits(resolved())], schema=RULES, orient="row")
        return one.select(pl.all().repeat_by(self.meters.height).explode())

    @cached_property
    def numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the numeric facts and limits by name, indexed by the meter's row; NaN for null."""
        whole = pl.concat([self.meters, self.rules], how="horizontal")
        floats = whole.select(
            (cs.numeric() | cs.boolean()).cast(pl.Float64).fill_null(float("nan"))
        )
        return {one.name: one.to_numpy() for one in floats}

    @cached_property
    def changes(self) -> pl.DataFrame:
        """Return the meters' changes, schema CHANGE, with `code`, their row in the book."""
        told = pl.DataFrame(schema=CHANGE) if self.changed is None else self.changed
        rows = self.meters.select("meter_id").with_row_index("code").cast({"code": pl.Int64})
        return told.join(rows, on="meter_id").sort("code", "at")


def _row(site: Site, meter: Meter) -> tuple[object, ...]:
    return (
        meter.id,
        site.id,
        site.district,
        site.timezone,
        meter.role == "main",
        *_bounds(meter),
        meter.max_interpolation_gap_s,
        meter.role == "count",
    )


def _bounds(meter: Meter) -> tuple[float | None, float | None]:
    """Return the most a register gains in an hour, and where it starts again at 0."""
    if meter.counts is not None:
        return meter.counts.max_per_hour or _ANY_COUNT, meter.counts.modulus
    return meter.rated_power_kw, meter.register_modulus_kwh


def _changes(site: Site, meter: Meter) -> Iterator[tuple[object, ...]]:
    """Yield CHANGE rows: the declared ones, and each step of a ratio that readers multiply by."""
    declared = {one.at.astimezone(UTC) for one in meter.changes}
    for one in meter.changes:
        yield (meter.id, one.at.astimezone(UTC), one.kind, one.final_kwh, one.start_kwh)
    source = meter.source
    told_primary = isinstance(source, MqttSource) and source.side != "secondary"
    steps = len(meter.ct_ratio) + len(meter.pt_ratio)
    if source.via == "file" or told_primary or steps < 2:
        return
    ratios = Ratios.of(site, meter)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    known = list(zip(ratios.since_us, ratios.ct, ratios.pt, strict=True))
    for before, now in pairwise(known):
        at = epoch + timedelta(microseconds=now[0])
        if before[1] * before[2] != now[1] * now[2] and at not in declared:
            yield (meter.id, at, "ratio", None, None)


def _limits(rules: Validation) -> tuple[object, ...]:
    def of(rule: str, field: str) -> float | None:
        return limit(rules, rule, field)

    linear_h, prolonged_d = of("estimation", "linear_hours"), of("estimation", "prolonged_days")
    longest_d = of("estimation", "longest_days")
    return (
        of("range", "share"),
        of("spike", "share"),
        of("decrease", "enabled") is not None,
        of("stuck", "min_kwh"),
        of("phase_sum", "share"),
        of("phase_sum", "floor_kw"),
        of("energy_power", "share"),
        of("energy_power", "floor_kwh"),
        of("energy_power", "min_readings"),
        of("clock_offset", "max_s"),
        of("sum_check", "tolerance_kwh"),
        None if linear_h is None else linear_h * 3600.0,
        None if prolonged_d is None else prolonged_d * 86_400.0,
        _FOR_EVER_S if longest_d is None else longest_d * 86_400.0,
    )
