"""What `firedoor check` finds: every fault of the policy and the runbooks at once, and notes on what is good."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from firedoor.settings import Settings
from firedoor.shelf import Shelf
from incidents.book import Book
from incidents.errors import Fault, FaultsFound


@dataclass
class Checked:
    """All that is wrong, and the notes on what is not."""

    book: Book | None = None
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        return {
            "ok": not self.faults,
            "faults": [
                {"file": one.file, "line": one.line, "what": one.what, "accepted": one.accepted} for one in self.faults
            ],
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
    return Checked(book, shelf.faults, [*book.policy.notes, *_runbook_notes(book)])


def _runbook_notes(book: Book) -> list[str]:
    notes = [
        f"the runbook {one.name} is not armed: it only suggests, or lends its steps"
        for one in book.runbooks.all
        if not one.armed and not one.fallback and not one.faults
    ]
    if not book.runbooks.all:
        notes.append("there is no runbook: an incident opens by severity mapping alone, without steps")
    return notes
