"""The API's load indices: /api/v1/indices."""

from collections.abc import Callable
from datetime import date
from typing import Annotated

import polars as pl
from fastapi import APIRouter, HTTPException, Query, Response

from dashboards import view_indices
from dashboards.desk import Desk
from processors.indices import Length
from processors.load_report import TooMuchError

Names = Annotated[list[str] | None, Query()]


def router(desk: Desk, frame: Callable[[pl.DataFrame], Response]) -> APIRouter:
    """Return the router; `frame` writes rows as the other answers are."""
    made = APIRouter(tags=["rows"])

    @made.get("/indices")
    def indices(
        since: Annotated[date, Query(alias="from")],
        until: Annotated[date, Query(alias="to")],
        period: Length = Length.MONTH,
        meter: Names = None,
        site: Names = None,
    ) -> Response:
        """Load factor, peak-valley ratio, utilisation hours, maximum demand by local period.

        Of the meters named, and of the sites named as sums of their main meters; without either of
        all sites. Figures that rest on too little are null, with the reason.
        """
        if until <= since:
            raise HTTPException(422, "`to` must be later than `from`")
        known = {"meter": set(desk.sources.book.meters["meter_id"]), "site": set(desk.sites)}
        for what, asked in (("meter", meter), ("site", site)):
            if unknown := set(asked or ()) - known[what]:
                raise HTTPException(404, f"there is no {what} {min(unknown)!r}")
        sites = tuple(site or ()) if meter or site else tuple(desk.sites)
        span = since, until, period
        try:
            rows = view_indices.answer(desk.sources, "indices", tuple(meter or ()), sites, *span)
        except TooMuchError as much:
            raise HTTPException(422, str(much)) from much
        return frame(rows)

    return made
