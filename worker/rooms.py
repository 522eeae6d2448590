"""How many sends of one channel may be under way: a provider that hangs never takes every thread from the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MOST = 16  # of the keeper's 20 threads: four are left for other channels even before the first send proves slow
FEW = 4  # while it hangs: enough to find out that it is well again, and for what it still carries
SLOW = 2.0  # seconds; a provider answers after a few tenths


@dataclass
class _Room:
    """One channel's sends: when each under way began, and how many of those that ended last were slow, in a row."""

    began: dict[int, float] = field(default_factory=dict)
    slow_in_a_row: int = 0
    counted: int = 0


@dataclass
class Rooms:
    """A room a channel. Whoever finds no room waits outside, not in a thread."""

    most: int = MOST
    few: int = FEW
    slow: float = SLOW
    _rooms: dict[str, _Room] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def place(self, name: str) -> Iterator[bool]:
        """True while there is room: then one more send of this channel is under way until the block ends."""
        ticket = self._enter(name)
        try:
            yield ticket is not None
        finally:
            if ticket is not None:
                self._leave(name, ticket)

    def _enter(self, name: str) -> int | None:
        now = time.monotonic()
        with self._lock:
            room = self._rooms.setdefault(name, _Room())
            # One answer that is lost is not a provider that hangs: as many as may be tried on it must be slow.
            slow = room.slow_in_a_row + sum(now - began > self.slow for began in room.began.values())
            if len(room.began) >= (self.few if slow >= self.few else self.most):
                return None
            room.counted += 1
            room.began[room.counted] = now
            return room.counted

    def _leave(self, name: str, ticket: int) -> None:
        with self._lock:
            room = self._rooms[name]
            is_slow = time.monotonic() - room.began.pop(ticket) > self.slow
            room.slow_in_a_row = room.slow_in_a_row + 1 if is_slow else 0
