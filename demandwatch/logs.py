"""Structured logs: one JSON object a line for machines, coloured lines for people."""

import logging
import sys

import structlog


def configure(*, json: bool, level: str = "info") -> None:
    """Send structlog's events, and the libraries' own warnings, to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shape: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if json
            else structlog.processors.StackInfoRenderer(),
            shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr)
    # the reader reports each failed poll itself; the library would print every frame on top
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
