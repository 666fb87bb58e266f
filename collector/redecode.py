"""Readings from the register words kept beside them, by the map and ratios in force now; pure."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from collector.polls import Ratios, micros
from collector.profiles import Profile
from collector.rawwords import layouts, read
from collector.reading import KEY, conform
from collector.registers import arranged, decode
from collector.words import Bools, Floats

_RELATIVE = 1e-12
"""Another machine's floating point may differ in the last digit, no more."""


def polls_alike(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the READING rows with words, those of one plan of requests together."""
    kept = rows.filter(pl.col("register_words").is_not_null())
    for _, part in kept.group_by(layouts(kept["register_words"]), maintain_order=True):
        yield part


def decoded(rows: pl.DataFrame, profile: Profile, ratios: Ratios) -> dict[str, Floats]:
    """Return each quantity as the words say it, NaN for none, row by row as `rows`.

    Args:
        rows: READING rows of one meter and one plan of requests.
        profile: the register map.
        ratios: the meter's, each row with those in force when it was read.

    Raises:
        ValueError: the words are no words, or others than the profile needs.
    """
    blocks, words = read(rows["register_words"].to_list())
    layout = arranged(profile, blocks)
    in_force = np.array([ratios.at(micros(at)) for at in rows["measured_at"]])
    values, _ = decode(layout, words, {"ct": in_force[:, 0], "pt": in_force[:, 1]})
    return values


def unlike(stated: pl.Series, said: Floats) -> Bools:
    """Return the rows whose stated figure is not the one the words say."""
    known = stated.cast(pl.Float64).to_numpy()
    same: Bools = np.isclose(known, said, rtol=_RELATIVE, atol=0.0, equal_nan=True)
    return ~same


def corrected(rows: pl.DataFrame, profile: Profile, ratios: Ratios) -> pl.DataFrame:
    """Return the readings that the words now say otherwise, with what they say.

    A quantity the map no longer has keeps what was stated. Of several versions of a reading the
    latest received counts.

    Args:
        rows: READING rows of one meter.
        profile: see decoded.
        ratios: see decoded.

    Returns:
        READING rows; `source` and `received_at` are those of the reading corrected.

    Raises:
        ValueError: words that this profile cannot be the map of.
    """
    latest = conform(rows).sort("received_at").unique(KEY, keep="last", maintain_order=True)
    found = []
    for part in polls_alike(latest):
        values = decoded(part, profile, ratios)
        wrong = np.any([unlike(part[name], said) for name, said in values.items()], axis=0)
        said = [pl.Series(name, value).fill_nan(None) for name, value in values.items()]
        found.append(part.with_columns(said).filter(pl.Series(wrong)))
    return pl.concat([latest.clear(), *map(conform, found)])
