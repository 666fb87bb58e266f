"""`demandwatch query`."""

from pathlib import Path
from typing import Annotated

import typer

from demandwatch import query
from demandwatch.options import Config, fail, loaded


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
    format_: Annotated[query.Format, typer.Option("--format")] = query.Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
) -> None:
    """Ask history and ledger, beside a running system or without it.

    Times without an offset are local to the first site. Machine formats carry UTC.
    """
    settings = loaded(config)
    asked = query.Question(tuple(meter or ()), tuple(site or ()), start, end, as_of)
    try:
        query.write(query.ask(table, asked, settings), format_, out, table)
    except (OSError, ValueError) as error:
        fail(error)
