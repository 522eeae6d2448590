"""Log lines: JSON in production, plain at a terminal, and never a secret in them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from incidents.alerts import clean_line, clean_text

HIDDEN = "[hidden]"
LONGEST = 20_000
# The libraries' own lines matter when something is wrong; their chatter would bury ours.
QUIET = {
    "rq": logging.WARNING,
    "gunicorn": logging.WARNING,
    "alembic": logging.WARNING,
    "urllib3": logging.ERROR,  # it warns of each connection that it does not keep
}


class Discreet(ProcessorFormatter):
    """Formats every line, ours and the libraries', and blanks the secrets that we know."""

    def __init__(self, *, hide: Iterable[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.hide = [secret for secret in hide if len(secret) >= 6]  # shorter ones are words, like "root"

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for secret in self.hide:
            line = line.replace(secret, HIDDEN)
        return line


def set_up_logs(process: str, *, hide: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to stderr, under the process's name."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _under(process),
    ]
    last: list[Processor] = (
        [
            structlog.processors.format_exc_info,
            _harmless,
            structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback),
        ]
        if stream.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    formatter = Discreet(
        hide=hide,
        foreign_pre_chain=shared,
        processors=[ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a forked child has a name of its own
    )


def _harmless(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """At a terminal: what a sender wrote moves no cursor and poses as no line of ours, whoever quotes it."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = (clean_text if name == "exception" else clean_line)(value, LONGEST)
    return event


def _under(process: str) -> Processor:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    return add
