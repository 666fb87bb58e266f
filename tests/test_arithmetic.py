"""Runs every example of docs/arithmetic*.md with the functions the product runs."""

import doctest
from datetime import UTC, date, datetime

import arithmetic_anomalies
import arithmetic_energy
import arithmetic_indices
import arithmetic_intensity
import arithmetic_quotas
import arithmetic_savings
import arithmetic_sums
import arithmetic_tariff
import polars as pl
import pytest
from policy_rows import REPO, at, day_rows, site

from collector.reading import conform
from processors.blocks import intervals_of
from processors.book import Book
from processors.history.days import day_rows as days_from
from processors.intensity import Period, area_claim, measure
from processors.judge import judge
from processors.policy.load import Packs, load_packs
from processors.settings import VerdictSettings

PAGES = sorted((REPO / "docs").glob("arithmetic*.md"))
LEAST = {
    "arithmetic": 25,
    "arithmetic-anomalies": 11,
    "arithmetic-energy": 14,
    "arithmetic-indices": 15,
    "arithmetic-intensity": 18,
    "arithmetic-quotas": 14,
    "arithmetic-savings": 24,
    "arithmetic-sums": 13,
    "arithmetic-tariff": 15,
}
"""Examples a page has at least: a page that is not understood must not pass."""
YEAR = Period.year(2017)
TODAY = date(2026, 11, 16)
HERE = site()
BOOK = Book.of([HERE])


def blocks(register):
    """INTERVAL rows of a register read at local times of one day: [("00:15", kWh), ...]."""
    rows = [
        (datetime.fromisoformat(f"2026-11-16T{clock}").replace(tzinfo=UTC), kwh)
        for clock, kwh in register
    ]
    frame = pl.DataFrame(rows, schema=["measured_at", "energy_import_kwh"], orient="row")
    told = {"meter_id": "m", "received_at": pl.col("measured_at"), "source": "example"}
    named = {k: pl.lit(v) if isinstance(v, str) else v for k, v in told.items()}
    return intervals_of(conform(frame.with_columns(**named)), BOOK)


def days_of(intervals):
    return days_from(intervals, BOOK.meters, datetime(2026, 11, 20, tzinfo=UTC))


def from_july(day):
    return 0.0 if day < date(2017, 7, 1) else 100.0


def intensity(days):
    return measure(days, [area_claim(HERE, YEAR)]).row(0, named=True)


def verdict(days):
    packs, _ = load_packs(REPO / "config" / "policy")
    (demo,) = (one for one in packs.tables if one.id == "demo-tertiary")
    hotel = demo.row("hotel")
    limit = hotel.levels["grade_4"].model_copy(update={"value": 50.0})
    row = hotel.model_copy(update={"levels": {"grade_4": limit}})
    strict = Packs(tables=(demo.model_copy(update={"rows": (row,)}),))
    chosen = VerdictSettings(guides={"lodging": "demo-tertiary"})
    frame = judge(days, [HERE], strict, YEAR, chosen, at(date(2018, 1, 2)))
    return frame.select("outcome", "reason").row(0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_worked_example_holds(page):
    helpers = (
        arithmetic_anomalies.HELPERS
        | arithmetic_energy.HELPERS
        | arithmetic_indices.HELPERS
        | arithmetic_quotas.HELPERS
        | arithmetic_savings.HELPERS
        | arithmetic_intensity.HELPERS
        | arithmetic_sums.HELPERS
        | arithmetic_tariff.HELPERS
        | {
            "blocks": blocks,
            "days_of": days_of,
            "day_rows": day_rows,
            "intensity": intensity,
            "from_july": from_july,
            "verdict": verdict,
            "date": date,
        }
    )
    text = page.read_text(encoding="utf-8")
    examples = doctest.DocTestParser().get_doctest(text, helpers, page.name, str(page), 0)
    failures: list[str] = []
    result = doctest.DocTestRunner().run(examples, out=failures.append)
    assert result.attempted >= LEAST.get(page.stem, 1)
    assert not result.failed, "".join(failures)
