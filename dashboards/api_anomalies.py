"""The API's metering anomalies: what the running system's last look found, and looked for."""

from collections.abc import Callable, Sequence
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Query, Response

from dashboards.desk import Desk
from processors.anomaly import ANOMALY

Frame = Callable[[pl.DataFrame], Response]
Choose = Callable[[Desk, Sequence[str] | None, str], list[str] | None]
Meters = Annotated[list[str] | None, Query(alias="meter")]


def router(desk: Desk, frame: Frame, choose: Choose) -> APIRouter:
    """Return the routes; `frame` writes rows, `choose` names the meters asked for."""
    made = APIRouter(tags=["rows"])

    def of(rows: pl.DataFrame, meter: Sequence[str] | None, site: str) -> pl.DataFrame:
        ids = choose(desk, meter, site)
        # a balance of several main meters is no meter's: it goes with its site
        own = pl.col("site_id") == site if site and not meter else pl.lit(value=False)
        return rows if ids is None else rows.filter(pl.col("meter_id").is_in(ids) | own)

    @made.get("/anomalies")
    def anomalies(
        meter: Meters = None,
        site: str = "",
        kind: str = "",
        state: Annotated[str, Query(pattern="^(open|closed)?$")] = "",
    ) -> Response:
        """Metering anomalies (ANOMALY), each a clue; by default open ones and those just ended."""
        known = desk.meters.anomalies()
        rows = of(pl.DataFrame(schema=ANOMALY) if known is None else known, meter, site)
        if kind:
            rows = rows.filter(kind=kind)
        if state:
            open_ = pl.col("until").is_null()
            rows = rows.filter(open_ if state == "open" else ~open_)
        return frame(rows)

    @made.get("/anomalies/sought")
    def sought(meter: Meters = None, site: str = "") -> Response:
        """Which kinds were looked for at each meter (SOUGHT), and why not."""
        return frame(of(desk.meters.sought(), meter, site))

    return made
