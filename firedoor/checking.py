"""What `firedoor check` finds: every fault at once with its line, what to look at, and notes on what is good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from firedoor.settings import Settings
from firedoor.shelf import Shelf
from incidents.book import Book
from incidents.errors import Fault, FaultsFound
from incidents.library import claimed_twice, facts_of_example
from incidents.lists import unmapped_severities
from incidents.policy import over_the_shipped
from incidents.runbooks import Runbook
from incidents.waking import unwoken
from ports.clock import SystemClock
from ports.database import Database, StoreDown
from worker.channels import build

MOST_NOTES = 5  # of runbooks that are not armed: somebody who imported 300 drafts knows it


@dataclass
class Checked:
    """All that is wrong, what a person should look at, and the notes on the rest."""

    book: Book | None = None
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        return {
            "ok": not self.faults,
            "faults": [
                {"file": one.file, "line": one.line, "what": one.what, "accepted": one.accepted} for one in self.faults
            ],
            "warnings": self.warnings,
            "notes": self.notes,
            "runbooks": [one.name for one in self.book.runbooks.all] if self.book else [],
        }


def check(settings: Settings) -> Checked:
    """Read what a start would read. A faulty policy hides what the runbooks name from it, so it comes first."""
    try:
        shelf = Shelf(settings)
    except FaultsFound as found:
        return Checked(faults=found.faults)
    book = shelf.current()
    asleep, warnings = _unwoken(settings)
    asleep += _not_built(settings, book)
    warnings += [*_runbook_warnings(book, SystemClock().now()), *_unmapped(settings, book)]
    return Checked(book, [*asleep, *shelf.faults], warnings, [*book.policy.notes, *_runbook_notes(book)])


def _unwoken(settings: Settings) -> tuple[list[Fault], list[str]]:
    """People whom no page wakes. It keeps no start from paging them as well as it can, so only `check` says it."""
    path = settings.policy_path
    text = path.read_text(encoding="utf-8") if path else None
    return unwoken(over_the_shipped(text, str(path or "")), str(path or ""))


def _not_built(settings: Settings, book: Book) -> list[Fault]:
    """Channels that are set up and yet can't be: a wrong setting, or a package that is not installed."""
    faults = []
    for name, channel in book.policy.channels.items():
        try:
            if channel.is_ready:
                build(channel.kind, name, channel.settings, log=structlog.get_logger())
        except ValueError as wrong:
            faults.append(Fault(str(settings.policy_path or "the shipped policy"), 1, f"{wrong}."))
    return faults


def _runbook_warnings(book: Book, now: datetime) -> list[str]:
    """What keeps no runbook from being used, and yet makes the wrong one win or leaves somebody without one."""
    faults = [fault for one in book.runbooks.all for fault in one.warnings]
    faults += [fault for one in book.runbooks.all if (fault := one.review_warning(now.date())) and not one.draft]
    faults += claimed_twice(book.runbooks)
    served = {name for one in book.runbooks.all if one.armed for name in _services_of(one, book)}
    without = [name for name in book.policy.services if name not in served]
    return [str(fault) for fault in faults] + [
        f"the service {name} has no armed runbook: its incidents get the fallback's steps" for name in without
    ]


def _services_of(runbook: Runbook, book: Book) -> set[str | None]:
    """The services that a runbook names, or has an example of."""
    shown = {book.policy.service_of(facts_of_example(example)) for example in runbook.examples.match}
    return {runbook.service, *shown}


def _unmapped(settings: Settings, book: Book) -> list[str]:
    """Severities that were seen and are mapped nowhere, where there is a database to look into."""
    path = settings.database_url.removeprefix("sqlite:///")
    if path != settings.database_url and not Path(path).exists():
        return []
    database = Database(settings.database_url, SystemClock(), pool_size=1, wait=1.0)
    try:
        with database.read() as work:
            found = unmapped_severities(work.session, book=book, now=work.now)
    except (StoreDown, SQLAlchemyError):  # `firedoor doctor` says what is wrong with it
        return []
    finally:
        database.close()
    return [_unmapped_words(**one) for one in found]


def _unmapped_words(source: str, severity: str, alerts: int, title: str) -> str:
    said = f"the severity “{severity}”" if severity else "no severity"
    many = f"{alerts} alerts of {source} say" if alerts > 1 else f"1 alert of {source} says"
    return f"{many} {said}, which `severity_map` maps nowhere: suggested, never opened (the newest: “{title}”)"


def _runbook_notes(book: Book) -> list[str]:
    idle = [one.name for one in book.runbooks.all if not one.armed and not one.fallback and not one.faults]
    notes = [f"the runbook {name} is not armed: it only suggests, or lends its steps" for name in idle[:MOST_NOTES]]
    if len(idle) > MOST_NOTES:
        notes.append(f"{len(idle) - MOST_NOTES} more runbooks are not armed")
    if not book.runbooks.all:
        notes.append("there is no runbook: an incident opens by severity mapping alone, without steps")
    return notes
