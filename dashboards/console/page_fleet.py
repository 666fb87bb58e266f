"""The Fleet page `/fleet`: how each meter is, the ledger of gaps, refused data."""

import asyncio

from fastapi import Request
from nicegui import ui

from dashboards.console import parts_fleet, parts_fleet_rows, shell
from dashboards.console.screen import Screen
from dashboards.desk import Desk
from dashboards.view_fleet import Wanted


def register_fleet(desk: Desk) -> None:
    """Register the page with NiceGUI; a later call replaces an earlier one's."""

    @ui.page("/fleet")
    async def fleet(
        request: Request,
        tab: str = "meters",
        state: str = "",
        district: str = "",
        site: str = "",
        link: str = "",
        q: str = "",
        page: int = 1,
    ) -> None:
        shown = shell.visit(request, desk.settings.language)
        wanted = Wanted(tab, state, district, site, link, q, max(page, 1))
        screen = await asyncio.to_thread(lambda: Screen(lambda: desk.meters.page(wanted)))
        with shell.page(desk, shown, fixed=True):
            screen.html(lambda view: parts_fleet.kpis(view, shown.t))
            with ui.element("div").classes("chips"):
                screen.html(lambda view: parts_fleet.filters(view, shown.t))
                ui.html(parts_fleet.form(screen.view, shown.t), sanitize=False).classes("push")
            with ui.element("section").classes("panel fleet"):
                screen.html(lambda view: parts_fleet_rows.listing(view, shown.t), "fill")
        screen.follow(desk.settings.refresh_s)
