"""`demandwatch query sums|balance`: sums over groups, virtual meters, sub-meter balance."""

from enum import StrEnum

import polars as pl

from demandwatch.settings import Configuration
from processors.balance import balance, lines
from processors.group_days import by_day
from processors.groups import group_sums
from processors.places import Places
from processors.virtual import terms, virtual_intervals

VIRTUAL = "virtual"


class Per(StrEnum):
    """Length of the spans of sums."""

    BLOCK = "block"
    DAY = "day"


def sums(rows: pl.DataFrame, config: Configuration, group: str, per: Per) -> pl.DataFrame:
    """Return GROUP rows, GROUP_DAY rows, or VIRTUAL rows for the group `virtual`.

    Args:
        rows: INTERVAL rows of all meters.
        config: the sites; days are those of the first one's zone.
        group: a kind of group, `label:KEY` or `virtual`.
        per: blocks or local days; virtual meters are told by block only.

    Raises:
        ValueError: there is no such group.
    """
    if group == VIRTUAL:
        if per is Per.DAY:
            raise ValueError("virtual meters are told by block; leave out --per day")
        return virtual_intervals(rows, terms(config.sites))
    blocks = group_sums(rows, Places.of(config.sites), group)
    return by_day(blocks, config.sites[0].timezone) if per is Per.DAY else blocks


def balances(rows: pl.DataFrame, config: Configuration, per: Per) -> pl.DataFrame:
    """Return BALANCE rows of all sites with sub-meters."""
    zone = config.sites[0].timezone if per is Per.DAY else None
    told = config.settings.processors.balance
    return balance(rows, lines(config.sites), told.tolerance, told.least_kwh, zone)
