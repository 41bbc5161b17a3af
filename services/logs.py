"""Logs of a serving process: one line each on standard error, JSON when no terminal reads them."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(level: str, **fields: object) -> None:
    """Set up structlog once per process; `level` is debug, info, warning or error, `fields` stand in each line."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            lambda logger, name, event: {**event, **fields},
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def make_own_logger() -> structlog.typing.FilteringBoundLogger:
    """Make a logger with a level of its own: its lines show whatever else is logged."""
    writer = structlog.WriteLogger(sys.stderr)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        writer, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
    )
    return logger
