"""PURE. Computes the verdict of a package again, from its raw readings, with the same functions."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from alerting.evidence.finding import Doubt, Finding, Outcome
from alerting.evidence.material import Material
from alerting.evidence.meter_words import word_differences
from alerting.notices import plain
from alerting.rules import Compiled
from alerting.site_blocks import contracts, meter_blocks, site_blocks
from alerting.subjects import Subject, conform
from collector.dated import Dated, in_force
from collector.site import Site
from processors.blocks import intervals_of
from processors.book import Book
from processors.cap import cap_accounts
from processors.edits import EDITED
from processors.history.days import day_rows
from processors.intensity import Period
from processors.interval import BLOCK, Quality
from processors.judge import judge
from processors.policy.load import Packs
from processors.quota import ACCOUNT, accounts
from processors.terms import Span
from processors.verdict import Standing

TOLERANCE = 1e-6
"""kWh and kW by which a recomputed figure may differ."""


def blocks(material: Material) -> pl.DataFrame:
    """Return the INTERVAL rows of the scope as the raw readings give them."""
    scope = material.scope
    found = intervals_of(material.readings, Book.of([material.site]), material.edits)
    return found.filter(pl.col("start") >= scope.start, pl.col("end") <= scope.end)


def block_differences(material: Material, computed: pl.DataFrame, limit: int = 20) -> list[str]:
    """Return which recorded intervals the readings do not bear out, at most `limit`."""
    figures = ["energy_kwh", "demand_kw", "output_count"]
    pair = material.intervals.join(computed, on=["meter_id", "start"], how="full", coalesce=True)
    unlike = [
        ~pl.col(name).eq_missing(pl.col(f"{name}_right"))
        & ((pl.col(name) - pl.col(f"{name}_right")).abs() > TOLERANCE).fill_null(value=True)
        for name in figures
    ]
    last = material.intervals.group_by("meter_id").agg(pl.col("start").max().alias("last"))
    recorded = pl.col("end").is_not_null()
    # blocks after the last recorded one were not closed yet when the package was made
    counts = recorded | (pl.col("start") <= pl.col("last"))
    wrong = pair.join(last, on="meter_id", how="left").filter(pl.any_horizontal(unlike), counts)
    counters = Book.of([material.site]).counting
    told = [
        _difference(row, *_SAYS[row["meter_id"] in counters])
        for row in wrong.sort("start", "meter_id").head(limit).to_dicts()
    ]
    more = wrong.height - limit
    return [*told, f"and {more} more intervals"] if more > 0 else told


_SAYS = ("energy_kwh", "kWh"), ("output_count", "counts")
"""The figure that is told of a block, and its unit: of a meter, of a counter of output."""


def _difference(row: Mapping[str, object], name: str, unit: str) -> str:
    return (
        f"interval {row['meter_id']} {row['start']:%Y-%m-%d %H:%M}Z: the package says "
        f"{row[name]} {unit}, the readings give {row[f'{name}_right']}"
    )


def recompute(material: Material, computed: pl.DataFrame | None = None) -> Finding:
    """Return what the raw readings say about the alert.

    Args:
        material: the package's content.
        computed: result of `blocks(material)` if it is at hand.
    """
    make = _KINDS.get(Subject(material.rule.on))
    if make is None:
        odd = Subject(material.rule.on) is Subject.ANOMALY
        reasons = (*([Doubt.ANOMALY.value] if odd else []), Doubt.NOT_IN_READINGS.value)
        standing = Standing.CLUE.value if odd else None
        return Finding(outcome=Outcome.UNDECIDED, standing=standing, reasons=reasons)
    return make(material, blocks(material) if computed is None else computed)


def _of_site_blocks(material: Material, computed: pl.DataFrame) -> Finding:
    contract = contracts([material.site])
    rows = site_blocks(computed, Book.of([material.site]), contract)
    return _of_blocks(material, rows, computed)


def _of_meter_blocks(material: Material, computed: pl.DataFrame) -> Finding:
    contract = contracts([material.site])
    rows = meter_blocks(computed, Book.of([material.site]), contract)
    mine = rows.filter(pl.col("subject_id") == str(material.alert["subject_id"]))
    return _of_blocks(material, mine, computed)


def _of_blocks(material: Material, rows: pl.DataFrame, computed: pl.DataFrame) -> Finding:
    """Judge the blocks from the breach's beginning to the alert."""
    since, fired = material.instant("since"), material.instant("fired_at")
    mine = rows.filter(pl.col("start") >= since, pl.col("end") <= fired).sort("start")
    outcome = _holds(material, mine)
    if mine.height < (fired - since) // BLOCK and outcome is Outcome.OVERRUN:
        outcome = Outcome.UNDECIDED
    used = computed.filter(pl.col("start") >= since, pl.col("end") <= fired)
    doubts = {
        Doubt.COVERAGE_BELOW_MINIMUM: _below(mine, material.scope.settings.min_coverage),
        Doubt.MUCH_ESTIMATED: _estimated(used) > material.scope.settings.max_estimated_share,
        Doubt.LIMIT_NOT_DECLARED: not _declared(material.site.contract_demand_kw, material, since),
        Doubt.EDITED: bool(used["flags"].list.contains(EDITED).any()),
    }
    return _finding(material, outcome, mine.tail(1), doubts, since)


def _of_quota(material: Material, computed: pl.DataFrame) -> Finding:
    """State the month's or year's account anew, at the instant that fired the alert.

    Projections are left null: what is only expected is never evidence.
    """
    site, at = material.site, _at(material)
    used = computed.filter(pl.col("end") <= at)
    first = _local_day(site, material.scope.start)
    days = day_rows(used, Book.of([site]).meters, at)
    subject = Subject(material.rule.on)
    span = Span.YEAR if subject is Subject.QUOTA_YEAR else Span.MONTH
    account = conform(subject, accounts(days, [site], at, month=first, span=span))
    known = account.with_columns(pl.lit(None).alias(name) for name in _EXPECTED)
    shares = known["estimated_share"].fill_null(1.0)
    doubts = {
        # energy already stated only grows: a gap cannot lift the overrun, an estimate might
        Doubt.MUCH_ESTIMATED: bool((shares > material.scope.settings.max_estimated_share).any()),
        Doubt.LIMIT_NOT_DECLARED: known["declared_by"].null_count() > 0,
    }
    return _finding(material, _holds(material, known), known, doubts, at)


_EXPECTED = tuple(
    name
    for name in ACCOUNT
    if name.startswith(("projected_", "crosses_", "surcharge_", "range_", "season"))
)
"""Columns of ACCOUNT that speak of what has not happened."""


def _of_cap(material: Material, computed: pl.DataFrame) -> Finding:
    """State the cap's account anew, at the instant that fired the alert.

    A block above stays above whatever else is not known, so low coverage is no doubt.
    """
    site, at, start = material.site, _at(material), material.scope.start
    used = computed.filter(pl.col("end") <= at)
    first = _local_day(site, start)
    told = cap_accounts(used, [site], first, _local_day(site, at) + timedelta(days=1), at)
    mine = conform(Subject.CAP, told.filter(pl.col("start") == start).with_columns(at=pl.lit(at)))
    shares = mine["estimated_share"].fill_null(1.0)
    doubts = {
        Doubt.MUCH_ESTIMATED: bool((shares > material.scope.settings.max_estimated_share).any()),
        Doubt.LIMIT_NOT_DECLARED: mine["declared_by"].null_count() > 0,
        Doubt.EDITED: bool(used["flags"].list.contains(EDITED).any()),
    }
    return _finding(material, _holds(material, mine), mine, doubts, at)


def _of_verdict(material: Material, computed: pl.DataFrame) -> Finding:
    """Judge the statistics period anew; the policy's own doubts come from the verdict."""
    scope, site = material.scope, material.site
    days = day_rows(computed, Book.of([site]).meters, scope.end)
    period = Period(_local_day(site, scope.start), _local_day(site, scope.end))
    at = max(_at(material), scope.end)
    packs = Packs(tables=material.packs)
    verdicts = judge(days, [site], packs, period, scope.settings, at)
    mine = verdicts.filter(pl.col("verdict_id") == str(material.row()["verdict_id"]))
    rows = conform(Subject.VERDICT, mine)
    found = _finding(material, _holds(material, rows), rows, {}, scope.start, verified=False)
    if not mine.height or found.outcome is not Outcome.OVERRUN:
        return found
    reasons = (*mine["standing_reasons"][0], *found.reasons)
    standing = Standing.CLUE if reasons else Standing.EVIDENCE
    return found.model_copy(update={"standing": standing.value, "reasons": reasons})


Recompute = Callable[[Material, pl.DataFrame], Finding]
_KINDS: Mapping[Subject, Recompute] = {
    Subject.SITE_INTERVAL: _of_site_blocks,
    Subject.INTERVAL: _of_meter_blocks,
    Subject.QUOTA: _of_quota,
    Subject.QUOTA_YEAR: _of_quota,
    Subject.CAP: _of_cap,
    Subject.VERDICT: _of_verdict,
}


def _holds(material: Material, rows: pl.DataFrame) -> Outcome:
    """Return whether the rule's condition holds in all rows; null in any is undecided."""
    values = rows.select(Compiled.of(material.rule).when.alias("_"))["_"]
    if not len(values):
        return Outcome.UNDECIDED
    if (values == False).any():  # noqa: E712 - null is a third case
        return Outcome.WITHIN
    return Outcome.UNDECIDED if values.null_count() else Outcome.OVERRUN


def _finding(
    material: Material,
    outcome: Outcome,
    rows: pl.DataFrame,
    doubts: Mapping[Doubt, bool],
    day_at: datetime,
    *,
    verified: bool = True,
) -> Finding:
    row = _figures(rows.row(0, named=True)) if rows.height else {}
    if outcome is Outcome.UNDECIDED:
        reasons = (Doubt.NOTHING_COMPUTED.value,)
        return Finding(outcome=outcome, standing=None, reasons=reasons, row=row)
    if outcome is Outcome.WITHIN:
        return Finding(outcome=outcome, standing=None, row=row)
    handling = str(material.alert["handling"])
    whole = {
        Doubt.METER_NOT_VERIFIED: verified and not _verified(material.site, day_at),
        **doubts,
        Doubt.REGISTER_WORDS_DISAGREE: bool(word_differences(material, limit=1)),
        Doubt.DISPUTED: handling == "disputed",
        Doubt.DISPUTE_ACCEPTED: handling == "dispute_accepted",
    }
    told = tuple(doubt.value for doubt, holds in whole.items() if holds)
    standing = Standing.CLUE if told else Standing.EVIDENCE
    return Finding(outcome=outcome, standing=standing.value, reasons=told, row=row)


def _figures(row: Mapping[str, object]) -> dict[str, str | float | bool | None]:
    """Return the row's known figures as JSON values; what is unknown says nothing."""
    return {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in plain(row).items()
        if isinstance(value, str | int | float | bool) and name != "computed_at"
    }


def _below(rows: pl.DataFrame, minimum: float) -> bool:
    return not rows.height or bool((rows["coverage"].fill_null(0.0) < minimum).any())


def _estimated(intervals: pl.DataFrame) -> float:
    """Return the share of the energy that is estimated, 0..1; 1 if no energy is known."""
    total = _sum(intervals)
    guessed = _sum(intervals.filter(pl.col("quality") == Quality.ESTIMATED.value)) or 0.0
    return guessed / total if total else float(total is None)


def _sum(intervals: pl.DataFrame) -> float | None:
    known = intervals["energy_kwh"].drop_nulls()
    return float(known.sum()) if len(known) else None


def _declared(values: Iterable[Dated], material: Material, at: datetime) -> bool:
    one = in_force(tuple(values), _local_day(material.site, at))
    return one is not None and bool(one.declared_by)


def _verified(site: Site, at: datetime) -> bool:
    day = _local_day(site, at)
    checks = [one.verification for one in site.meters if one.role == "main"]
    return all(one is not None and one.valid_until >= day for one in checks)


def _local_day(site: Site, at: datetime) -> date:
    return at.astimezone(ZoneInfo(site.timezone)).date()


def _at(material: Material) -> datetime:
    return datetime.fromisoformat(str(material.row()["at"]))


SLACK = timedelta(hours=1)
"""Readings this far outside the scope are packed too: interpolation and plausibility look there."""
