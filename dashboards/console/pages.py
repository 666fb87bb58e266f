"""The pages: City `/`, Site `/site/{id}`, Alerts `/alerts`; others have their own modules."""

import asyncio
from datetime import date

from fastapi import Request
from nicegui import ui

from alerting.ledger import LedgerError
from dashboards.console import (
    parts_alerts,
    parts_city,
    parts_indices,
    parts_meters,
    parts_site,
    shell,
)
from dashboards.console.chart_load import load_curve
from dashboards.console.chart_quota import burn_down
from dashboards.console.page_fleet import register_fleet
from dashboards.console.page_month import register_month
from dashboards.console.screen import Screen
from dashboards.console.words import Words
from dashboards.desk import Desk, UnknownSiteError
from dashboards.view_alerts import AlertDetail, AlertRow, Filter, chosen
from dashboards.view_city import City
from dashboards.view_site import Quota, SitePage


def register(desk: Desk) -> None:
    """Register the pages with NiceGUI; a later call replaces an earlier one's pages."""

    @ui.page("/")
    async def city(request: Request, q: str = "") -> None:
        shown = shell.visit(request, desk.settings.language)
        screen = await asyncio.to_thread(lambda: Screen(lambda: desk.city(search=q)))
        with shell.page(desk, shown, fixed=True):
            _city(screen, shown.t, q)
        screen.follow(desk.settings.refresh_s)

    @ui.page("/site/{site_id}")
    async def site(request: Request, site_id: str, day: date | None = None) -> None:
        shown = shell.visit(request, desk.settings.language)
        try:
            screen = await asyncio.to_thread(lambda: Screen(lambda: desk.site(site_id, day)))
        except UnknownSiteError:
            shell.unknown_site(desk, shown)
            return
        with shell.page(desk, shown):
            _site(screen, shown.t)
        screen.follow(desk.settings.refresh_s)

    @ui.page("/alerts")
    async def alerts(
        request: Request,
        state: str = "active",
        severity: str = "",
        site: str = "",
        id: str = "",  # noqa: A002 - the query's name
    ) -> None:
        shown = shell.visit(request, desk.settings.language)
        wanted = Filter(state, severity, site)
        screen = await asyncio.to_thread(lambda: Screen(desk.alerts))
        with shell.page(desk, shown, fixed=True):
            await _alerts(desk, screen, wanted, shown.t, id)
        screen.follow(desk.settings.refresh_s)

    register_fleet(desk)
    register_month(desk)


def _city(screen: Screen[City], t: Words, search: str) -> None:
    screen.html(lambda view: parts_city.kpis(view, t))
    with ui.element("main").classes("city"):
        with ui.element("section").classes("panel"):
            screen.html(lambda view: parts_city.curve_title(view, t))
            screen.chart(lambda view: _city_curve(view, t))
        with ui.element("aside").classes("side"):
            screen.html(lambda view: parts_city.alerts(view, t), "panel alerts")
            screen.html(lambda view: parts_city.districts(view, t), "panel")
        with ui.element("section").classes("panel"):
            ui.html(parts_city.find(search, t), sanitize=False)
            screen.html(lambda view: parts_city.sites(view, t), "scroll")


def _city_curve(view: City, t: Words) -> dict[str, object]:
    return load_curve(view.today, view.yesterday, view.at, t, until=view.until)


def _site(screen: Screen[SitePage], t: Words) -> None:
    screen.html(lambda view: parts_meters.head(view, t))
    screen.html(lambda view: parts_meters.kpis(view, t))
    with ui.element("section").classes("site-top"):
        with ui.element("div").classes("panel"):
            screen.html(lambda view: parts_meters.curve_title(view, t))
            screen.chart(lambda view: _site_curve(view, t))
        screen.html(lambda view: parts_site.running(view, t), "panel")
    with ui.element("section").classes("site-low"):
        with ui.element("div").classes("panel"):
            screen.html(lambda view: parts_site.quota(view, t))
            if screen.view.site.quota_month_kwh:
                screen.chart(lambda view: _burn_down(view.quota, view, t))
        if screen.view.site.quota_year_kwh:
            with ui.element("div").classes("panel"):
                screen.html(lambda view: parts_site.year(view, t))
                screen.chart(lambda view: _burn_down(view.year, view, t))
        screen.html(lambda view: parts_site.intensity(view, t), "panel")
    screen.html(lambda view: parts_indices.indices(view, t))
    screen.html(lambda view: parts_meters.meters(view, t), "panel")


def _site_curve(view: SitePage, t: Words) -> dict[str, object]:
    contract = view.running.contract_demand_kw
    running = view.running if view.is_today else None
    return load_curve(view.today, view.yesterday, view.at, t, contract, running, until=view.until)


def _burn_down(quota: Quota | None, view: SitePage, t: Words) -> dict[str, object]:
    return burn_down(quota, view.site.timezone, t) if quota else {}


async def _alerts(
    desk: Desk, screen: Screen[tuple[AlertRow, ...]], wanted: Filter, t: Words, alert_id: str
) -> None:
    site = desk.sites.get(wanted.site_id)
    name = t.pick(site.name) if site else wanted.site_id
    ui.html(parts_alerts.filters(wanted, name, t), sanitize=False)
    with ui.element("main").classes("split"):
        screen.html(
            lambda rows: parts_alerts.listing(
                chosen(rows, wanted), alert_id, wanted, desk.timezone, t
            ),
            "panel",
        )
        with ui.element("section").classes("panel"), ui.element("div").classes("scroll"):
            first = next(iter(chosen(screen.view, wanted)), None)
            shown = alert_id or (first.alert_id if first else "")
            await _detail(desk, shown, t)


async def _detail(desk: Desk, alert_id: str, t: Words) -> None:
    if not alert_id:
        ui.html(f'<div class="quiet">{t("choose_alert")}</div>', sanitize=False)
        return
    try:
        screen = await asyncio.to_thread(lambda: Screen(lambda: desk.alert(alert_id)))
    except LedgerError:
        ui.html(f'<div class="quiet">{t("no_alerts")}</div>', sanitize=False)
        return
    download = desk.sources.export is not None
    screen.html(lambda view: parts_alerts.detail(view, desk.timezone, t, download=download))
    _acknowledge(desk, screen, t)
    screen.html(lambda view: parts_alerts.history(view, desk.timezone, t))
    screen.follow(desk.settings.refresh_s)


def _acknowledge(desk: Desk, screen: Screen[AlertDetail], t: Words) -> None:
    """Offer to acknowledge an open alert, with a name."""
    with ui.element("div").classes("ack") as row:
        name = ui.input(t("your_name")).props("dark dense outlined")
        note = ui.input(t("note")).props("dark dense outlined")

        async def act() -> None:
            if not name.value.strip():
                ui.notify(t("name_needed"), type="warning")
                return
            try:
                await asyncio.to_thread(
                    desk.acknowledge, screen.view.alert.alert_id, name.value, note.value
                )
            except LedgerError as problem:
                ui.notify(str(problem), type="warning")
            screen.show(await asyncio.to_thread(desk.alert, screen.view.alert.alert_id))

        ui.button(t("acknowledge"), on_click=act, color=None).props("unelevated no-caps")
    screen.also(lambda view: row.set_visibility(view.alert.open))
