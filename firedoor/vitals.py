"""What ties a process to its supervisor: the pulse that it gives, and its death when the supervisor dies."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
M_TRIM_THRESHOLD, M_ARENA_MAX = -1, -8  # glibc's
EVERY = 1.0  # seconds between two beats
QUICK = 15.0  # a healthy loop comes round more often than that
STUCK = 60.0  # a loop that has not come round for so long is stuck, however well its threads are


class Pulse:
    """A pipe to the supervisor. A byte means "I still get on"; without a supervisor nothing is sent."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = descriptor
        self.beaten_at = 0.0
        self.lived_at = time.monotonic()
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def beat(self) -> None:
        """Cheap enough for every turn of a loop: at most one byte a second leaves."""
        now = time.monotonic()
        if self.descriptor is None or now - self.beaten_at < EVERY:
            return
        self.beaten_at = now
        with contextlib.suppress(OSError):  # a full or closed pipe is the supervisor's affair
            os.write(self.descriptor, b".")

    def lives(self) -> None:
        """The loop of this process came round."""
        self.lived_at = time.monotonic()

    def is_alive(self) -> bool:
        return time.monotonic() - self.lived_at < QUICK

    def beat_from_thread(self) -> None:
        """For a loop that may wait long by design, for a database or a provider.

        SIGSTOP stops every thread, so a frozen process falls silent at once, and a stuck one after a minute.
        """
        if self.descriptor is not None:
            threading.Thread(target=self._beat_while_it_lives, name="pulse", daemon=True).start()

    def _beat_while_it_lives(self) -> None:
        while True:
            if time.monotonic() - self.lived_at < STUCK:
                self.beat()
            time.sleep(EVERY + 0.01)


def die_with(parent: int, leash: int | None = None) -> None:
    """End this process when `parent` ends, however it ends.

    Linux has a signal for it. Elsewhere the parent holds the writing end of a pipe, and a thread waits for its end.
    """
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    elif leash is not None:
        threading.Thread(target=_wait_for_end, args=(leash,), name="leash", daemon=True).start()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def name_process(name: str) -> None:
    """What `ps` and `top` show; Linux keeps 15 characters."""
    if sys.platform == "linux":
        prctl(PR_SET_NAME, name.encode()[:15])


def save_memory() -> None:
    """Let all threads of a process share one heap, and give back what is freed. Only glibc listens."""
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        change(M_ARENA_MAX, 1)
        change(M_TRIM_THRESHOLD, 64 * 1024)


def prctl(option: int, value: int | bytes) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _wait_for_end(leash: int) -> None:
    with contextlib.suppress(OSError):
        os.read(leash, 1)
    os.killpg(0, signal.SIGKILL)  # with whatever this process started
