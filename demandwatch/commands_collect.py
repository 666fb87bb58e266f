"""`demandwatch collect`: the collector alone, at the edge."""

import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import structlog
import typer
from rich.console import Console

from collector.clock import Clock
from demandwatch import logs
from demandwatch.collecting import Edge
from demandwatch.edgeconfig import EdgeConfiguration, load_edge
from demandwatch.faults import ConfigurationError
from demandwatch.options import Config, fail, fail_with
from demandwatch.signals import signals

TTY_EVERY_S = 1.0
LOG_EVERY_S = 60.0


def collect(
    config: Config,
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON lines.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Ask the running collector how it is, as JSON.")
    ] = False,
) -> None:
    """Read meters, keep the readings on disk, forward them upstream; until Ctrl-C or SIGTERM.

    What cannot be forwarded waits in the journal, whose size is given in hours; the time left is
    shown. SIGHUP reads the settings anew; faulty ones are reported and change nothing.

    With --status the exit status is 1 if no collector answers, 2 if it has a problem.
    """
    try:
        settings = load_edge(config)
    except ConfigurationError as error:
        fail_with(error)
    if status:
        _show(settings)
        return
    logs.configure(json=log_json)
    try:
        _run(settings, Clock.real())
    except OSError as error:
        fail(error)


def line_of(status: Mapping[str, object]) -> str:
    """Return the status in one line."""
    link = cast("Mapping[str, object]", status["upstream"])
    journal = cast("Mapping[str, object]", status["journal"])
    meters = cast("Mapping[str, object]", status["meters"])
    up = "connected" if link["connected"] else "OFFLINE"
    left = journal["hours_left"]
    time_left = f"{left} h left" if left is not None else "time left not known yet"
    return (
        f"upstream {up} | journal {journal['percent_full']} % full, {time_left}, "
        f"oldest waiting {journal['hours_held']} h | meters {meters['heard']}/{meters['listed']}"
    )


def _run(config: EdgeConfiguration, clock: Clock) -> None:
    log = structlog.get_logger()
    stop, reload, wake = threading.Event(), threading.Event(), threading.Event()

    def ask(event: threading.Event) -> None:
        event.set()
        wake.set()

    with signals(SIGINT=lambda: ask(stop), SIGTERM=lambda: ask(stop), SIGHUP=lambda: ask(reload)):
        proven: EdgeConfiguration | None = None
        while not stop.is_set():
            try:
                edge = Edge(config, clock)
            except OSError as error:
                if proven is None:
                    raise
                log.error("the new settings cannot be started: back to the old", why=str(error))  # noqa: TRY400 - the error is the message
                config, proven = proven, None
                continue
            with edge:
                status = f"http://{config.edge.status_host}:{edge.server.port}/status"
                log.info("collecting", edge=config.edge.id, meters=config.meters, status=status)
                proven = config
                while not (stop.is_set() or reload.is_set()):
                    _say(edge, wake)
            if reload.is_set():
                reload.clear()
                config = _reloaded(config)
        log.info("stopped")


def _say(edge: Edge, wake: threading.Event) -> None:
    """Show the status in a line of its own, or log it now and then; until woken or due again."""
    terminal = sys.stderr.isatty()
    if wake.wait(TTY_EVERY_S if terminal else LOG_EVERY_S):
        wake.clear()
        if terminal:
            sys.stderr.write("\n")
    elif terminal:
        sys.stderr.write(f"\r\x1b[K{line_of(edge.status())}")
        sys.stderr.flush()
    else:
        structlog.get_logger().info("status", line=line_of(edge.status()))


def _reloaded(config: EdgeConfiguration) -> EdgeConfiguration:
    log = structlog.get_logger()
    try:
        fresh = load_edge(config.path)
    except ConfigurationError as error:
        faults = [str(one) for one in error.faults]
        log.error("the new settings have faults: the old ones stay in force", faults=faults)  # noqa: TRY400 - the faults are the message
        return config
    log.info("settings read anew")
    return fresh


def _show(config: EdgeConfiguration) -> None:
    edge = config.edge
    url = f"http://{edge.status_host}:{edge.status_port}/status"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        kept = _kept(config.data)
        fail(f"no collector answers at {url} ({error}); {kept}")
    Console(stderr=True, highlight=False).print(line_of(found), markup=False)
    print(json.dumps(found, ensure_ascii=False, indent=2))  # noqa: T201 - this is the answer
    if found["problems"]:
        raise typer.Exit(2)


def _kept(data: Path) -> str:
    file = data / "journal.db"
    size = file.stat().st_size / 1e6 if file.exists() else 0.0
    return f"its journal takes {size:.0f} MB"
