"""`demandwatch bill-compare`: bills under other settings, before those are published."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ParamSpec
from zoneinfo import ZoneInfo

import polars as pl
import typer
from rich.console import Console
from rich.progress import track

from collector.clock import Clock
from collector.site import Site
from collector.yamlfile import load_yaml
from demandwatch import query
from demandwatch.commands_policy import chosen_sites
from demandwatch.faults import ConfigurationError
from demandwatch.options import Config, fail, fail_with, loaded
from demandwatch.settings import Configuration, tariffs_of
from processors.history.store import History
from processors.policy.load import laid_over
from processors.tariff.compare import changed_lines, compared, sum_known
from processors.tariff.contract import next_month
from processors.tariff.desk import Tariffs
from processors.tariff.lines import LINES

SETTINGS = "demandwatch.yaml"
BILLED = {"tariff", "power_factor", "surcharge"}
"""The kinds of packs a bill rests on."""
_SHOWN = (
    "site_id", "month", "before_yuan", "after_yuan", "difference_yuan", "known_difference_yuan",
    "changed", "reason_before", "reason_after",
)  # fmt: skip
_LINES_SHOWN = (
    "site_id", "month", "item", "period", "quantity_before", "quantity_after", "unit",
    "price_before_yuan", "price_after_yuan", "difference_yuan", "reason_after",
)  # fmt: skip


def bill_compare(
    config: Config,
    other: Annotated[
        Path,
        typer.Option(
            "--with", help="Other settings (file or folder), or one file of tariff packs."
        ),
    ],
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m"], help="First month; else the last whole one."),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m"], help="Last month, included; else the first."),
    ] = None,
    sites: Annotated[
        list[str] | None, typer.Option(help="Only these sites; repeatable, or with commas.")
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Instead: each line that changes, before and after.")
    ] = False,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Simulate bills (测算) under these settings and under others, and tell what differs.

    Before a new tariff, price list or contract is published: copy the settings, or only the file of
    the pack, change it, and compare. A pack of the file stands in for the same id and edition, or
    beside the others. Each site and month: the total before and after, their difference, and the
    items that change; `--lines` the lines themselves, with both sides' figures and sources.

    Bills are computed whenever they are asked for and nothing of them is kept, so once the new
    settings are published there is nothing to recompute. Energy is that of this --config's history
    on both sides.
    """
    settings = loaded(config)
    after, theirs = _other(settings, other)
    try:
        months = _months(start, end, settings)
        named = _named(settings.sites, theirs, sites or [])
        old, new = _bills(settings, (after, theirs), named, months)
        changed = changed_lines(old, new)
        totals = compared(old, new, changed)
        shown, columns = (changed, _LINES_SHOWN) if lines else (totals, _SHOWN)
        if format_ is query.Format.TABLE and out is None:
            _summary(totals)
            shown = _telling(shown.select(columns))
        query.write(shown, format_, out)
    except (OSError, ValueError) as error:
        fail(error)


def _other(settings: Configuration, path: Path) -> tuple[Tariffs, tuple[Site, ...]]:
    """Return the tariffs and sites to compare with."""
    file = path / SETTINGS if path.is_dir() else path
    if not file.is_file():
        fail(f"{file} is not there: name other settings or a file of packs")
    data = load_yaml(file).data
    if isinstance(data, dict) and ("kind" in data or "packs" in data):
        if not _kinds(data) & BILLED:
            fail(f"{file} holds no pack a bill rests on ({', '.join(sorted(BILLED))})")
        mine = tariffs_of(settings)
        packs, faults = laid_over(mine.packs, file)
        if faults:
            fail_with(ConfigurationError(faults))
        return Tariffs(packs, mine.settings, mine.surcharge, mine.calendar), settings.sites
    config = loaded(file)
    return tariffs_of(config), config.sites


def _kinds(data: dict[str, Any]) -> set[object]:
    packs = data.get("packs")
    every = packs if isinstance(packs, list) else [data]
    return {one.get("kind") for one in every if isinstance(one, dict)}


def _months(start: datetime | None, end: datetime | None, settings: Configuration) -> list[date]:
    today = Clock.real().now().astimezone(ZoneInfo(settings.sites[0].timezone)).date()
    last = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    first = start.date() if start else end.date() if end else last
    stop = end.date() if end else first
    if stop < first:
        raise ValueError("--to must not be earlier than --from")
    months = [first]
    while months[-1] < stop:
        months.append(next_month(months[-1]))
    return months


def _named(mine: Sequence[Site], theirs: Sequence[Site], wanted: Sequence[str]) -> list[str]:
    """Return the ids of the sites of either settings."""
    every = list({one.id: one for one in (*theirs, *mine)}.values())
    return [one.id for one in chosen_sites(every, wanted)]


_Asked = ParamSpec("_Asked")


class _Remembered:
    """A history that reads what both sides ask for once."""

    def __init__(self, history: History) -> None:
        self.intervals, self.readings = _once(history.intervals), _once(history.readings)
        self.days = history.days


def _once(read: Callable[_Asked, pl.DataFrame]) -> Callable[_Asked, pl.DataFrame]:
    """Return `read` with its last answers remembered."""
    kept = lru_cache(maxsize=16)(read)

    def remembered(*args: _Asked.args, **named: _Asked.kwargs) -> pl.DataFrame:
        return kept(*map(_fixed, args), **{name: _fixed(one) for name, one in named.items()})

    return remembered


def _fixed(value: object) -> Hashable:
    return tuple(value) if isinstance(value, list) else value


Side = tuple[Tariffs, Sequence[Site]]


def _bills(
    settings: Configuration, after: Side, named: list[str], months: list[date]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return LINES of both sides."""
    clock, before = Clock.real(), (tariffs_of(settings), settings.sites)
    history = History.open_readonly(settings.data / "history", settings.book, clock.now)
    now, rows = clock.now().astimezone(UTC), _Remembered(history)
    told: tuple[list[pl.DataFrame], list[pl.DataFrame]] = ([], [])
    sides = [({one.id: one for one in sites}, tariffs) for tariffs, sites in (before, after)]
    for name, month in _each(named, months):
        for (known, tariffs), frames in zip(sides, told, strict=True):
            if name in known:
                frames.append(tariffs.bill(known[name], month, rows, now))
    empty = pl.DataFrame(schema=LINES)
    return pl.concat([empty, *told[0]]), pl.concat([empty, *told[1]])


def _each(named: list[str], months: list[date]) -> Iterable[tuple[str, date]]:
    every = [(name, month) for month in months for name in named]
    return track(every, "bills", console=Console(stderr=True), transient=True)


def _telling(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out columns that say nothing here, so that the others fit a terminal."""
    empty = {"reason_before", "reason_after", "period"} & set(rows.columns)
    silent: list[str] = [name for name in empty if rows[name].null_count() == rows.height]
    if "known_difference_yuan" in rows.columns and rows["difference_yuan"].null_count() == 0:
        silent.append("known_difference_yuan")
    return rows.drop(silent)


def _summary(totals: pl.DataFrame) -> None:
    """Tell the sum of what is known, and of how many bills it is not."""
    yuan, known = sum_known(totals)
    changed = totals.filter(pl.col("lines_changed") > 0).height
    typer.echo(
        f"simulated (测算): {changed} of {totals.height} bills change; of the {known} with both"
        f" totals known the sum changes by {yuan:+,.2f} yuan"
    )
