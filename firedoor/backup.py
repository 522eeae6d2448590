"""A copy of the database while it runs, putting a copy back, and noticing that a copy is old."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

import migrations
from firedoor.settings import Settings
from firedoor.shelf import Shelf
from incidents import holdmode, tables
from incidents.book import Book
from incidents.errors import FiredoorError
from ports.clock import SystemClock
from ports.database import Database, StoreDown, Work

log = structlog.get_logger()

SILENT = timedelta(seconds=15)
STAMP = "written_at"  # in the home: until when this machine knows that the database was written


class NotDone(FiredoorError):
    """No copy was made, or none was put back."""

    code = "backup"


# --- backing up ---


def backup(settings: Settings, target: Path) -> None:
    """A whole and consistent copy in one file, readable by its owner alone. Raises NotDone; never overwrites."""
    source = _sqlite_file(settings)
    if not source.exists():
        raise NotDone(f"{source} is not there: there is nothing to copy.")
    there = NotDone(f"{target} is there already. Nothing was written: choose another name.")
    if os.path.lexists(target):
        raise there
    try:
        with _draft_of(target) as draft:
            _copy(source, draft)
            _give_name(draft, target)
    except FileExistsError:
        raise there from None
    except (sqlite3.Error, OSError) as error:
        raise NotDone(f"The copy failed ({error}). {target} was not written.") from error


@contextlib.contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    """A hidden file beside it, for its owner alone. Whoever is killed leaves this, and nothing by the file's name."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise NotDone(f"{target} can't be written: {error.strerror}. Nothing was changed.") from error
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for beside in ("", "-journal", "-wal", "-shm"):
            Path(name + beside).unlink(missing_ok=True)


def _give_name(draft: Path, target: Path) -> None:
    """Raises FileExistsError: a rename would overwrite what somebody else put there meanwhile."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links: there the name is taken first, and for a moment holds nothing
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.replace(draft, target)


def _copy(source: Path, draft: Path) -> None:
    """By SQLite's own backup: what is committed is in it, whoever writes meanwhile."""
    with (
        contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as reading,
        contextlib.closing(sqlite3.connect(draft)) as writing,
    ):
        reading.backup(writing)
    _settle(draft)


def _settle(draft: Path) -> None:
    """Whole, on the disk, and in one file: a -wal beside it would stay behind when it gets its name."""
    with contextlib.closing(sqlite3.connect(draft)) as settling:
        (mode,) = settling.execute("PRAGMA journal_mode=DELETE").fetchone()
        (verdict,) = settling.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok" or mode != "delete":
        raise sqlite3.DatabaseError(f"it is damaged: {verdict}" if verdict != "ok" else "something else has it open")
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def pg_dump(settings: Settings, target: Path) -> str:
    """The line that backs a PostgreSQL up; the password comes from ~/.pgpass or PGPASSWORD."""
    return f"pg_dump --format=custom --file={target} {_without_password(settings)}"


def pg_restore(settings: Settings, source: Path) -> str:
    return f"pg_restore --clean --if-exists --single-transaction --dbname={_without_password(settings)} {source}"


def _without_password(settings: Settings) -> str:
    parts = urlsplit(settings.database_url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(("postgresql", f"{user}{parts.hostname or ''}{port}", parts.path, "", ""))


def is_sqlite(settings: Settings) -> bool:
    return settings.database_url.startswith("sqlite:///")


def _sqlite_file(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))


# --- putting a copy back ---


def restore(settings: Settings, source: Path, *, now: datetime) -> tuple[datetime | None, Path | None]:
    """Put a copy in the database's place, on a stopped system. Raises NotDone.

    All that can fail is done to a draft. The present database is kept beside it. Answers when the copy was written
    last, and where the present one lies.
    """
    if not source.is_file():
        raise NotDone(f"{source} is not a file. Nothing was changed.")
    target = _sqlite_file(settings)
    with _stopped(settings):
        if target.exists():
            _see_that_nothing_works(settings, now)
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise NotDone(f"{source} can't be put back ({error}). Nothing was changed.") from error
        with _draft_of(target) as draft:
            written_at = _make_ready(settings, source, draft, now)
            kept = _keep_present(target, now)
            os.replace(draft, target)
        return written_at, kept


def _make_ready(settings: Settings, source: Path, draft: Path, now: datetime) -> datetime | None:
    """A copy with the newest tables, in hold mode where it is old. Answers when it was written last. Raises NotDone."""
    made = replace(settings, database_url=f"sqlite:///{draft}")
    try:
        _copy(source, draft)
        at = migrations.current(made.database_url)
        if at is None:
            raise NotDone(f"{source} holds no tables of Firedoor. Nothing was changed.")
        if not migrations.knows(at):
            raise NotDone(f"{source} is of another version of Firedoor: its tables are at {at}. Nothing was changed.")
        migrations.upgrade(made.database_url)
        written_at = hold_if_old(made, known_at=now, book=Shelf(settings).current())
        _settle(draft)
    except NotDone:
        raise
    except Exception as error:  # a stranger's tables fail in ways that nobody can list
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise NotDone(f"{source} can't be put back ({why}). Nothing was changed.") from error
    return written_at


@contextlib.contextmanager
def _stopped(settings: Settings) -> Iterator[None]:
    """Nobody may run on this home, or start on it, while the database is exchanged."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(settings.home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise NotDone(f"Firedoor runs on {settings.home}. Nothing was changed: stop it first.") from None
    try:
        yield
    finally:
        os.close(lock)


def _see_that_nothing_works(settings: Settings, now: datetime) -> None:
    """Processes that run alone hold no lock, and say in the database that they work.

    Nobody works with one that is damaged: that is what a copy is put back for.
    """
    try:
        if migrations.current(settings.database_url) is None:
            return
        database = Database(settings.database_url, SystemClock(), pool_size=1)
        with contextlib.closing(database), database.read() as work:
            lately = tables.part.c.worked_at > now - SILENT
            at_work = work.session.execute(select(tables.part.c.name).where(lately)).scalars().all()
    except (DBAPIError, StoreDown) as error:
        if _is_damaged(error):
            return
        raise NotDone(
            f"The present database can't be looked at ({str(error).splitlines()[0]}). Nothing was changed: stop what "
            "uses it, or move the file away."
        ) from error
    if at_work:
        raise NotDone(f"{', '.join(sorted(at_work))} worked just now. Nothing was changed: stop it first.")


def _is_damaged(error: Exception) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF  # the rest of it says where
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _keep_present(target: Path, now: datetime) -> Path | None:
    if not target.exists():
        return None
    kept = target.with_name(f"{target.name}.replaced-{now:%Y%m%dT%H%M%S}")
    with contextlib.closing(sqlite3.connect(target)) as present, contextlib.suppress(sqlite3.DatabaseError):
        present.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what its -wal holds comes with it
    os.replace(target, kept)
    for beside in ("-wal", "-shm"):  # left where it is damaged: whoever mends it needs them
        with contextlib.suppress(FileNotFoundError):
            os.replace(target.with_name(target.name + beside), kept.with_name(kept.name + beside))
    return kept


# --- noticing ---


def hold_if_old(settings: Settings, *, known_at: datetime | None, book: Book) -> datetime | None:
    """Begin hold mode where the database lacks what was written until `known_at`. Answers when it was written last.

    By a connection of its own: a store that is away may come back as another one.
    """
    if known_at is None:
        return None
    with contextlib.closing(Database(settings.database_url, SystemClock(), pool_size=1)) as database:

        def look(work: Work) -> datetime | None:
            written_at = holdmode.newest(work.session, known_at)
            if written_at is not None and holdmode.is_unnoticed_copy(work.session, known_at, written_at):
                holdmode.begin(work.session, written_at, book=book, now=work.now)
                log.warning("holdmode.begun", copied_at=written_at.isoformat())
            return written_at

        return database.perform(look)


def read_stamp(home: Path) -> datetime | None:
    """Until when this home knows that its database was written; None before the first time."""
    try:
        return datetime.fromisoformat((home / STAMP).read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None


def write_stamp(home: Path, now: datetime) -> None:
    """Whole or not at all; a disk that is full must not stop the clock."""
    draft = home / f".{STAMP}.{os.getpid()}"
    try:
        draft.write_text(f"{now.isoformat()}\n", encoding="ascii")
        os.replace(draft, home / STAMP)
    except OSError as error:
        log.warning("stamp.not_written", what=error.strerror)
