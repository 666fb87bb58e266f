"""PURE. Decodes the register words of a package anew and compares them with its readings."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from alerting.evidence.material import Material
from collector.polls import Ratios
from collector.profiles import Profile
from collector.redecode import decoded, polls_alike, unlike
from collector.site import Meter, ModbusSource


def word_differences(material: Material, limit: int = 20) -> list[str]:
    """Return where readings are not what their register words say, at most `limit` sentences.

    Decodes with the package's own profiles and the site's CT and PT ratios. Readings without words
    (`keep_raw` off, or another kind of source) are not looked at.
    """
    told = [text for meter in material.site.meters for text in _of_meter(material, meter)]
    more = len(told) - limit
    return [*told[:limit], f"and {more} more readings"] if more > 0 else told


def _of_meter(material: Material, meter: Meter) -> Iterator[str]:
    mine = pl.col("meter_id") == meter.id
    rows = material.readings.filter(mine, pl.col("register_words").is_not_null())
    if rows.is_empty():
        return
    source = meter.source
    known = {one.id: one for one in material.profiles}
    profile = known.get(source.profile) if isinstance(source, ModbusSource) else None
    if profile is None:
        yield f"meter {meter.id}: the package holds register words but no profile to decode them"
        return
    ratios = Ratios.of(material.site, meter)
    for part in polls_alike(rows):
        yield from _of_plan(part, profile, ratios)


def _of_plan(rows: pl.DataFrame, profile: Profile, ratios: Ratios) -> Iterator[str]:
    meter = rows["meter_id"][0]
    try:
        values = decoded(rows, profile, ratios)
    except ValueError as error:
        yield f"meter {meter}: its register words cannot be decoded: {error}"
        return
    for name, said in values.items():
        stated = rows[name].cast(pl.Float64).to_numpy()
        for row in np.flatnonzero(unlike(rows[name], said)):
            at = rows["measured_at"][int(row)]
            yield (
                f"reading {meter} {at:%Y-%m-%d %H:%M:%S}Z: {name} is {_figure(stated[row])},"
                f" its register words say {_figure(said[row])}"
            )


def _figure(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.15g}"
