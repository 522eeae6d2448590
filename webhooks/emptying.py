"""Emptying the spool into the store, in order: by a thread of the web process, as soon as the store is back."""

from __future__ import annotations

import threading
from functools import partial

import structlog

from ports.database import Database, StoreDown
from webhooks.inbox import store
from webhooks.spool import Spool

log = structlog.get_logger()

LOOK_EVERY = 0.25  # seconds: while something waits, whatever comes after it waits behind it
STORE_DOWN_REST = 1.0


def empty(spool: Spool, database: Database) -> int:
    """Store what waits now; how many deliveries. StoreDown where the store is still away."""
    return spool.drain(lambda rows: database.perform(partial(store, rows=rows)))


def keep_empty(spool: Spool, database: Database, stop: threading.Event) -> threading.Thread:
    """Look for ever, from a thread of its own."""
    thread = threading.Thread(target=_run, args=(spool, database, stop), name="spool", daemon=True)
    thread.start()
    return thread


def _run(spool: Spool, database: Database, stop: threading.Event) -> None:
    rest = LOOK_EVERY
    while not stop.wait(rest):
        rest = LOOK_EVERY
        try:
            empty(spool, database)
        except StoreDown:
            rest = STORE_DOWN_REST
        except Exception:
            rest = STORE_DOWN_REST
            log.exception("spool.drain_failed")
