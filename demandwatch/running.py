"""`demandwatch run`: one system until a signal ends it."""

import threading
from pathlib import Path

import structlog

from collector.clock import Clock
from demandwatch.app import App
from demandwatch.faults import ConfigurationError
from demandwatch.settings import Configuration, load
from demandwatch.signals import signals


def run(config: Configuration, clock: Clock, *, console: bool = True) -> None:
    """Run until SIGINT or SIGTERM; SIGHUP reads the settings anew.

    New settings that are faulty, or cannot be started (a taken port), are reported and the old ones
    stay in force. Nothing is lost by a reload: what arrives meanwhile waits in the journal, at the
    broker and in the meters' registers.

    Raises:
        OSError: the first settings cannot be started.
    """
    log = structlog.get_logger()
    if config.settings.collector.edge is not None:
        log.warning("collector.edge is for `demandwatch collect`: a run forwards nothing")
    stop, reload = threading.Event(), threading.Event()
    wake = threading.Event()

    def ask(event: threading.Event) -> None:
        event.set()
        wake.set()

    with signals(SIGINT=lambda: ask(stop), SIGTERM=lambda: ask(stop), SIGHUP=lambda: ask(reload)):
        proven: Configuration | None = None
        while not stop.is_set():
            try:
                app = App(config, clock, console=console)
                app.start()
            except (OSError, RuntimeError) as error:
                if proven is None:
                    raise
                log.error("the new settings cannot be started: back to the old", why=str(error))  # noqa: TRY400 - the error is the message
                config, proven = proven, None
                continue
            told = app.console.url if app.console else "off"
            log.info("running", sites=len(config.sites), console=told, data=str(config.data))
            try:
                proven, config = config, _serve(config, wake, stop, reload)
            finally:
                app.stop()
        log.info("stopped")


def _serve(
    config: Configuration,
    wake: threading.Event,
    stop: threading.Event,
    reload: threading.Event,
) -> Configuration:
    """Wait for a signal; return the configuration to go on with."""
    while True:
        wake.wait()
        wake.clear()
        if stop.is_set():
            return config
        if reload.is_set():
            reload.clear()
            fresh = _reloaded(config.path)
            if fresh is not None:
                return fresh


def _reloaded(path: Path) -> Configuration | None:
    log = structlog.get_logger()
    try:
        config = load(path)
    except ConfigurationError as error:
        faults = [str(one) for one in error.faults]
        log.error("the new settings have faults: the old ones stay in force", faults=faults)  # noqa: TRY400 - the faults are the message
        return None
    log.info("settings read anew")
    return config
