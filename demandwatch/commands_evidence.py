"""`demandwatch evidence`: write and verify evidence packages."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from alerting.evidence.export import export
from alerting.evidence.verify import Report, verify
from alerting.ledger import Ledger, LedgerError
from collector.clock import Clock
from demandwatch.evidence_sources import evidence_sources
from demandwatch.options import Config, fail, loaded
from processors.history.store import History

evidence = typer.Typer(
    help="Write evidence packages, and verify them offline.", no_args_is_help=True
)


@evidence.command("export")
def export_(
    alert: Annotated[str, typer.Argument(help="Id of the alert; see `demandwatch query alerts`.")],
    config: Config,
    by: Annotated[str, typer.Option(help="Name of who exports; stands in the ledger.")],
    out: Annotated[Path, typer.Option(help="File or folder to write to.")] = Path(),
) -> None:
    """Write the sealed package of an alert, and note the export in the ledger."""
    settings = loaded(config)
    clock = Clock.real()
    history = History.open_readonly(settings.data / "history", settings.book, clock.now)
    ledger = Ledger(settings.data / "ledger.db", clock.now)
    try:
        written = export(alert, evidence_sources(settings, clock, history, ledger), out, by)
    except (LedgerError, ValueError, OSError) as error:
        fail(error)
    finally:
        ledger.close()
    Console(soft_wrap=True).print(f"written: {written}", markup=False)


@evidence.command("verify")
def verify_(
    file: Annotated[Path, typer.Argument(help="The package.")],
    key: Annotated[
        Path | None,
        typer.Option(help="Public key file (hex) received by another way, to trust the seal."),
    ] = None,
) -> None:
    """Verify a package without network or database; exit status 1 if anything is wrong.

    Checks the seal and every byte, computes intervals and verdict again from the raw readings, and
    says what differs.
    """
    try:
        trusted = bytes.fromhex(key.read_text(encoding="ascii").strip()) if key else None
        report = verify(file, trusted)
    except (OSError, ValueError) as error:
        fail(error)
    _print(file, report)
    raise typer.Exit(0 if report.ok else 1)


def _print(file: Path, report: Report) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if report.verdict is not None:
        found = report.verdict
        because = f" ({', '.join(found.reasons)})" if found.reasons else ""
        console.print(f"verdict: {found.outcome}; {found.standing or 'no overrun'}{because}")
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    for finding in report.findings:
        console.print(f"WRONG: {finding}", style="red", markup=False)
    told = "verified: nothing differs" if report.ok else "NOT verified"
    console.print(f"{file}: {told}", style="bold", markup=False)
