"""The one clock: nothing else in the product may ask what time it is."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where `now` comes from. `settable` clocks also overrule the database's clock."""

    settable: bool

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """This machine's clock."""

    settable = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class SettableClock:
    """A clock that stands still until a test moves it."""

    settable = True

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._wall = start.astimezone(UTC)
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def forward(self, span: timedelta) -> None:
        """Time goes by: the wall clock and the monotonic one move together."""
        self._wall += span
        self._monotonic += max(0.0, span.total_seconds())

    def set(self, moment: datetime) -> None:
        self.forward(moment.astimezone(UTC) - self._wall)

    def step(self, span: timedelta) -> None:
        """Somebody set the machine's clock: only the wall clock moves."""
        self._wall += span


class Steady:
    """Time that never goes back inside a process, whatever is done to the wall clock.

    After a step backwards it goes on from the highest time seen, at the pace of the monotonic clock: what was promised
    for five past is due at five past, not an hour later. A leap forward is believed once it has lasted for five
    seconds: a wrong reading must not start what is dangerous, and a page may be five seconds late.
    """

    LEAP = timedelta(seconds=60)
    BELIEVED_AFTER = 5.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._highest: tuple[datetime, float] | None = None
        self._leapt_since: float | None = None

    def at_least(self, wall: datetime) -> datetime:
        with self._lock:
            monotonic = self._clock.monotonic()
            if self._highest is None:
                now = wall
            else:
                highest, seen_at = self._highest
                expected = highest + timedelta(seconds=max(0.0, monotonic - seen_at))
                now = expected if self._is_unbelieved_leap(wall - expected, monotonic) else max(wall, expected)
            self._highest = (now, monotonic)
            return now

    def _is_unbelieved_leap(self, ahead: timedelta, monotonic: float) -> bool:
        if ahead <= self.LEAP:
            self._leapt_since = None
            return False
        if self._leapt_since is None:
            self._leapt_since = monotonic
        return monotonic - self._leapt_since < self.BELIEVED_AFTER
