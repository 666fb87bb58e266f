"""The month page `/site/{id}/month`: simulated bill, tariff periods, power quality."""

import asyncio
import re
from datetime import date

from fastapi import Request
from nicegui import ui

from dashboards.console import parts_month, shell
from dashboards.console.screen import Screen
from dashboards.desk import Desk, UnknownSiteError


def register_month(desk: Desk) -> None:
    """Register the page with NiceGUI; a later call replaces an earlier one's.

    It does not follow: it rests on the readings of a month, which are read once it is asked for.
    """

    @ui.page("/site/{site_id}/month")
    async def month(request: Request, site_id: str, month: str = "") -> None:
        shown = shell.visit(request, desk.settings.language)
        asked = month_of(month)
        try:
            screen = await asyncio.to_thread(lambda: Screen(lambda: desk.month(site_id, asked)))
        except UnknownSiteError:
            shell.unknown_site(desk, shown)
            return
        with shell.page(desk, shown):
            screen.html(lambda view: parts_month.head(view, shown.t))
            screen.html(lambda view: parts_month.bill(view, shown.t), "panel")
            screen.html(lambda view: parts_month.shares(view, shown.t), "panel")
            screen.html(lambda view: parts_month.quality(view, shown.t), "panel")


def month_of(words: str) -> date | None:
    """Return the first day of a month written YYYY-MM; None for anything else."""
    told = re.fullmatch(r"(19[7-9]\d|2[01]\d\d)-(0[1-9]|1[0-2])", words)
    return None if told is None else date(int(told[1]), int(told[2]), 1)
