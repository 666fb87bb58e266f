"""Simulated progressive surcharge (测算) over a quota, by marginal tiers. Pure.

Each tier's price is paid only for the kWh inside its band: an overrun of 25 % over tiers
0-10 % at 0.05 and 10-30 % at 0.10 yuan/kWh costs 0.10 Q x 0.05 + 0.15 Q x 0.10 (Q the quota in
kWh). The 2011 plan asks for a study of such a scheme and prints no tier: never an amount owed.
"""

import numpy as np
from numpy.typing import NDArray

from processors.policy.pack import SurchargePack

Floats = NDArray[np.float64]


def surcharge_yuan(pack: SurchargePack, quota_kwh: Floats, energy_kwh: Floats) -> Floats:
    """Return the simulated surcharge of each account.

    Args:
        pack: tiers in shares of the quota.
        quota_kwh: above 0.
        energy_kwh: NaN where not known.

    Returns:
        Yuan; NaN where the energy is not known or reaches a tier without a published amount.
    """
    total = np.where(np.isnan(energy_kwh), np.nan, 0.0)
    for tier, inside in zip(pack.tiers, tier_kwh(pack, quota_kwh, energy_kwh), strict=True):
        price = np.nan if tier.add_yuan_per_kwh is None else tier.add_yuan_per_kwh
        total = total + np.where(inside > 0, inside * price, 0.0)
    return total


def tier_kwh(pack: SurchargePack, quota_kwh: Floats, energy_kwh: Floats) -> list[Floats]:
    """Return the kWh of each account inside each tier's band; NaN where the energy is not known."""
    over = np.maximum(energy_kwh - quota_kwh, 0.0)
    tops = [np.inf if one.ratio_le is None else one.ratio_le - one.ratio_gt for one in pack.tiers]
    return [
        np.clip(over - tier.ratio_gt * quota_kwh, 0.0, top * quota_kwh)
        for tier, top in zip(pack.tiers, tops, strict=True)
    ]
