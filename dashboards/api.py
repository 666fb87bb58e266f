"""The API: JSON over HTTP at /api/v1, /metrics, /healthz, /readyz. Reads all, changes only acts."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated

import orjson
import polars as pl
from fastapi import APIRouter, Body, FastAPI, HTTPException, Query, Response
from fastapi.responses import FileResponse

from alerting.evidence.gather import UnsettledError
from alerting.ledger import LedgerError
from collector.site import Site, Strict
from dashboards import api_activity, api_anomalies, api_indices, api_month
from dashboards.desk import Desk, UnknownSiteError
from dashboards.view_alerts import Filter, chosen

MOST_ROWS = 100_000
"""Rows one answer may carry; a longer one says so in `X-Truncated`."""

Instant = Annotated[datetime, Query(description="ISO 8601 with offset")]
Meters = Annotated[list[str] | None, Query(alias="meter")]
From = Annotated[datetime, Query(alias="from")]
To = Annotated[datetime, Query(alias="to")]
FromDay = Annotated[date, Query(alias="from")]
ToDay = Annotated[date, Query(alias="to")]


def app(desk: Desk, version: str) -> FastAPI:
    """Return the API; its description is at /api/openapi.json."""
    made = FastAPI(
        title="demandwatch",
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    made.include_router(_service(desk))
    made.include_router(_history(desk), prefix="/api/v1")
    made.include_router(api_indices.router(desk, frame), prefix="/api/v1")
    made.include_router(api_month.router(desk, frame, json), prefix="/api/v1")
    made.include_router(_present(desk), prefix="/api/v1")
    made.include_router(_gaps(desk), prefix="/api/v1")
    made.include_router(api_anomalies.router(desk, frame, _meters), prefix="/api/v1")
    made.include_router(_sites(desk), prefix="/api/v1")
    made.include_router(api_activity.router(desk, frame, json), prefix="/api/v1")
    made.include_router(_alerts(desk), prefix="/api/v1")
    made.include_router(_acts(desk), prefix="/api/v1")
    return made


def json(data: object) -> Response:
    """Return data as JSON; instants as ISO 8601 with offset, NaN and unknown as null."""
    return Response(orjson.dumps(data, default=_plain), media_type="application/json")


def _plain(value: object) -> object:
    """Write a settings model as an object, anything else as its text."""
    return value.model_dump(mode="json") if isinstance(value, Strict) else str(value)


def frame(rows: pl.DataFrame) -> Response:
    """Return rows as a JSON array of objects named by column."""
    answer = json(rows.head(MOST_ROWS).to_dicts())
    if rows.height > MOST_ROWS:
        answer.headers["X-Truncated"] = f"{MOST_ROWS} of {rows.height}"
    return answer


def _service(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/metrics")
    def metrics() -> Response:
        """Prometheus text exposition."""
        told = desk.sources.metrics() + desk.meters.series()
        return Response(told, media_type="text/plain; version=0.0.4")

    @router.get("/healthz")
    def healthz() -> Response:
        """Whether the process answers."""
        return json({"status": "ok"})

    @router.get("/readyz")
    def readyz() -> Response:
        """Whether every part works: 200, or 503 with what does not."""
        problems = dict(desk.sources.ready())
        answer = json({"status": "not ready" if problems else "ready", "problems": problems})
        answer.status_code = 503 if problems else 200
        return answer

    return router


def _history(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["rows"])

    @router.get("/intervals")
    def intervals(
        since: From,
        until: To,
        meter: Meters = None,
        site: str = "",
        as_of: Instant | None = None,
    ) -> Response:
        """15-minute blocks (INTERVAL) whose start lies in [from, to), latest or as-of revision."""
        _aware(since, until, as_of)
        ids = _meters(desk, meter, site)
        return frame(desk.sources.history.intervals(since, until, ids, as_of))

    @router.get("/days")
    def days(
        since: FromDay,
        until: ToDay,
        meter: Meters = None,
        site: str = "",
        as_of: Instant | None = None,
    ) -> Response:
        """Local days (DAY) in [from, to)."""
        ids = _meters(desk, meter, site)
        return frame(desk.sources.history.days(since, until, ids, as_of))

    return router


def _present(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["rows"])

    @router.get("/fleet")
    def fleet() -> Response:
        """Every meter: heard, silent or never heard, its momentary figures, state and reasons."""
        rows = desk.fleet()
        known = desk.meters.condition()
        more = known.select("meter_id", *(set(known.columns) - set(rows.columns)))
        return frame(rows.join(more, on="meter_id", how="left", maintain_order="left"))

    @router.get("/quotas")
    def quotas() -> Response:
        """Monthly quota accounts (ACCOUNT)."""
        return frame(desk.accounts())

    @router.get("/quotas/years")
    def years() -> Response:
        """Yearly quota accounts (ACCOUNT, kind year), stated once an hour."""
        return frame(desk.limits("year"))

    @router.get("/quotas/caps")
    def caps() -> Response:
        """Load caps of the running month (CAP_STATE), stated once a block."""
        return frame(desk.limits("cap"))

    @router.get("/verdicts")
    def verdicts() -> Response:
        """Verdicts (VERDICT) with the policy row each is bound to."""
        return frame(desk.sources.verdicts())

    @router.get("/rejects")
    def rejects(limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> Response:
        """What could not be taken, the newest first: reason, where from, the first bad piece."""
        known = desk.sources.rejects
        return json([]) if known is None else frame(known.latest(limit))

    return router


def _gaps(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["rows"])

    @router.get("/gaps")
    def gaps(
        since: Annotated[Instant | None, Query(alias="from")] = None,
        until: Annotated[Instant | None, Query(alias="to")] = None,
        meter: Meters = None,
        site: str = "",
        state: Annotated[str, Query(pattern="^(open|closed)?$")] = "",
    ) -> Response:
        """Gaps (GAP) that touch [from, to), open ones first, then the newest."""
        _aware(since, until)
        ledger = desk.sources.gaps
        if ledger is None:
            return json([])
        rows = ledger.gaps(since, until, _meters(desk, meter, site))
        return frame(rows.filter(pl.col("state") == state) if state else rows)

    @router.get("/gaps/{gap_id}/changes")
    def changes(gap_id: int) -> Response:
        """What happened to one gap, the oldest first; instants in `row` are microseconds."""
        ledger = desk.sources.gaps
        told = [] if ledger is None else ledger.changes(gap_id)
        if not told:
            raise HTTPException(404, f"there is no gap {gap_id}")
        return json(told)

    return router


def _aware(*instants: datetime | None) -> None:
    for instant in instants:
        if instant is not None and instant.tzinfo is None:
            raise HTTPException(422, "instants need an offset, e.g. 2026-11-22T08:00:00+08:00")


def _meters(desk: Desk, meters: Sequence[str] | None, site: str) -> list[str] | None:
    """Return the meters asked for; a site stands for its meters; None for all."""
    if not site:
        return list(meters) if meters else None
    known = [meter.id for meter in _site(desk, site).meters]
    return [one for one in known if not meters or one in meters]


def _site(desk: Desk, site_id: str) -> Site:
    try:
        return desk.site_of(site_id)
    except UnknownSiteError as unknown:
        raise HTTPException(404, f"there is no site {site_id!r}") from unknown


def _sites(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["sites"])

    @router.get("/sites")
    def sites() -> Response:
        """All sites with their meters and dated facts."""
        return json([site.model_dump(mode="json", by_alias=True) for site in desk.sources.sites])

    @router.get("/running")
    def running() -> Response:
        """The running block of every site, with the kW still allowed."""
        return frame(desk.running())

    @router.get("/sites/{site_id}/curve")
    def curve(site_id: str, day: date) -> Response:
        """The 96-point load curve of a local day."""
        return frame(desk.curve(day, _site(desk, site_id)))

    return router


def _alerts(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["alerts"])

    @router.get("/alerts")
    def alerts(state: str = "active", severity: str = "", site: str = "") -> Response:
        """Alerts, the most pressing first; `state` is active, resolved or all."""
        return json([asdict(row) for row in chosen(desk.alerts(), Filter(state, severity, site))])

    @router.get("/alerts/{alert_id}")
    def alert(alert_id: str) -> Response:
        """One alert with its figures and timeline."""
        return _alert(desk, alert_id)

    return router


def _alert(desk: Desk, alert_id: str) -> Response:
    try:
        return json(asdict(desk.alert(alert_id)))
    except LedgerError as unknown:
        raise HTTPException(404, str(unknown)) from unknown


def _acts(desk: Desk) -> APIRouter:
    router = APIRouter(tags=["alerts"])

    @router.post("/alerts/{alert_id}/acknowledge")
    def acknowledge(
        alert_id: str,
        actor: Annotated[str, Body(min_length=1, max_length=200)],
        note: Annotated[str, Body(max_length=2000)] = "",
    ) -> Response:
        """Record that `actor` has seen the alert and deals with it."""
        try:
            desk.acknowledge(alert_id, actor, note)
        except LedgerError as refused:
            raise HTTPException(409, str(refused)) from refused
        return _alert(desk, alert_id)

    @router.get("/alerts/{alert_id}/evidence")
    def evidence(alert_id: str, by: str = "console") -> FileResponse:
        """The sealed evidence package (zip); the export is an act in the ledger."""
        if desk.sources.export is None:
            raise HTTPException(404, "this process exports no evidence")
        try:
            path = desk.sources.export(alert_id, by)
        except UnsettledError as unsettled:
            raise HTTPException(503, str(unsettled), {"Retry-After": "5"}) from unsettled
        except LedgerError as unknown:
            raise HTTPException(404, str(unknown)) from unknown
        return FileResponse(path, media_type="application/zip", filename=path.name)

    return router
