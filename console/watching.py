"""One thread looks for what changed, on behalf of everybody who watches; a hundred open pages cost one small read."""

from __future__ import annotations

import threading
import time
from collections import Counter

import structlog

from incidents.stamps import Stamp, stamps
from ports.database import Database, StoreDown

log = structlog.get_logger()
LOOK_EVERY = 0.3  # seconds
CURRENT = 3.0  # seconds since the last look that saw something: a page that says "live" rests on it
STREAMS = 240  # pages that watch at once; each keeps a thread of the web process (docs/adr/0008-streams.md)


class Watch:
    """Who watches what, and how far that is. It looks only while somebody watches."""

    def __init__(self, database: Database, *, most: int = STREAMS) -> None:
        self._database = database
        self._most = most
        self._changed = threading.Condition()
        self._watched: Counter[int] = Counter()
        self._known: dict[int, Stamp] = {}
        self._looking: threading.Thread | None = None
        self._wake = threading.Event()
        self._looked_at = 0.0
        self._over = False

    def enter(self, topic: int, stamp: Stamp) -> bool:
        """Watch a topic that was at `stamp` a moment ago. False where there is no room for one more."""
        with self._changed:
            if self._over or self._watched.total() >= self._most:
                return False
            self._watched[topic] += 1
            self._known.setdefault(topic, stamp)
            if self._looking is None or not self._looking.is_alive():
                self._looking = threading.Thread(target=self._look, name="watch", daemon=True)
                self._looking.start()
        return True

    def leave(self, topic: int) -> None:
        with self._changed:
            self._watched[topic] -= 1
            if self._watched[topic] <= 0:
                del self._watched[topic]
                self._known.pop(topic, None)

    def is_over(self) -> bool:
        """Whether this process ends."""
        return self._over

    def is_current(self) -> bool:
        """Whether what we know is true now: while the store is away, nobody is told so."""
        return time.monotonic() - self._looked_at < CURRENT

    @property
    def watching(self) -> int:
        return self._watched.total()

    def wait(self, topic: int, seen: Stamp, *, seconds: float) -> Stamp:
        """Until the topic is past what was seen, for so many seconds at most; then, how far it is."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._known.get(topic, seen).is_past(seen), seconds)
            return self._known.get(topic, seen)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._over, max(0.0, seconds))

    def stop(self) -> None:
        """This process ends: every stream ends now, and its browser asks the next process."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._wake.set()

    def _look(self) -> None:
        was_down = False
        while not self._over and (topics := self._topics()):
            try:
                with self._database.read() as work:
                    found = stamps(work.session, topics)
            except StoreDown as error:
                if not was_down:  # once an outage, not three times a second
                    log.warning("watch.store_down", what=str(error))
                was_down = True
            else:
                was_down, self._looked_at = False, time.monotonic()
                self._tell(found)
            self._wake.wait(LOOK_EVERY)

    def _topics(self) -> list[int]:
        """What is watched; where nothing is, the thread's end is said under the same lock that begins a new one."""
        with self._changed:
            if not self._watched:
                self._looking = None
            return list(self._watched)

    def _tell(self, found: dict[int, Stamp]) -> None:
        with self._changed:
            news = {one: stamp for one, stamp in found.items() if one in self._watched and self._known[one] != stamp}
            self._known |= news
            if news:  # whoever is woken for nothing takes the processor from those who take alerts in
                self._changed.notify_all()
