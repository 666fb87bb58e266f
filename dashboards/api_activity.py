"""The API's declared activity: what a site made or served, its floor area, and who said so."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Body, HTTPException, Query, Response

from dashboards.desk import Desk, UnknownSiteError
from processors.activity import Declaration, DeclarationError, standing


def router(
    desk: Desk, frame: Callable[[pl.DataFrame], Response], json: Callable[[object], Response]
) -> APIRouter:
    """Return the routes; `frame` and `json` write an answer."""
    made = APIRouter(tags=["sites"])

    @made.post("/sites/{site_id}/activity")
    def declare(site_id: str, one: Annotated[Declaration, Body()]) -> Response:
        """Declare one figure; for a period already declared it becomes a revision (201, 200)."""
        _known(desk, site_id)
        if desk.sources.declare is None:
            raise HTTPException(404, "this process takes no declarations")
        try:
            declaration_id, new = desk.sources.declare(site_id, one)
        except DeclarationError as refused:
            raise HTTPException(409, str(refused)) from refused
        answer = json({"declaration_id": declaration_id, "new": new})
        answer.status_code = 201 if new else 200
        return answer

    @made.get("/sites/{site_id}/activity")
    def activity(
        site_id: str,
        as_of: Annotated[datetime | None, Query()] = None,
        every: Annotated[bool, Query(alias="all")] = False,
    ) -> Response:
        """What is declared (ACTIVITY), or was known as of an instant; `all`: every act."""
        _known(desk, site_id)
        if as_of is not None and as_of.tzinfo is None:
            raise HTTPException(422, "instants need an offset, e.g. 2026-11-22T08:00:00+08:00")
        acts = desk.sources.activity().filter(site_id=site_id)
        known = acts if as_of is None else acts.filter(pl.col("declared_at") <= as_of)
        return frame(known if every else standing(known))

    return made


def _known(desk: Desk, site_id: str) -> None:
    try:
        desk.site_of(site_id)
    except UnknownSiteError as unknown:
        raise HTTPException(404, f"there is no site {site_id!r}") from unknown
