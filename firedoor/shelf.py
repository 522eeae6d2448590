"""Reads policy and runbooks into the book in force, and again when they or the secrets they refer to change."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import structlog

from firedoor.settings import Settings
from incidents.book import Book
from incidents.errors import Fault, FaultsFound
from incidents.policy import SHIPPED, Policy, load_policy
from incidents.runbooks import Library, Runbook, check_library, names_to_page_by, parse_runbook
from ports.clock import Clock, SystemClock

log = structlog.get_logger()

LOOK_AGAIN = 1.0  # seconds between two looks at the files
PREVIOUS = ("_previous", ".previous")  # how a reference to the secret of before ends
Seen = tuple[tuple[str, int, int], ...]


class Shelf:
    """The book in force. A file that was saved with a fault changes nothing: the last good book stays, and says so."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.faults: list[Fault] = []  # of the newest reading: what is refused, and runbooks that are not armed
        self.refused: list[Fault] = []  # of these: files whose version before stays in force
        self._good: dict[str, Runbook] = {}  # the last good version of each runbook
        self._named: dict[Path, Seen] = {}  # the files that the policy refers to, as they were when they were read
        self._known: dict[str, str] = {}  # the last value of each
        self._lost: list[Fault] = []  # those of the newest reading that hold none any more
        self._lock = threading.Lock()
        self._looked_at = self.clock.monotonic()
        self._seen = self._look()
        self._book = self._read()  # raises FaultsFound: nothing starts on a faulty policy

    def current(self) -> Book:
        """The book to decide by now. Cheap: it looks at the files once a second at most."""
        with self._lock:
            now = self.clock.monotonic()
            if now - self._looked_at >= LOOK_AGAIN:
                self._looked_at = now
                self._read_if_changed()
            return self._book

    def refusals(self) -> list[Fault]:
        """What was saved with a fault, so that the version before stays in force. Empty when all is well."""
        self.current()
        return list(self.refused)

    def policy_file(self) -> tuple[str, str]:
        """The policy as it is saved now, whether it is in force or refused; what ships where there is no file."""
        path = self.settings.policy_path or SHIPPED
        try:
            return str(path), path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return str(path), f"# the file can't be read: {error.strerror}"

    def _read_if_changed(self) -> None:
        seen = self._look()
        if seen == self._seen and all(_seen([path]) == was for path, was in self._named.items()):
            return
        self._seen = seen
        try:
            self._book = self._read()
            log.info("book.read", policy=self._book.policy.digest, runbooks=len(self._book.runbooks.all))
        except FaultsFound as refused:
            self.faults = self.refused = refused.faults
        if self.refused:
            log.error("book.refused", faults=[str(fault) for fault in self.refused])

    def _look(self) -> Seen:
        paths = [*self._runbook_files(), *([self.settings.policy_path] if self.settings.policy_path else [])]
        return _seen(paths)

    def _read(self) -> Book:
        self._lost = []
        policy = self._read_policy()
        runbooks, refused, unreadable = self._read_runbooks(policy)
        library = Library(runbooks)
        self._good = {runbook.name: runbook for runbook in runbooks if not runbook.faults}
        self.refused = self._lost + refused
        self.faults = self.refused + unreadable + [fault for runbook in runbooks for fault in runbook.faults]
        self.faults += check_library(
            library,
            roles=policy.roles_known,
            services=set(policy.services),
            teams=set(policy.teams),
            severities=set(policy.severities),
        )
        for fault in self.faults:
            log.warning("runbook.faulty", fault=str(fault))
        return Book(policy, library)

    def _read_policy(self) -> Policy:
        path = self.settings.policy_path
        if path is None:
            return load_policy(None, "the shipped policy", lookup=self._look_up)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise FaultsFound([_unreadable(path, error)]) from error
        return load_policy(text, str(path), lookup=self._look_up)

    def _look_up(self, reference: str) -> str | None:
        """What the policy refers to. A file of it is known by how it was before it was read.

        One that is empty or can't be read any more is refused, and its last value stays in force: while it is replaced,
        pages must not go to the log. A secret of before may go.
        """
        path = self.settings.file_behind(reference)
        if path is None:
            return self.settings.lookup(reference)
        self._named[path] = _seen([path])
        value, known = self.settings.lookup(reference), self._known.get(reference)
        if value:
            self._known[reference] = value
        elif known and not reference.lower().endswith(PREVIOUS):
            self._lost.append(Fault(str(path), 1, "the file is empty or can't be read", "its value, as text in UTF-8"))
            return known
        return value

    def _read_runbooks(self, policy: Policy) -> tuple[list[Runbook], list[Fault], list[Fault]]:
        """Every runbook that can be read, the faults of those kept as they were, and of those that can't be read.

        One bad file never keeps the others from being used; and where an earlier version of it was good, that one
        stays: a slip in an editor must not disarm what would have paged somebody. One that was good is looked at anew:
        the policy may have lost its severity.
        """
        runbooks: list[Runbook] = []
        refused: list[Fault] = []
        unreadable: list[Fault] = []
        for path in self._runbook_files():
            good = self._good.get(path.stem)
            good = good if good and not _with_names_of(policy, good).faults else None
            try:
                runbook = _with_names_of(policy, parse_runbook(path.read_text(encoding="utf-8"), path.stem))
            except (OSError, ValueError) as error:
                (refused if good else unreadable).append(_unreadable(path, error))
                runbooks += [good] if good else []
                continue
            refused += runbook.faults if good else ()
            runbooks.append(good if good and runbook.faults else runbook)
        return runbooks, refused, unreadable

    def _runbook_files(self) -> list[Path]:
        files = self.settings.runbooks_path.glob("*.md")
        return sorted(path for path in files if path.stem.upper() != "README")


def _with_names_of(policy: Policy, runbook: Runbook) -> Runbook:
    """With the faults that only the policy shows: by a severity or a role that it does not know, nobody is paged."""
    wrong = names_to_page_by(runbook, policy.roles_known, policy.severities)
    return replace(runbook, faults=(*runbook.faults, *wrong))


def _seen(paths: Iterable[Path]) -> Seen:
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path in paths for stat in _stat(path))


def _stat(path: Path) -> Iterator[os.stat_result]:
    try:
        yield path.stat()
    except OSError:  # removed between the listing and now
        return


def _unreadable(path: Path, error: Exception) -> Fault:
    return Fault(str(path), 1, f"the file can't be read: {error}", "a text file in UTF-8")
