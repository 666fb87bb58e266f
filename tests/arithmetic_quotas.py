"""Helpers of the examples of docs/arithmetic-quotas.md."""

from datetime import date

from policy_rows import REPO, SHENZHEN, at, day_rows, site

from processors.policy.load import load_packs
from processors.quota import accounts, first_day
from processors.terms import Span

TODAY, APRIL = date(2026, 11, 16), date(2026, 4, 1)


def account(kwh_a_day, quota):
    """Return the account of November 2026 on the 16th; crossings in local time."""
    held = site(quota_month_kwh=[{"from": "2026-01-01", "value": quota}])
    packs, _ = load_packs(REPO / "config" / "policy")
    days = day_rows("m", first_day(date(2026, 11, 1), 28), TODAY, kwh_a_day)
    tiers = packs.surcharge("demo-progressive", TODAY)
    row = accounts(days, [held], at(TODAY), surcharge=tiers).row(0, named=True)
    instants = {name: row[name] for name in ("crosses_at", "crosses_early", "crosses_late")}
    return row | {k: v and v.astimezone(SHENZHEN) for k, v in instants.items()}


def year(*, before=True):
    """Return 2026 as stated on 1 April of a site with a summer, told the year before or not."""
    held = site(quota_year_kwh=[{"from": "2026-01-01", "value": 50_000}], timezone="Asia/Singapore")
    since = date(2025, 1, 1) if before else date(2026, 1, 1)
    days = day_rows("m", since, APRIL, lambda day: 300.0 if 6 <= day.month <= 9 else 100.0)
    return accounts(days, [held], at(APRIL), span=Span.YEAR).row(0, named=True)


HELPERS = {"account": account, "year": year}
