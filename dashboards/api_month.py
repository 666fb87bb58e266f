"""The API's bills (simulated), tariff-period shares and power quality."""

from collections.abc import Callable, Container, Sequence
from datetime import date
from typing import Annotated

import polars as pl
from fastapi import APIRouter, HTTPException, Query, Response

from dashboards import view_indices, view_month
from dashboards.desk import Desk
from processors.indices import Length
from processors.intensity import mains
from processors.load_report import TooMuchError, Wanted
from processors.quality_report import quality_of
from processors.tariff.report import SHARES

Frame = Callable[[pl.DataFrame], Response]
Json = Callable[[object], Response]
Names = Annotated[list[str] | None, Query()]
Since = Annotated[date, Query(alias="from")]
Until = Annotated[date, Query(alias="to")]

_YEARS = 1970, 2199
_MONTH = r"^(19[7-9]\d|2[01]\d\d)-(0[1-9]|1[0-2])$"

MOST_METER_DAYS = 3_100
"""Of one answer about power quality: 100 meters for a month, which rest on millions of readings."""


def router(desk: Desk, frame: Frame, json: Json) -> APIRouter:
    """Return the routes; `frame` writes rows, `json` objects."""
    made = APIRouter()
    made.include_router(_bills(desk, json))
    made.include_router(_shares(desk, frame))
    made.include_router(_quality(desk, frame))
    return made


def _bills(desk: Desk, json: Json) -> APIRouter:
    made = APIRouter(tags=["sites"])

    @made.get("/sites/{site_id}/bill")
    def bill(
        site_id: str,
        month: Annotated[str, Query(pattern=_MONTH)],
    ) -> Response:
        """A simulated bill (测算) of a month, YYYY-MM: LINES, each with formula, factors, sources.

        Never an amount owed. `provenance` is that of the weakest factor; only what is `published`
        is law or notice.
        """
        _known(desk.sites, (site_id,), "site")
        sources, first = desk.sources, date.fromisoformat(f"{month}-01")
        rows = sources.tariffs.bill(desk.sites[site_id], first, sources.history, sources.now())
        told = {"simulated": True, "site_id": site_id, "month": month}
        return json({**told, "lines": rows.to_dicts()})

    return made


def _shares(desk: Desk, frame: Frame) -> APIRouter:
    made = APIRouter(tags=["rows"])

    @made.get("/tariff-shares")
    def tariff_shares(
        since: Since,
        until: Until,
        period: Length = Length.MONTH,
        meter: Names = None,
        site: Names = None,
    ) -> Response:
        """Energy and shares of sharp, peak, flat and valley hours (TARIFF_SHARES) by local period.

        Of the meters and the sites named; without either of all sites.
        """
        _answerable(desk, (since, until), meter or (), site or ())
        sites = tuple(site or ()) if meter or site else tuple(desk.sites)
        try:
            span = since, until, period
            rows = view_indices.answer(desk.sources, SHARES, meter or (), sites, *span)
        except TooMuchError as much:
            raise HTTPException(422, str(much)) from much
        return frame(rows)

    return made


def _quality(desk: Desk, frame: Frame) -> APIRouter:
    made = APIRouter(tags=["rows"])

    @made.get("/power-quality")
    def power_quality(
        since: Since,
        until: Until,
        period: Length = Length.MONTH,
        meter: Names = None,
        site: Names = None,
    ) -> Response:
        """Voltage deviation with its qualification rate, unbalance, THD, frequency, power factor.

        POWER_QUALITY rows of the meters named, and of the main meters of the sites named.
        """
        _answerable(desk, (since, until), meter or (), site or ())
        own = (one for name in site or () for one in mains(desk.sites[name]))
        ids = list(dict.fromkeys([*(meter or ()), *own]))
        asked = view_month.quality_wanted(desk.sources, since, until, period)
        _few(ids, asked)
        return frame(quality_of(asked, ids, desk.sources.sites, desk.sources.history))

    return made


def _answerable(
    desk: Desk, days: tuple[date, date], meters: Sequence[str], sites: Sequence[str]
) -> None:
    """Refuse days that are none, and names nobody has."""
    since, until = days
    if until <= since:
        raise HTTPException(422, "`to` must be later than `from`")
    if since.year < _YEARS[0] or until.year > _YEARS[1]:
        raise HTTPException(422, "days must lie from {} to {}".format(*_YEARS))
    _known(set(desk.sources.book.meters["meter_id"]), meters, "meter")
    _known(desk.sites, sites, "site")


def _known(known: Container[str], asked: Sequence[str], what: str) -> None:
    if unknown := sorted(one for one in asked if one not in known):
        raise HTTPException(404, f"there is no {what} {unknown[0]!r}")


def _few(ids: Sequence[str], asked: Wanted) -> None:
    """Refuse what would read too much."""
    count = (asked.after - asked.first).days * len(ids)
    if not ids:
        raise HTTPException(422, "name meters or sites: `meter=` or `site=`")
    if count > MOST_METER_DAYS:
        few = f"that rests on the readings of {count:,} meter days, at most {MOST_METER_DAYS:,}"
        raise HTTPException(422, f"{few}: ask for fewer meters or less time")
