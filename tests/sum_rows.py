"""Sites and INTERVAL rows in a few words, for the tests of sums."""

from datetime import UTC, datetime, timedelta

import polars as pl

from collector.site import Site
from processors.interval import INTERVAL

START = datetime(2026, 3, 1, 8, tzinfo=UTC)


def site(name, *meters, **facts):
    """A site of meters told as `id`, `id:role` or dicts."""
    listed = [
        one
        if isinstance(one, dict)
        else {"id": one.split(":")[0], "role": [*one.split(":"), "main"][1]}
        for one in meters
    ]
    told = {"name": {"zh": name, "en": name}, "kind": "factory", "district": "north"}
    return Site.model_validate({"id": name, **told, "meters": listed, **facts})


def row(meter, kwh, block=0, first=START, **facts):
    """One INTERVAL row as a dict, so many blocks after `first`; `known` minutes after START."""
    start = first + timedelta(minutes=15 * block)
    return {
        "meter_id": meter,
        "start": start,
        "end": start + timedelta(minutes=15),
        "energy_kwh": kwh,
        "coverage": 0.0 if kwh is None else 1.0,
        "quality": "missing" if kwh is None else "measured",
        "flags": [],
        "revision": 0,
        "computed_at": START + timedelta(minutes=facts.pop("known", 0)),
    } | facts


def frame(rows):
    return pl.DataFrame([{name: one.get(name) for name in INTERVAL} for one in rows], INTERVAL)
