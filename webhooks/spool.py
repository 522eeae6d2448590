"""The spool: a file for deliveries that nobody sends again, while the store is down or slow.

A record is one line: its checksum, and its row of the inbox as JSON, on disk before the sender is answered. A process
that is killed leaves at most one broken last line, which is set aside. Rows are numbered before they are written, so
one that is stored twice (by a commit that came late, or by a drain that was killed) is one row.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import structlog

from ports.clock import Clock
from ports.database import StoreDown

log = structlog.get_logger()

MOST = 256 * 1024 * 1024  # bytes that wait; a delivery beyond them is refused with 503
TOGETHER = 20  # rows that one transaction stores
ROOM = 1 << 20  # bytes of them


class SpoolFull(Exception):
    """Nothing more can be kept until the store is back."""


class Spool:
    """The files of one home, for all its processes: what waits, and what is being stored."""

    def __init__(self, folder: Path, clock: Clock, *, most: int = MOST) -> None:
        self.folder = folder
        self.most = most
        self._clock = clock
        self._waiting, self._draining = folder / "waiting", folder / "draining"
        self._writing, self._emptying = Lock(), Lock()

    @property
    def is_empty(self) -> bool:
        return not self._waiting.exists() and not self._draining.exists()

    def add(self, row: Mapping[str, Any]) -> None:
        """Put a row on disk. SpoolFull or OSError where it can't be kept; then nothing of it is left."""
        line = _written({**row, "received_at": self._clock.now()})
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._writing, self._locked("lock"):
            if self._size() + len(line) > self.most:
                raise SpoolFull
            is_new = not self._waiting.exists()
            descriptor = os.open(self._waiting, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                _append(descriptor, line)
            finally:
                os.close(descriptor)
            if is_new:
                self._sync_folder()

    def drain(self, store: Callable[[Sequence[dict[str, Any]]], object]) -> int:
        """Store what waits, oldest first; how many. StoreDown comes out, and what is left waits on."""
        stored = 0
        if self.is_empty or not self._emptying.acquire(blocking=False):
            return stored
        try:
            with self._locked("drain.lock", wait=False) as is_ours:
                while is_ours and self._next_file():
                    stored += self._store_file(store)
        finally:
            self._emptying.release()
        return stored

    def facts(self) -> dict[str, float]:
        """How many deliveries wait, how many bytes they have, and for how long the oldest waits."""
        lines = oldest = 0.0
        for path in (self._waiting, self._draining):
            try:
                lines += _count_lines(path)
                oldest = self._age_of_first(path) or oldest
            except FileNotFoundError:
                continue
        return {"deliveries": lines, "bytes": self._size(), "age_seconds": round(oldest, 1)}

    def _next_file(self) -> bool:
        """What a killed drain left comes first; then everything that waits now."""
        with self._writing, self._locked("lock"):
            if not self._draining.exists():
                if not self._waiting.exists():
                    return False
                self._waiting.rename(self._draining)
                self._sync_folder()
        return True

    def _store_file(self, store: Callable[[Sequence[dict[str, Any]]], object]) -> int:
        """From its beginning, also after a drain that did not end: what is stored already is not stored again."""
        stored = 0
        with self._draining.open("rb") as file:
            for rows in self._batches(file):
                self._store(rows, store)
                stored += len(rows)
        with self._writing, self._locked("lock"):
            self._draining.unlink()
            self._sync_folder()
        log.info("spool.drained", deliveries=stored)
        return stored

    def _batches(self, file: Any) -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        size = 0
        for line in iter(file.readline, b""):
            row = _read(line)
            if row is None:
                self._set_aside(line)
                continue
            rows.append(row)
            size += len(line)
            if len(rows) == TOGETHER or size > ROOM:
                yield rows
                rows, size = [], 0
        yield rows

    def _store(self, rows: Sequence[dict[str, Any]], store: Callable[[Sequence[dict[str, Any]]], object]) -> None:
        """All at once; where that fails and the store is there, each alone: one bad row must not stop the others."""
        try:
            if rows:
                store(rows)
        except StoreDown:
            raise
        except Exception:
            if len(rows) > 1:
                for row in rows:
                    self._store([row], store)
                return
            log.exception("spool.row_refused", source=rows[0]["source"])
            self._set_aside(_written(rows[0]))

    def _set_aside(self, line: bytes) -> None:
        """Kept for a person, in a file that nothing reads."""
        if line.strip():
            log.error("spool.broken", bytes=len(line), file=str(self.folder / "broken"))
            with (self.folder / "broken").open("ab") as file:
                file.write(line if line.endswith(b"\n") else line + b"\n")

    def _size(self) -> int:
        return sum(_size_of(path) for path in (self._waiting, self._draining))

    def _age_of_first(self, path: Path) -> float:
        with path.open("rb") as file:
            row = _read(file.readline())
        return max(0.0, (self._clock.now() - row["received_at"]).total_seconds()) if row else 0.0

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """A lock between processes; the operating system frees it when its holder is killed."""
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _append(descriptor: int, line: bytes) -> None:
    """The whole line on disk, or nothing of it. What a killed process left broken becomes a line of its own."""
    end = os.fstat(descriptor).st_size
    is_broken = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
    left = memoryview(b"\n" + line if is_broken else line)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _written(row: Mapping[str, Any]) -> bytes:
    told = {
        **row,
        "body": base64.b64encode(row["body"]).decode(),
        "received_at": row["received_at"].isoformat(),
    }
    text = json.dumps(told, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None where it is not whole."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    row: dict[str, Any] = json.loads(text)
    row["body"] = base64.b64decode(row["body"])
    row["received_at"] = datetime.fromisoformat(row["received_at"])
    return row


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
