"""What the Fleet page shows, computed from frames; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from collector.site import Meter, Site
from processors.condition import State

PAGE_ROWS = 50
WEEK = timedelta(days=7)
_RANK = {one.value: place for place, one in enumerate(State)}
_HEARD = [one.value for one in (State.STALE, State.CLOCK, State.LATE, State.OK)]
UNWELL = "unwell"
"""Filter: every state but ok and by file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a visitor asked for; every field is part of the address."""

    tab: str = "meters"
    """`meters`, `anomalies`, `gaps` or `rejects`."""
    state: str = ""
    """Of a meter, or `unwell`; of a gap `open`, `closed` or `recovered`; of an anomaly `open` or
    `closed`; empty: all."""
    district: str = ""
    site: str = ""
    link: str = ""
    q: str = ""
    """Part of a meter's or site's id or name."""
    page: int = 1

    def query(self, **changed: str | int) -> dict[str, str]:
        """Return the address' query with some fields changed; other than by page it starts anew."""
        first = {"page": 1} if changed else {}
        new = replace(self, **(first | changed))  # type: ignore[arg-type]  # fields by name
        told = {name: str(getattr(new, name)) for name in self.__slots__}
        return {name: value for name, value in told.items() if value not in {"", "1", "meters"}}


@dataclass(frozen=True, slots=True)
class FleetPage:
    """Everything the Fleet page needs, at one instant."""

    at: datetime
    timezone: str
    counts: Mapping[str, int]
    """Meters by state, of the whole fleet."""
    heard: int
    expected: int
    """Meters that should speak: all but those by file."""
    kw_heard: float | None
    """Share of the main meters' rated power that is heard; None if one is not rated."""
    open_causes: Mapping[str, int] | None
    """Open gaps by cause; None: the ledger is not known here."""
    spread_kwh: float | None
    """Energy of the last week's gaps that is spread, not measured."""
    recovered_kwh: float | None
    """Energy of the last week's gaps that late data measured after all."""
    rows: tuple[Mapping[str, Any], ...]
    """The page's rows: of CONDITION (with `week_of`), GAP or REJECTED."""
    found: int
    wanted: Wanted
    districts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    places: Mapping[str, tuple[Site, Meter]] = field(default_factory=dict)
    """Site and meter by meter id."""
    open_anomalies: int | None = None
    """None: not known here."""
    not_sought: int = 0
    """Kinds of anomaly, summed over meters, that could not be looked for."""

    @property
    def pages(self) -> int:
        """How many pages the rows fill."""
        return max(-(-self.found // PAGE_ROWS), 1)


def names(sites: Sequence[Site]) -> pl.DataFrame:
    """Return meter_id and `told`: all that the search field looks in."""
    rows = []
    for site in sites:
        place = f"{site.id} {site.name.zh} {site.name.en}"
        for meter in site.meters:
            name = f"{meter.name.zh} {meter.name.en}" if meter.name else ""
            rows.append((meter.id, f"{meter.id} {name} {place}".casefold()))
    return pl.DataFrame(rows, schema={"meter_id": pl.String(), "told": pl.String()}, orient="row")


def places(sites: Sequence[Site]) -> dict[str, tuple[Site, Meter]]:
    """Return site and meter by meter id."""
    return {meter.id: (site, meter) for site in sites for meter in site.meters}


def week_of(gaps: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return per meter the gaps of the last week: spread and recovered kWh, and since when open."""
    recent = gaps.filter(pl.col("end").is_null() | (pl.col("end") > now - WEEK))
    energy, method = pl.col("energy_kwh"), pl.col("method")
    spread, late = method == "spread", method == "late_data"
    return recent.group_by("meter_id").agg(
        pl.when(spread.any()).then(energy.filter(spread).sum()).alias("spread_kwh"),
        pl.when(late.any()).then(energy.filter(late).sum()).alias("recovered_kwh"),
        pl.col("start").filter(pl.col("end").is_null()).min().alias("open_since"),
    )


def meters(
    condition: pl.DataFrame, week: pl.DataFrame, wanted: Wanted, told: pl.DataFrame
) -> pl.DataFrame:
    """Return the CONDITION rows asked for with their `week_of`, the worst first."""
    rows = _placed(condition, wanted, told)
    if wanted.state == UNWELL:
        rows = rows.filter(~pl.col("state").is_in([State.OK.value, State.FILE.value]))
    elif wanted.state:
        rows = rows.filter(pl.col("state") == wanted.state)
    rank = pl.col("state").replace_strict(_RANK, return_dtype=pl.Int8)
    few = (pl.col("success_hour").fill_null(1.0) * 20).floor()
    ordered = rows.sort(
        rank, few, "silent_s", "meter_id", descending=[False, False, True, False], nulls_last=True
    )
    return ordered.join(week, on="meter_id", how="left", maintain_order="left")


def gaps(
    ledger: pl.DataFrame, condition: pl.DataFrame, wanted: Wanted, told: pl.DataFrame
) -> pl.DataFrame:
    """Return the GAP rows asked for, open ones first, then the newest."""
    where = condition.select("meter_id", "site_id", "district", "link", "rated_power_kw")
    rows = ledger.join(where, on="meter_id", how="left", maintain_order="left")
    rows = _placed(rows, wanted, told)
    if wanted.state == "recovered":
        return rows.filter(pl.col("recovered_at").is_not_null())
    return rows.filter(pl.col("state") == wanted.state) if wanted.state else rows


def anomalies(
    known: pl.DataFrame, condition: pl.DataFrame, wanted: Wanted, told: pl.DataFrame
) -> pl.DataFrame:
    """Return the ANOMALY rows asked for, open ones first, then the newest."""
    where = condition.select("meter_id", "district", "link")
    rows = known.join(where, on="meter_id", how="left", maintain_order="left")
    ended = pl.col("until").is_not_null()
    if wanted.state:
        rows = rows.filter(ended if wanted.state == "closed" else ~ended)
    return _placed(rows, wanted, told).sort(
        ended, "since", "meter_id", "kind", "phase", descending=[False, True, False, False, False]
    )


def rejects(notes: pl.DataFrame, wanted: Wanted) -> pl.DataFrame:
    """Return the REJECTED rows asked for, the newest first."""
    text = pl.concat_str("subject", "reason", "source", "excerpt", separator=" ")
    part = wanted.q.strip().casefold()
    return notes.filter(text.str.to_lowercase().str.contains(part, literal=True)) if part else notes


def _placed(rows: pl.DataFrame, wanted: Wanted, told: pl.DataFrame) -> pl.DataFrame:
    for column, value in (
        *(("district", wanted.district), ("site_id", wanted.site), ("link", wanted.link)),
    ):
        if value:
            rows = rows.filter(pl.col(column) == value)
    if wanted.q.strip():
        hits = told.filter(pl.col("told").str.contains(wanted.q.strip().casefold(), literal=True))
        rows = rows.join(hits, on="meter_id", how="semi", maintain_order="left")
    return rows


def cut(rows: pl.DataFrame, page: int) -> tuple[Mapping[str, Any], ...]:
    """Return one page of rows."""
    first = (max(page, 1) - 1) * PAGE_ROWS
    return tuple(rows[first : first + PAGE_ROWS].iter_rows(named=True))


def heard(condition: pl.DataFrame) -> tuple[int, int, float | None]:
    """Return how many meters are heard, how many should be, and the share of rated power heard.

    The share is of the main meters; it is None unless each of them is rated.
    """
    due = condition.filter(pl.col("state") != State.FILE.value)
    told = pl.col("state").is_in(_HEARD)
    mains = due.filter("is_main")
    total = float(mains["rated_power_kw"].sum())
    rated = total > 0 and not mains["rated_power_kw"].null_count()
    here = float(mains.filter(told)["rated_power_kw"].sum())
    return due.filter(told).height, due.height, here / total if rated else None
