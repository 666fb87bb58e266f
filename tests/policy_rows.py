"""DAY rows and sites in a few words, for the tests of intensity, verdicts and accounts."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from processors.history.days import DAY

REPO = Path(__file__).parent.parent
SHENZHEN = ZoneInfo("Asia/Shanghai")


def at(day: date, zone: ZoneInfo = SHENZHEN) -> datetime:
    """Return the first instant of a local day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_rows(
    meter: str,
    first: date,
    until: date,
    kwh: float | Callable[[date], float | None],
    **columns: object,
) -> pl.DataFrame:
    """Return DAY rows of `[first, until)`, whole and measured unless `columns` say otherwise."""
    days = [first + timedelta(days=n) for n in range((until - first).days)]
    energy = [kwh(day) if callable(kwh) else kwh for day in days]
    known = [one is not None for one in energy]
    values: dict[str, object] = {
        "meter_id": meter,
        "day": days,
        "start": [at(day) for day in days],
        "end": [at(day + timedelta(days=1)) for day in days],
        "energy_kwh": energy,
        "coverage": [1.0 if one else 0.0 for one in known],
        "estimated_share": [0.0 if one else None for one in known],
        "zero_share": [None if one is None else float(one == 0.0) for one in energy],
        "blocks": [96 if one else 0 for one in known],
        "blocks_expected": 96,
        "revision": 0,
        "computed_at": at(until),
    } | columns
    return pl.DataFrame(
        {name: values[name] if name in values else pl.Series([None] * len(days)) for name in DAY}
        if len(days) > 1
        else {name: values.get(name) for name in DAY}
    ).select(pl.col(name).cast(kind) for name, kind in DAY.items())


def site(**over: object) -> Site:
    """Return a hotel of 1000 m2 with one verified main meter `m`."""
    return Site.model_validate(
        {
            "id": "s",
            "name": {"zh": "某", "en": "One"},
            "kind": "lodging",
            "use": "hotel",
            "district": "d",
            "floor_area_m2": [{"from": "2010-01-01", "value": 1000, "declared_by": "owner"}],
            "meters": [meter("m")],
        }
        | over
    )


def meter(name: str, **over: object) -> dict[str, object]:
    """Return the settings of a verified meter."""
    return {
        "id": name,
        "verification": {"certificate": "c", "valid_until": "2040-01-01"},
    } | over
