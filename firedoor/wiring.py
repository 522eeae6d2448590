"""The one place where everything is wired: a house holds the parts that a process works with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from firedoor.settings import Settings
from firedoor.shelf import Shelf
from incidents.book import Book
from incidents.kinds import KINDS, Kind
from ports import outgoing
from ports.clock import Clock, SystemClock
from ports.database import WARM, Database
from ports.doorbell import Doorbell
from ports.tokens import Signer
from ports.writer import Writer
from webhooks.emptying import keep_empty
from webhooks.sources import SOURCES
from webhooks.spool import Spool
from worker.asking import ask
from worker.beside import BESIDE
from worker.channels import Channel, build
from worker.keeping import Keeper
from worker.receipts import Receipts
from worker.sending import Sender, channels_of
from worker.taking import Taker
from worker.trying import Actor
from worker.updating import Updater

log = structlog.get_logger()
POOL = {"web": 4, "worker": 6, "clock": 6}  # database connections that stay open; the web process writes through one
WARM_OF = {"clock": 2}  # of a SQLite file, where fewer do: it stands in for others, and seldom


@dataclass
class House:
    """The parts of one process. Tests open one with a settable clock, more kinds and actors of their own."""

    settings: Settings
    clock: Clock
    shelf: Shelf
    database: Database
    doorbell: Doorbell
    signer: Signer
    sender: Sender
    keeper: Keeper
    taker: Taker
    spool: Spool
    role: str = "worker"
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _channels: tuple[Book, dict[str, Channel]] | None = field(default=None, repr=False)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        role: str = "worker",
        kinds: Mapping[str, Kind] | None = None,
        actors: Mapping[str, Actor] | None = None,
        observers: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> House:
        """Wire a house. Raises FaultsFound for a faulty policy. Connects to nothing yet."""
        clock = clock or SystemClock()
        outgoing.allow(settings.outgoing)
        shelf = Shelf(settings, clock)
        doorbell = Doorbell(settings.redis_url)
        pools = {"pool_size": POOL.get(role, 8), "warm": WARM_OF.get(role, WARM)}
        database = Database(settings.database_url, clock, doorbell, **pools)
        if role == "web":  # on PostgreSQL too: measured, it takes two thirds of the processor time a post
            Writer(database).attach()
        signer = Signer(settings.secret_key.encode())
        house: House
        sender = Sender(lambda: house.channels, signer, settings.public_url)
        receipts = Receipts(lambda: house.channels)
        updater = Updater(sender)
        keeper = Keeper(
            database,
            clock,
            kinds={**KINDS, **(kinds or {})},
            actors={
                "send": sender,
                "ask": ask,
                "receipt": receipts,
                "update": updater.update,
                "reply": updater.reply,
                **(actors or {}),
            },
            observers=observers or {},
            book=shelf.current,
        )
        taker = Taker(database, clock, SOURCES, shelf.current, keeper, BESIDE)
        spool = Spool(settings.home / "spool", clock)
        house = cls(settings, clock, shelf, database, doorbell, signer, sender, keeper, taker, spool, role)
        return house

    def book(self) -> Book:
        """The book in force."""
        return self.shelf.current()

    @property
    def channels(self) -> dict[str, Channel]:
        """The channels of the book in force, built anew when the policy changes."""
        book = self.shelf.current()
        if self._channels is None or self._channels[0] is not book:
            self._channels = (book, channels_of(book, partial(build, log=log, clock=self.clock)))
        return self._channels[1]

    def empty_the_spool(self) -> None:
        """From now on, by a thread: for the process that fills it."""
        keep_empty(self.spool, self.database, self._stop)

    def close(self) -> None:
        """Let go of every thread and connection."""
        self._stop.set()
        self.keeper.close()
        if self.database.writer is not None:
            self.database.writer.close()
        self.database.close()
        self.doorbell.close()
