"""`demandwatch query quotas`: the accounts of monthly and yearly quotas and of load caps."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from collector.site import Site
from demandwatch.settings import Configuration
from processors.cap import CAP_ACCOUNT, cap_accounts
from processors.history.store import History
from processors.intensity import mains
from processors.quota import ACCOUNT, accounts
from processors.terms import Span, history_of

QUOTAS: dict[str, pl.DataType] = ACCOUNT | CAP_ACCOUNT
"""One row a site and quota; columns of another kind of account are null."""

SHOWN = (
    "site_id", "kind", "start", "used_ratio", "remaining_kwh", "projected_ratio",
    "crosses_early", "crosses_at", "crosses_late", "remaining_kw", "blocks_above", "coverage",
)  # fmt: skip
"""Columns that fit a terminal."""


def quotas(
    config: Configuration,
    history: History,
    site_ids: Sequence[str],
    now: datetime,
    day: date | None,
    as_of: datetime | None,
) -> pl.DataFrame:
    """State the accounts of the month and the year that `day` lies in, and of the month's caps.

    Args:
        config: sites, quotas, calendar.
        history: DAY and INTERVAL rows.
        site_ids: whose.
        now: the instant of the statement.
        day: None: today at the first site.
        as_of: with what was known then.

    Returns:
        QUOTAS rows sorted by site and kind.
    """
    sites = [one for one in config.sites if one.id in set(site_ids)]
    meters = [meter for site in sites for meter in mains(site)]
    today = now.astimezone(ZoneInfo(config.sites[0].timezone)).date()
    month = (day or today).replace(day=1)
    settings = config.settings.processors.quotas
    pack = config.packs.surcharge(settings.surcharge, today) if settings.surcharge else None
    parts = []
    for span, first in ((Span.MONTH, month), (Span.YEAR, month.replace(month=1))):
        held = [one for one in sites if (one.quota_month_kwh, one.quota_year_kwh)[span == "year"]]
        mine = [meter for site in held for meter in mains(site)]
        since = history_of(span, first, min(today, first), settings.lookback_days)
        until = min(today, first + timedelta(days=366)) + timedelta(days=2)
        days = history.days(since, until, mine, as_of)
        parts.append(
            accounts(days, held, now, settings.lookback_days, first, pack, span, config.calendar)
        )
    parts.append(_caps(sites, history, meters, month, now, as_of))
    return pl.concat(parts, how="diagonal").select(list(QUOTAS)).sort("site_id", "kind", "start")


def _caps(
    sites: list[Site],
    history: History,
    meters: list[str],
    month: date,
    now: datetime,
    as_of: datetime | None,
) -> pl.DataFrame:
    capped = [one for one in sites if one.cap_kw]
    end = (month + timedelta(days=31)).replace(day=1)
    if not capped:
        return pl.DataFrame(schema=CAP_ACCOUNT)
    zone = ZoneInfo(capped[0].timezone)
    bounds = [
        datetime(one.year, one.month, one.day, tzinfo=zone).astimezone(UTC) for one in (month, end)
    ]
    wide = timedelta(hours=26)  # sites in other zones
    rows = history.intervals(bounds[0] - wide, bounds[1] + wide, meters, as_of)
    return cap_accounts(rows, capped, month, end, now)
