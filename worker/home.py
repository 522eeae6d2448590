"""The threads of one process that keeps promises: who is free, who is out, and what they brought back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from worker.renewing import Grip

log = structlog.get_logger("worker.home")


class Home:
    """The threads of one process, who is out, and what they brought back."""

    def __init__(self, threads: int, grip: Grip) -> None:
        self.pid = os.getpid()
        self.grip = grip
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="keeper")
        self.filling = threading.Lock()
        self.settling = threading.Lock()
        self.hungry: set[str] = set()  # lanes that had more rows than there were free threads
        self.closing = False
        self.busy = 0
        self.settled = 0
        self._changed = threading.Condition()
        self._done: list[Any] = []

    def reserve(self, wanted: int) -> int:
        """As many of the free threads as are wanted: nobody else claims a row for them."""
        with self._changed:
            got = 0 if self.closing else max(0, min(self.threads - self.busy, wanted))
            self.busy += got
            return got

    def give_back(self, reserved: int) -> None:
        """Threads that were reserved and found nothing to do."""
        with self._changed:
            self.busy -= reserved
            self._changed.notify_all()

    def begin(self, what: Callable[..., None], *arguments: Any) -> None:
        """In a thread that was reserved. Where the machine has no thread to spare, one that comes free takes it."""
        try:
            self.pool.submit(what, *arguments)
        except RuntimeError as error:  # it is in the pool's queue all the same; a pool that is shut down ends with us
            log.warning("worker.no_thread", what=str(error))

    def bring(self, done: Any) -> None:
        with self._changed:
            self._done.append(done)

    def take_done(self) -> list[Any]:
        with self._changed:
            done, self._done = self._done, []
            return done

    def leave(self) -> None:
        with self._changed:
            self.busy -= 1
            self.settled += 1
            self._changed.notify_all()

    def wait_for_a_change(self, seen: int, until: float, pulse: Callable[[], None]) -> bool:
        """Wait until a thread came back. False when none is out, or when we have waited long enough."""
        while time.monotonic() < until:
            with self._changed:
                if self.settled != seen:
                    return True
                if self.busy == 0:
                    return False
                self._changed.wait(min(0.5, until - time.monotonic()))
                if self.settled != seen:
                    return True
            pulse()
        return False

    def wait_until_idle(self, seconds: float, pulse: Callable[[], None]) -> None:
        until = time.monotonic() + seconds
        while self.busy and time.monotonic() < until:
            with self._changed:
                if self.busy:
                    self._changed.wait(min(0.5, max(0.0, until - time.monotonic())))
            pulse()
