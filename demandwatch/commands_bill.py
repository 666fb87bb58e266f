"""`demandwatch bill` and `demandwatch ice-storage`: simulated bills from history."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from collector.clock import Clock
from collector.site import Site
from demandwatch import query
from demandwatch.options import AsOf, Config, fail, instant_of, loaded
from demandwatch.settings import Configuration, tariffs_of
from processors.history.store import History
from processors.tariff.ice import ice_storage

_SHOWN = (
    "line", "item", "period", "quantity", "unit", "price_yuan", "amount_yuan", "coverage",
    "estimated_share", "provenance", "reason", "notes",
)  # fmt: skip
"""What a table shows; machine formats carry all columns."""

Month = Annotated[datetime, typer.Option(formats=["%Y-%m"], help="The month, e.g. 2026-10.")]
SiteId = Annotated[str, typer.Option("--site", help="The site.")]
Form = Annotated[query.Format, typer.Option("--format", help="table, csv, json or parquet.")]
Out = Annotated[Path | None, typer.Option(help="Write to this file.")]


def bill_(
    config: Config,
    site: SiteId,
    month: Month,
    periods: Annotated[
        bool,
        typer.Option("--periods", help="Instead: energy and maximum demand by tariff period."),
    ] = False,
    as_of: AsOf = None,
    format_: Form = query.Format.TABLE,
    out: Out = None,
) -> None:
    """Simulate the bill of a site's month, every line explained.

    Energy by tariff period (sharp, peak, flat, valley) at flat price times ratio, government funds
    added flat, the basic charge of a two-part tariff, the power-factor adjustment, and their
    total; beside it the simulated progressive surcharge (测算), which is no part of the total.

    A site tells its contract under `supply:`, prices stand under `processors.tariff.prices`. Where
    one is missing the line has its quantity and the reason, and no amount. A month that still runs,
    missing blocks, estimates and days whose heat is not known are told in `notes`. Machine formats
    carry each line's formula and the source of each factor too.

    `--periods` tells energy and maximum demand of each tariff period, with its moment;
    `lower_bound` where only block demand is known.
    """
    desk = _Desk.open(config, site, as_of)
    first = month.date()
    told = tariffs_of(desk.settings)
    state = told.periods if periods else told.bill
    frame = state(desk.site, first, desk.history, desk.now, desk.as_of)
    table = format_ is query.Format.TABLE and out is None and not periods
    _write(frame.select(_SHOWN) if table else frame, format_, out)


def ice_storage_(
    config: Config,
    site: SiteId,
    month: Month,
    baseline: Annotated[
        datetime, typer.Option(formats=["%Y-%m"], help="A month without storage, e.g. 2025-10.")
    ],
    same_energy: Annotated[
        bool,
        typer.Option("--same-energy", help="Scale the baseline to the month's energy: shape only."),
    ] = False,
    as_of: AsOf = None,
    format_: Form = query.Format.TABLE,
    out: Out = None,
) -> None:
    """Evaluate ice storage: kWh moved to the valley, load cut in peak hours, money saved.

    The baseline is the typical day (working days and days off apart) of a month without storage,
    laid over the month with it. The money is parted into what the moved energy saves and what the
    ice-storage contract's own ratios save.
    """
    desk = _Desk.open(config, site, as_of)
    before, after = months = baseline.date(), month.date()
    told, at = tariffs_of(desk.settings), (desk.history, desk.as_of)
    rows = pl.concat(told.intervals(desk.site, one, *at) for one in months)
    rates = told.rates(desk.site, months, *at)
    frame = ice_storage(desk.site, before, after, rows, rates, same_energy=same_energy)
    _write(frame.drop("site_id", "baseline_month", "month"), format_, out)


def _write(frame: pl.DataFrame, format_: query.Format, out: Path | None) -> None:
    try:
        query.write(frame, format_, out)
    except OSError as error:
        fail(error)


@dataclass(frozen=True, slots=True)
class _Desk:
    """History as known at an instant, and what a bill needs of the settings."""

    settings: Configuration
    site: Site
    history: History
    now: datetime
    as_of: datetime | None

    @classmethod
    def open(cls, config: Path, site_id: str, as_of: datetime | None) -> "_Desk":
        settings = loaded(config)
        site = next((one for one in settings.sites if one.id == site_id), None)
        if site is None:
            fail(f"no site {site_id} in {config}")
        clock = Clock.real()
        known = instant_of(as_of, site.timezone)
        folder = settings.data / "history"
        try:
            history = History.open_readonly(folder, settings.book, clock.now)
        except (OSError, ValueError) as error:
            fail(error)
        return cls(settings, site, history, known or clock.now(), known)
