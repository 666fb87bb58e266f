"""`demandwatch query`."""

from pathlib import Path
from typing import Annotated

import typer

from demandwatch import query
from demandwatch.options import Config, fail, loaded
from demandwatch.query_sums import Per
from processors.indices import Length


def query_(
    table: Annotated[query.Table, typer.Argument(help="What to ask for.")],
    config: Config,
    meter: Annotated[list[str] | None, typer.Option(help="Only this meter; repeatable.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only this site; repeatable.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Day or instant; included.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Day or instant; excluded.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Answer with what was known at this instant.")
    ] = None,
    period: Annotated[
        Length, typer.Option(help="Of indices, weekdays, year-on-year, typical-days, quality, ...")
    ] = Length.MONTH,
    group: Annotated[
        str,
        typer.Option(
            help="Of sums: [b]site[/], [b]park[/], [b]district[/], [b]industry[/] (GB/T 4754 "
            "division), [b]city[/], [b]label:KEY[/] or [b]virtual[/] (meters by formula)."
        ),
    ] = "district",
    per: Annotated[
        Per, typer.Option(help="Of sums and balance: 15-minute blocks or local days.")
    ] = Per.BLOCK,
    raw: Annotated[
        bool, typer.Option("--raw", help="intervals: add what the register itself said.")
    ] = False,
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Ask history and ledger, beside a running system or without it.

    Times without an offset are local to the first site. Machine formats carry UTC.

    Tables told by --period (local days, months, years; each told whole): indices (load factor,
    peak-valley difference and ratio, utilisation hours, maximum demand), weekdays, year-on-year,
    typical-days, duration, tariff-shares (energy by sharp, peak, flat and valley hours, as the
    tariff of the site's contract has them): of meters, and of sites as the sum of their main
    meters; without either, of all sites. quality: voltage deviation, unbalance, harmonics,
    frequency, power factor of meters. A figure that rests on too little is empty, and its reason
    says why.

    targets: sectors, districts and sites year by year against `processors.targets`.
    carbon: CO2 of purchased electricity by site and month, by the factors `processors.carbon`
    chooses; carbon-labels: by unit of the outputs declared within --from and --to.

    anomalies (of the last 30 days unless --from says otherwise): what looks wrong at meters, each a
    clue (线索) and no evidence. anomalies-sought: which kinds were looked for, and why not.
    """
    settings = loaded(config)
    asked = query.Question(
        tuple(meter or ()), tuple(site or ()), start, end, as_of, period, group, per, raw=raw
    )
    try:
        query.write(query.ask(table, asked, settings), format_, out, table)
    except (OSError, ValueError) as error:
        fail(error)
