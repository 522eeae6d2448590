"""Firedoor's own sign of life: while its clock gets on, it asks an address that somebody else watches."""

from __future__ import annotations

import threading
from collections.abc import Callable

import requests
import structlog

log = structlog.get_logger()

EVERY = 60.0  # seconds
TIMEOUT = 5.0


def beat_outside(url: str, gets_on: Callable[[], bool], stop: threading.Event, *, every: float = EVERY) -> None:
    """Ask `url` now and once a minute until `stop`, from a thread. A clock that stands still stays silent."""
    threading.Thread(target=_beat, args=(url, gets_on, stop, every), name="heartbeat", daemon=True).start()


def _beat(url: str, gets_on: Callable[[], bool], stop: threading.Event, every: float) -> None:
    while not stop.is_set():
        if gets_on():
            _ask(url)
        stop.wait(every)


def _ask(url: str) -> None:
    """The address often holds a secret, and an exception would quote it: only the kind of failure is logged."""
    try:
        requests.get(url, timeout=TIMEOUT, allow_redirects=False).raise_for_status()
    except requests.RequestException as error:
        log.warning("heartbeat.failed", what=type(error).__name__)
