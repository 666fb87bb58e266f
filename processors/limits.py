"""Bounds of the arithmetic: what a register may gain, and each meter's limits as arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.book import Book

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LOOK = 4
"""A fallen register that is back within this many readings dipped; otherwise it was reset."""
HOUR_US = 3_600_000_000
DEFAULT_RATED_KW = 100_000.0
"""Bound for a meter whose rated power nobody declared: larger than any single connection."""
NOISE_KWH = 1e-6
"""A register that falls by no more did not fall: that is arithmetic noise of the device."""


def plausible_gain_kwh(rated_kw: Floats, span_us: Ints, share: Floats | float = 1.2) -> Floats:
    """Return the most a register may gain over `span_us`: `share` x rated power x time, plus slack.

    The slack, the larger of 1 kWh and 2 minutes at rated power, is a coarse register's last digit.
    """
    return share * rated_kw * span_us / HOUR_US + np.maximum(1.0, rated_kw / 30.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Per-meter bounds, indexed by meter code."""

    rated_kw: Floats
    modulus_kwh: Floats
    """NaN where the register is not known to roll over."""
    gap_us: Ints
    """Longest gap that still counts as measured."""
    spike_share: Floats
    """Of rated power; 1.2 where the rule is off, for it also bounds a rollover."""
    spike: Bools
    """The rule `spike` is on."""
    decrease: Bools
    """The rule `decrease` is on."""
    longest_us: Ints
    """A gap longer than this is not spread."""
    prolonged_us: Floats
    """A gap longer than this is flagged."""


def limits_of(book: Book) -> Limits:
    """Return the book's per-meter bounds as arrays indexed by the meter's row in the book."""
    facts = book.numbers
    rated, share = facts["rated_power_kw"], facts["spike_share"]
    prolonged = facts["prolonged_s"]
    return Limits(
        rated_kw=np.where(np.isnan(rated), DEFAULT_RATED_KW, rated),
        modulus_kwh=facts["register_modulus_kwh"],
        gap_us=(facts["max_interpolation_gap_s"] * 1e6).astype(np.int64),
        spike_share=np.where(np.isnan(share), 1.2, share),
        spike=~np.isnan(share),
        decrease=facts["decrease"] > 0,
        longest_us=(facts["longest_s"] * 1e6).astype(np.int64),
        prolonged_us=np.where(np.isnan(prolonged), np.inf, prolonged * 1e6),
    )
