"""A claim is short and is renewed while its worker lives: what a killed or frozen one held is due again in seconds."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Row

from incidents import claims
from ports.database import Database, StoreDown, Work

log = structlog.get_logger("worker.renewing")

GRIP = timedelta(seconds=10)  # with the clock's next look and the second try, a page is less than 15 s late
EVERY = 3.0  # seconds; most acts are over before their first renewal


class Grip:
    """The rows that one process has in hand. None is held for longer than the lease, however long its act hangs."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self.first = min(GRIP, lease)
        self._database = database
        self._longest = lease - self.first
        self._lock = threading.Lock()
        self._rows: dict[int, Row[Any]] = {}
        self._renewer: tuple[int, threading.Thread] | None = None

    def hold(self, row: Row[Any]) -> None:
        with self._lock:
            self._rows[row.id] = row
            if self._longest and not self._is_renewing():
                thread = threading.Thread(target=self._renew_while_held, name="renewer", daemon=True)
                thread.start()
                self._renewer = (os.getpid(), thread)

    def let_go(self, row: Row[Any]) -> None:
        with self._lock:
            held = self._rows.get(row.id)
            if held is not None and held.fence == row.fence:
                del self._rows[row.id]

    def _is_renewing(self) -> bool:
        return self._renewer is not None and self._renewer[0] == os.getpid()

    def _renew_while_held(self) -> None:
        """Ends by itself when there is nothing to renew."""
        while True:
            threading.Event().wait(EVERY)
            with self._lock:
                rows = list(self._rows.values())
                if not rows:
                    self._renewer = None
                    return
            try:
                self._database.alone(partial(self._renew, rows))
            except StoreDown as error:
                log.warning("store.down", what=str(error), held=len(rows))
            except Exception:
                log.exception("promise.renew_failed")

    def _renew(self, rows: list[Row[Any]], work: Work) -> None:
        for row in sorted(rows, key=lambda row: row.id):
            until = min(work.now + self.first, row.lease_until + self._longest)
            claims.renew(work.session, row, until=until, now=work.now)
