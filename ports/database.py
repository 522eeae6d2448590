"""The database: one unit of work at a time, `now` read once in it, and bells that ring after COMMIT.

SQLite's own waiting for the write lock is unfair: beside one hot writer the others starve for seconds. So each process
asks again by itself after a jittered moment, and nobody holds the lock while waiting for anything else.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url

from ports.clock import Clock, Steady

T = TypeVar("T")
Item = TypeVar("Item")

WAIT_FOR_LOCK = 8.0  # seconds; then the store is down for this caller, before a supervisor thinks it frozen
PATIENT_AFTER = 0.5  # whoever holds the lock that long is stuck or sick: ask less often
IMPATIENT, PATIENT = (0.0003, 0.002), (0.004, 0.012)
WARM = 3  # connections to a SQLite file that stay open: one more costs a millisecond, and two or three descriptors
MOST_CONNECTIONS = 20  # to a PostgreSQL server, of each engine; beyond the pool they are closed when a burst is over
TRIES = 3  # of a write that gave way to another
GIVES_WAY = ("40P01", "40001")  # PostgreSQL's deadlock and serialisation failure
QUERY_CANCELED = "57014"
OUT_OF_MEMORY = "53200"
PROGRAM_LIMIT = "54"  # PostgreSQL's class for what is too long or too complex: our fault, not the store's
UNDEFINED_TABLE = "42P01"  # PostgreSQL's word for "not migrated yet"
SQLITE_ERROR = 1  # a wrong statement or a missing table: our fault, not the store's
POSTGRESQL_OPTIONS = (
    "-c idle_in_transaction_session_timeout=5000 -c lock_timeout=5000 -c statement_timeout=10000 -c timezone=UTC"
)
ONLY_READS = " -c default_transaction_read_only=on"
# PostgreSQL's time and the transaction's begin, asked for in one message: each answer is waited for.
ONLY_NOW = "SELECT clock_timestamp()"
NOW_AND_BEGIN = f"{ONLY_NOW}; BEGIN"
NOW_AND_BEGIN_LIGHTLY = f"{NOW_AND_BEGIN}; SET LOCAL synchronous_commit TO off"
READ_CACHE = 1024  # KiB that a reading connection to SQLite keeps; what it does not, the system has in memory
SYNCHRONOUS = {True: "FULL", False: "NORMAL"}  # SQLite's word for whether COMMIT waits for the disk

# Called just before and just after every COMMIT. A test kills the process there; nobody else sets it.
crash_point: Callable[[], None] | None = None


class StoreDown(Exception):
    """The database can't take a write now. Nothing was stored; send it again."""


class GaveWay(StoreDown):
    """Two writes waited for each other and this one gave way. Nothing was stored; done again, it goes through."""


class Ringer(Protocol):
    def ring(self, bells: Iterable[tuple[str, int]]) -> None: ...


@dataclass
class Work:
    """One unit of work: a connection inside a transaction, the time it happens at, and the bells to ring after it."""

    session: Connection
    now: datetime
    bells: list[tuple[str, int]] = field(default_factory=list)

    def ring(self, bells: Iterable[tuple[str, int]]) -> None:
        self.bells.extend(bells)


class GroupWriter(Protocol):
    def perform(self, verb: Callable[[Work], T]) -> T: ...

    def perform_with_others(
        self, verb: Callable[[Work, Sequence[Item]], Sequence[T]], item: Item, *, within: float | None
    ) -> T: ...

    def close(self) -> None: ...


class Database:
    """Opens units of work. Safe to build before a fork: each process gets its own connections."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        doorbell: Ringer | None = None,
        *,
        pool_size: int = 8,
        warm: int = WARM,
        wait: float = WAIT_FOR_LOCK,
    ) -> None:
        """Of a server `pool_size` connections stay open to write and as many to read; of a SQLite file `warm` each."""
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        if self.dialect == "postgresql":
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.clock = clock
        self.doorbell = doorbell
        self.writer: GroupWriter | None = None
        self._pool_size = pool_size
        self._warm = min(pool_size, warm)
        self._wait = wait
        self._steady = Steady(clock)
        self._engines: tuple[int, Engine, Engine] | None = None
        self._building = threading.Lock()
        self._closed_in: int | None = None

    def work(self, *, wait: float | None = None, lasting: bool = True) -> AbstractContextManager[Work]:
        """A unit that writes: all of it or nothing, and its bells ring when it is durable.

        One that is not `lasting` does not wait for the disk: only where the machine itself dies in the next moment may
        it be as if it had never been, and whoever asks for that must not mind.
        """
        return self._work(wait, lasting)

    def read(self) -> AbstractContextManager[Work]:
        """A unit that only reads, and no writer waits for it: on SQLite one look at one moment, on PostgreSQL each
        statement sees what is committed by then, as it would inside a transaction too."""
        return self._read()

    def perform(self, verb: Callable[[Work], T]) -> T:
        """Run a verb in a unit of its own, or together with others' where a group-commit writer is attached."""
        perform = self._once if self.writer is None else self.writer.perform
        return _until_it_goes_through(lambda: perform(verb))

    def perform_once(self, verb: Callable[[Work], T]) -> T:
        """As `perform`, for a verb that a unique key lets happen once: if its twin was faster, it looks again."""
        try:
            return self.perform(verb)
        except exc.IntegrityError:
            return self.perform(verb)

    def perform_with_others(
        self, verb: Callable[[Work, Sequence[Item]], Sequence[T]], item: Item, *, within: float | None = None
    ) -> T:
        """As `perform`, for a verb that answers many callers at once: who shares a commit shares its statements.

        `verb(work, items)` gives an answer for each item, in their order. A store that took so long as `within` seconds
        is down for this caller, though its commit may still come.
        """
        if self.writer is None:
            return _until_it_goes_through(lambda: self._once(lambda work: verb(work, [item])[0], wait=within))
        writer = self.writer
        return _until_it_goes_through(lambda: writer.perform_with_others(verb, item, within=within))

    def alone(self, verb: Callable[[Work], T]) -> T:
        """Run a verb in a unit of its own; again, where it had to give way to another write."""
        return _until_it_goes_through(lambda: self._once(verb))

    def _once(self, verb: Callable[[Work], T], *, wait: float | None = None) -> T:
        with self.work(wait=wait) as work:
            return verb(work)

    def ring(self, bells: Iterable[tuple[str, int]]) -> None:
        if self.doorbell is not None:
            self.doorbell.ring(bells)

    def close(self) -> None:
        """For good: a thread that comes late finds the store down, and opens no connection that nobody closes."""
        self._closed_in = os.getpid()
        if self._engines is not None and self._engines[0] == os.getpid():
            for engine in self._engines[1:]:
                engine.dispose()
        self._engines = None

    @contextmanager
    def _work(self, wait: float | None, lasting: bool) -> Iterator[Work]:
        with self.unit(wait=wait, lasting=lasting) as work:
            yield work
        if work.bells:
            self.ring(work.bells)

    @contextmanager
    def unit(self, *, wait: float | None = None, lasting: bool = True) -> Iterator[Work]:
        """A unit that writes and leaves its bells to the caller."""
        with store_errors():
            connection, now = self._begin(write=True, wait=self._wait if wait is None else wait, lasting=lasting)
            with self._lent(connection):
                work = Work(connection, now)
                yield work
                _commit(connection)

    @contextmanager
    def _read(self) -> Iterator[Work]:
        with store_errors():
            connection, now = self._begin(write=False, wait=0)
            with self._lent(connection):
                yield Work(connection, now)

    @contextmanager
    def _lent(self, connection: Connection) -> Iterator[None]:
        """It goes back to its pool. Where that was closed meanwhile nobody would close it: so it is closed here."""
        with connection:
            try:
                yield
            finally:
                if self._closed_in == os.getpid() and not connection.invalidated:
                    connection.detach()

    def _begin(self, *, write: bool, wait: float, lasting: bool = True) -> tuple[Connection, datetime]:
        """A connection inside a transaction, and the time. Nothing was done yet: a dead connection is tried again."""
        engine = self._engine(write=write)
        for last_try in (False, True):
            connection = engine.connect()
            try:
                if self.dialect == "sqlite":
                    self._begin_sqlite(connection, write=write, wait=wait, lasting=lasting)
                    return connection, self._steady.at_least(self.clock.now())
                begin = ONLY_NOW if not write else NOW_AND_BEGIN if lasting else NOW_AND_BEGIN_LIGHTLY
                return connection, self._steady.at_least(self._begin_postgresql(connection, begin))
            except exc.DBAPIError as error:
                connection.close()
                if last_try or not error.connection_invalidated:
                    raise
            except BaseException:
                connection.close()
                raise
        raise AssertionError("unreachable")

    def _begin_sqlite(self, connection: Connection, *, write: bool, wait: float, lasting: bool) -> None:
        if not write:
            connection.exec_driver_sql("BEGIN")
            return
        if connection.info.get("lasting", True) != lasting:  # as its last unit has left it
            connection.info["lasting"] = lasting
            connection.exec_driver_sql(f"PRAGMA synchronous = {SYNCHRONOUS[lasting]}")
        began = time.monotonic()
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except exc.OperationalError as error:
                waited = time.monotonic() - began
                if "locked" not in str(error.orig) or waited > wait:
                    raise
            time.sleep(random.uniform(*(IMPATIENT if waited < PATIENT_AFTER else PATIENT)))  # noqa: S311  # jitter

    def _begin_postgresql(self, connection: Connection, begin: str) -> datetime:
        """The time, by the database's clock. What only reads needs no transaction, and so no end of one."""
        moment: datetime = connection.exec_driver_sql(begin).scalar_one()
        return self.clock.now() if self.clock.settable else moment.astimezone(UTC)

    def _engine(self, *, write: bool) -> Engine:
        engines = self._engines
        if engines is None or engines[0] != os.getpid():
            engines = self._build_engines()
        return engines[1] if write else engines[2]

    def _build_engines(self) -> tuple[int, Engine, Engine]:
        with self._building:
            if self._closed_in == os.getpid():
                raise StoreDown("The database was closed: this process ends.")
            if self._engines is not None and self._engines[0] != os.getpid():
                for engine in self._engines[1:]:
                    engine.dispose(close=False)  # the parent's connections: closing them would close them for it too
                self._engines = None
            if self._engines is None:
                self._engines = (os.getpid(), self._build(write=True), self._build(write=False))
            return self._engines

    def _build(self, *, write: bool) -> Engine:
        if self.dialect == "sqlite":
            return sqlite_engine(self.url, write=write, pool_size=self._warm)
        from ports.leancursor import LeanCursor  # psycopg is loaded only where PostgreSQL is used

        return create_engine(
            self.url,
            pool_size=self._pool_size,
            max_overflow=max(0, MOST_CONNECTIONS - self._pool_size),
            pool_timeout=10,
            pool_use_lifo=True,  # few are warm and the others asleep: each keeps statements and pages of its own
            connect_args={
                "cursor_factory": LeanCursor,
                "autocommit": True,  # we say BEGIN ourselves; COMMIT and ROLLBACK are said as ever
                "options": POSTGRESQL_OPTIONS + ("" if write else ONLY_READS),
                "connect_timeout": 3,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
            },
        )


def sqlite_engine(url: Any, *, write: bool, pool_size: int = 8) -> Engine:
    """An engine whose transactions begin when we say so, as BEGIN or BEGIN IMMEDIATE."""
    wait = 0 if write else 5  # a reader only ever waits for a recovery, and that wait is fair
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=64,
        pool_timeout=10,
        pool_use_lifo=True,
        connect_args={"timeout": wait, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not write:
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{READ_CACHE}")

    return engine


def _switch_to_wal(connection: Any) -> None:
    """WAL is a property of the file: asked for once, and only then may another process be in the way for a moment."""
    for _ in range(200):
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                return
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        time.sleep(random.uniform(*PATIENT))  # noqa: S311  # jitter
    raise StoreDown("The database stayed locked while it was being opened.")


def _commit(connection: Connection) -> None:
    if crash_point is not None:
        crash_point()
    connection.commit()
    if crash_point is not None:
        crash_point()


def _until_it_goes_through(run: Callable[[], T]) -> T:
    for _ in range(TRIES - 1):
        try:
            return run()
        except GaveWay:
            time.sleep(random.uniform(*PATIENT))  # noqa: S311  # jitter
    return run()


@contextmanager
def store_errors() -> Iterator[None]:
    """Say StoreDown for whatever means that the database can't be used now, and leave the rest as it is."""
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreDown("The database has no connection to spare.") from error
    except exc.DBAPIError as error:
        if not is_store_down(error):
            raise
        why = f"The database can't be used now: {_first_line(error.orig)}"
        raise (GaveWay if _sqlstate(error) in GIVES_WAY else StoreDown)(why) from error


def is_too_much(down: StoreDown) -> bool:
    """Whether one statement took PostgreSQL too long, or too much: that may be the fault of what it was given."""
    return _sqlstate(down.__cause__) in (QUERY_CANCELED, OUT_OF_MEMORY)


def is_store_down(error: BaseException) -> bool:
    """Locked, full, unreachable, shutting down, not migrated yet: things that a repeat or an operator mends."""
    if isinstance(error, StoreDown | exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code == SQLITE_ERROR:
        return "no such table" in str(error.orig)
    state = _sqlstate(error)
    if state == UNDEFINED_TABLE:
        return True
    if state.startswith(PROGRAM_LIMIT):
        return False
    return error.connection_invalidated or isinstance(error, exc.OperationalError | exc.InterfaceError)


def _sqlstate(error: BaseException | None) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
