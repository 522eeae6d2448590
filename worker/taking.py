"""Taking in: what the inbox holds becomes alerts and incidents, in the order in which it was received.

One process at a time does so, by a lease on the oldest rows. Parsing happens with no transaction open; a body that
three tries could not take in is set aside as unreadable, and a person hears of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Connection, Row, and_, bindparam, func, select, update

from incidents import heartbeats, intake, ownincidents, response
from incidents.alerts import Alert
from incidents.errors import MalformedPayload
from incidents.intake import IS_NEW
from incidents.promises import Bell
from incidents.tables import inbox
from ports.clock import Clock
from ports.database import Database, GaveWay, StoreDown, Work, is_store_down, is_too_much
from worker.keeping import Keeper

log = structlog.get_logger("worker.taking")

LEASE = timedelta(seconds=4)  # what a killed taker held waits so long: short, or the first page is late
LEASE_A_MEBIBYTE = timedelta(seconds=3)  # and longer for a large body, or a slow machine would set it aside
LONGEST_LEASE = LEASE + 12 * LEASE_A_MEBIBYTE  # one beyond that was written by a clock that was wrong
TRIES = 3
GIVE_WAY = 0.02  # seconds until whoever we gave way to is done
MOST_GIVING_WAY = 50  # times of one lease: by then something is stuck, and whoever takes the rows next says so too
AT_ONCE = 32  # rows a lease
ALERTS_TOGETHER = 256  # alerts that one transaction takes in
BYTES_AT_ONCE = 1 << 18
REST = {"sqlite": 0.002, "postgresql": 0.0}  # one writer a file: without a pause the others would starve
AMONG = 64  # leased rows are the oldest ones; so a live lease is found among so many
# Statements of every delivery are built once: that costs more than to run them.
ANYTHING_NEW = select(inbox.c.id).where(IS_NEW).limit(1)
OLDEST = (
    select(inbox.c.id, inbox.c.attempts, inbox.c.lease_until, func.length(inbox.c.body).label("size"))
    .where(IS_NEW)
    .order_by(inbox.c.id)
    .limit(AMONG)
)
STILL_OURS = update(inbox).where(
    inbox.c.id.in_(bindparam("ids", expanding=True)), IS_NEW, inbox.c.attempts == bindparam("tries")
)
LEASE_THEM = STILL_OURS.values(attempts=inbox.c.attempts + 1, lease_until=bindparam("until")).returning(*inbox.c)
END_THEM = STILL_OURS.values(state="taken", taken_at=bindparam("now"), lease_until=None)


class Source(Protocol):
    @property
    def parse(self) -> Callable[[str, bytes, Mapping[str, str]], list[Alert]]: ...
    def mapped_by(self, mapping: Any) -> Source: ...


class Beside(Protocol):
    """How a sender of other things than alerts is read, and what its rows do."""

    @property
    def read(self) -> Callable[[str, bytes, Mapping[str, str]], Any]: ...
    @property
    def take(self) -> Callable[[Connection, Sequence[tuple[Row[Any], Any]], Any, datetime], list[Bell]]: ...


@dataclass(frozen=True)
class Parsed:
    """An inbox row with its alerts, or with the reason why it has none."""

    row: Row[Any]
    alerts: Sequence[Alert] = ()
    said: Any = None  # by a sender of other things than alerts
    unreadable: str | None = None
    failed: Exception | None = None
    alone: bool = False

    @property
    def must_go_alone(self) -> bool:
        return self.alone or self.unreadable is not None or self.failed is not None


@dataclass
class Taker:
    """Drains the inbox, and then the pages that came of it: a page does not wait for a second trip through Redis."""

    database: Database
    clock: Clock
    sources: Mapping[str, Source]
    book: Callable[[], Any]
    keeper: Keeper | None = None
    beside: Mapping[str, Beside] = field(default_factory=dict)  # by the first part of the source's name
    take: Callable[..., Any] = intake.take
    triage: Callable[..., list[Bell]] = response.triage
    unreadable: Callable[..., list[Bell]] = ownincidents.unreadable
    pulse: Callable[[], None] = field(default=lambda: None)
    _owes_pages: bool = field(default=False, init=False, repr=False)
    _sends: bool = field(default=False, init=False, repr=False)
    _taken: list[Sequence[Parsed]] = field(default_factory=list, init=False, repr=False)

    def drain(self, limit: int = 400) -> int:
        """Take in what is new, oldest first, and return how many rows ended."""
        taken = 0
        while taken < limit:
            self.pulse()
            rows = self._lease()
            if not rows:
                break
            try:
                taken += self._take_in(rows)
            finally:
                self._keep_pages()  # of the groups that went through, whatever became of the last
                self._say_taken()
        else:
            self.database.ring([Bell("intake", 0)])
        return taken

    def _lease(self) -> list[Row[Any]]:
        """The oldest rows, for us alone; each counts one try before anything is read of it.

        A row that was tried before is leased alone: whatever it did to its last taker, it does to no other row.
        """
        if self.database.dialect == "sqlite" and not self._anything_new():  # a look takes no lock of the file
            return []
        try:
            with self.database.work(lasting=False) as work:  # if the machine dies, nobody has the rows anyway
                return self._lease_oldest(work)
        except NotOurs:
            return []  # another taker was faster, and goes on until nothing is new

    def _lease_oldest(self, work: Work) -> list[Row[Any]]:
        """Raises NotOurs where another taker leased one of them since we looked: any two leases want the oldest row."""
        oldest = work.session.execute(OLDEST).all()
        longest = work.now + LONGEST_LEASE
        if any(row.lease_until is not None and work.now < row.lease_until <= longest for row in oldest):
            return []
        ids = _batch(oldest)
        if not ids:
            return []
        size = sum(row.size for row in oldest if row.id in ids)
        until = work.now + LEASE + LEASE_A_MEBIBYTE * (size / (1 << 20))
        tries = oldest[0].attempts  # and of every other row of a batch
        rows = work.session.execute(LEASE_THEM, {"ids": ids, "tries": tries, "until": until}).all()
        if len(rows) != len(ids):
            raise NotOurs
        return sorted(rows, key=lambda row: row.id)

    def _anything_new(self) -> bool:
        with self.database.read() as work:
            return work.session.execute(ANYTHING_NEW).first() is not None

    def _take_in(self, rows: Sequence[Row[Any]]) -> int:
        """How many rows ended. Whoever has the oldest row has all behind it too, since their order is one."""
        ended = 0
        with suppress(NotOurs):
            for many in self._take_in_groups([self._parse(row) for row in rows]):
                ended += many
        return ended

    def _take_in_groups(self, waiting: list[Parsed]) -> Iterator[int]:
        """A short transaction for each group of rows that may be taken at once, and how many ended by it."""
        ended, gave_way = 0, 0
        while waiting:
            time.sleep(REST[self.database.dialect] if ended else 0)
            together = _together(waiting)
            try:
                ended = self._take(together)
            except GaveWay:
                gave_way += 1
                if gave_way > MOST_GIVING_WAY:
                    raise
                time.sleep(GIVE_WAY)
                continue  # nothing was stored, and the rows are still ours
            except NotOurs:
                raise
            except StoreDown as down:
                if not is_too_much(down):
                    self._give_back([parsed.row for parsed in waiting])
                raise
            except Exception as error:
                if len(together) > 1:  # one of them is at fault; each is taken alone to find out which
                    waiting[: len(together)] = [replace(parsed, alone=True) for parsed in together]
                    continue
                ended = self._failed(together[0].row, error)
            del waiting[: len(together)]
            self.pulse()
            yield ended

    def _at_once(self) -> AbstractContextManager[Callable[[Work], bool]]:
        """Pages that a transaction makes are claimed in it, and leave with its COMMIT."""
        return nullcontext(lambda _work: False) if self.keeper is None else self.keeper.at_once()

    def _keep_own_bells(self, work: Work) -> None:
        """The pages are kept here and now, so nobody else is woken for them."""
        if self.keeper is not None:
            self._owes_pages |= any(bell[0] == "page" for bell in work.bells)
            work.bells = [bell for bell in work.bells if bell[0] != "page"]

    def _keep_pages(self) -> None:
        """What was not claimed at once; and whoever sends now is left in peace for a moment."""
        if self.keeper is None:
            return
        if self._owes_pages:
            self.keeper.drain("page")
        elif self._sends:
            self.keeper.rest()
        self._owes_pages = self._sends = False

    def _say_taken(self) -> None:
        """Once the pages are on their way: a line of the log is half a millisecond that they would wait."""
        for together in self._taken:
            first, alerts = together[0].row, sum(len(parsed.alerts) for parsed in together)
            log.info("inbox.taken", inbox_id=first.id, rows=len(together), source=first.source, alerts=alerts)
        self._taken.clear()

    def _parse(self, row: Row[Any]) -> Parsed:
        if row.attempts > TRIES:
            return Parsed(row, unreadable=f"{TRIES} tries to read it ended without a word")
        try:
            beside = self._beside(row)
            if beside is not None:
                return Parsed(row, said=beside.read(row.source, row.body, row.headers))
            settings = self.book().policy.sources.get(row.source)
            source = self.sources.get(settings.kind) if settings is not None else None
            if source is None:
                return Parsed(row, unreadable=f"nobody here understands the source {row.source!r}")
            mine = source.mapped_by(settings.mapping)
            return Parsed(row, mine.parse(row.source, row.body, row.headers))
        except MalformedPayload as error:
            return Parsed(row, unreadable=error.sentence)
        except Exception as error:
            return Parsed(row, failed=error)

    def _take(self, together: Sequence[Parsed]) -> int:
        """One transaction: all of them end and their alerts are triaged, or nothing happens and the fault comes out.

        Guarded by each row's count of tries. Raises NotOurs where a row has become another's.
        """
        first = together[0]
        if first.failed is not None:
            raise first.failed
        rows = [parsed.row for parsed in together]
        with self._at_once() as claim, self.database.work() as work:
            if first.unreadable is not None:
                return self._set_aside(work, first.row, first.unreadable)
            _end_all(work.session, rows, now=work.now)
            work.ring(self._apply(work.session, together, work.now))
            self._sends |= claim(work)
            self._keep_own_bells(work)
        self._taken.append(together)
        return len(rows)

    def _apply(self, session: Connection, together: Sequence[Parsed], now: datetime) -> list[Bell]:
        book = self.book()
        beside = self._beside(together[0].row)
        if beside is not None:
            return beside.take(session, [(one.row, one.said) for one in together], book, now)
        deliveries = [intake.Delivery(one.row.id, one.row.received_at, one.alerts) for one in together]
        changes = self.take(session, source=together[0].row.source, deliveries=deliveries, book=book, now=now)
        bells = self.triage(session, changes, book=book, now=now)
        return bells + heartbeats.take_alerts(session, deliveries, book, now)

    def _beside(self, row: Row[Any]) -> Beside | None:
        kind, nested, _ = row.source.partition("/")
        return self.beside.get(kind) if nested else None

    def _failed(self, row: Row[Any], error: Exception) -> int:
        """Left for another try, or set aside: how many rows ended. Raises NotOurs."""
        log.error("inbox.take_failed", inbox_id=row.id, source=row.source, attempt=row.attempts, exc_info=error)
        with self.database.work() as work:
            if row.attempts >= TRIES:
                return self._set_aside(work, row, f"taking it in failed: {type(error).__name__}")
            mine = and_(inbox.c.id == row.id, IS_NEW, inbox.c.attempts == row.attempts)
            work.session.execute(update(inbox).where(mine).values(lease_until=None))
        return 0

    def _give_back(self, rows: Sequence[Row[Any]]) -> None:
        """It was the store that failed, not the body: the try does not count, and whoever looks next has the rows."""
        mine = and_(inbox.c.id.in_([row.id for row in rows]), IS_NEW, inbox.c.attempts == rows[0].attempts)
        values = {"attempts": inbox.c.attempts - 1, "lease_until": None}
        with suppress(StoreDown), self.database.work(lasting=False) as work:
            work.session.execute(update(inbox).where(mine).values(**values))

    def _set_aside(self, work: Work, row: Row[Any], why: str) -> int:
        """Kept, and told to a person. Even if telling fails, one bad row must not stop the others. Or NotOurs."""
        if not _end(work.session, row, "unreadable", now=work.now, error=why):
            raise NotOurs
        log.warning("inbox.unreadable", inbox_id=row.id, source=row.source, why=why)
        try:
            with work.session.begin_nested():
                bells = self.unreadable(
                    work.session, source=row.source, inbox_id=row.id, why=why, book=self.book(), now=work.now
                )
        except Exception as error:
            if is_store_down(error):
                raise
            log.exception("inbox.unreadable_untold", inbox_id=row.id, source=row.source)
            return 1
        work.ring(bells)
        self._keep_own_bells(work)
        return 1


def _batch(oldest: Sequence[Any]) -> list[int]:
    if oldest and oldest[0].attempts > 0:
        return [oldest[0].id]
    ids: list[int] = []
    size = 0
    for row in oldest[:AT_ONCE]:
        size += row.size
        if row.attempts > 0 or (ids and size > BYTES_AT_ONCE):
            break
        ids.append(row.id)
    return ids


def _together(waiting: Sequence[Parsed]) -> list[Parsed]:
    """The rows from the front that may be taken at once: of one source, and no alert named by two of them."""
    first = waiting[0]
    chosen, named = [first], {alert.fingerprint for alert in first.alerts}
    if first.must_go_alone:
        return chosen
    for parsed in waiting[1:]:
        said = {alert.fingerprint for alert in parsed.alerts}
        if parsed.must_go_alone or parsed.row.source != first.row.source or said & named:
            break
        if len(named) + len(said) > ALERTS_TOGETHER:
            break
        chosen.append(parsed)
        named |= said
    return chosen


class NotOurs(Exception):
    """Somebody else has one of these rows."""


def _end_all(session: Connection, rows: Sequence[Row[Any]], *, now: datetime) -> None:
    """Mark all as taken, or none: each must still have the count of tries that we gave it."""
    tries = {row.attempts for row in rows}
    ours = {"ids": [row.id for row in rows], "tries": max(tries), "now": now}
    if len(tries) != 1 or session.execute(END_THEM, ours).rowcount != len(rows):
        raise NotOurs


def _end(session: Connection, row: Row[Any], state: str, *, now: datetime, error: str | None = None) -> bool:
    mine = and_(inbox.c.id == row.id, IS_NEW, inbox.c.attempts == row.attempts)
    values = {"state": state, "taken_at": now, "lease_until": None, "error": error}
    return session.execute(update(inbox).where(mine).values(**values)).rowcount == 1
