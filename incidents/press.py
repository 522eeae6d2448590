"""A press: who uses which verb on which incident, with what fields; every verb gets one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from incidents import store
from incidents.alerts import clean_text
from incidents.book import Book
from incidents.errors import Malformed
from incidents.promises import Bell

LONGEST_NOTE = 10_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who presses, and by which way in."""

    person: str
    name: str
    via: str  # console, api, cli, link, slack, pagerduty
    role: str = "admin"  # what they may do: incidents/permissions.py
    teams: tuple[str, ...] = ()  # whose incidents they may act on; empty: all
    login: str = ""  # of the account; empty where it is not by an account that they came


@dataclass(frozen=True, slots=True)
class Done:
    """What a verb did: the incident, what fell due by it, and a sentence for the person who pressed."""

    incident_id: int
    name: str
    bells: list[Bell]
    said: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What fell due by a verb that can come out in several ways, and what is said of the way it did."""

    bells: list[Bell]
    said: str


@dataclass(frozen=True, slots=True)
class Press:
    """Everything that a verb gets: the locked incident, who pressed, the fields, the book and the moment."""

    session: Connection
    incident: Row[Any]
    by: Actor
    fields: Mapping[str, Any]
    book: Book
    now: datetime

    def text(self, name: str, *, needed: str = "") -> str:
        """A text field, cleaned. Raises Malformed with `needed` where it is empty and must not be."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str | int):
            raise Malformed(f"field.{name}", f"“{name}” must be text. Nothing was changed.")
        text = clean_text("" if value is None else str(value), LONGEST_NOTE)
        if needed and not text:
            raise Malformed(f"field.{name}", f"{needed} Nothing was changed.")
        return text

    def say(
        self,
        code: str,
        *,
        on: int | None = None,
        at: datetime | None = None,
        supersedes: int | None = None,
        **facts: Any,
    ) -> None:
        """One entry of the timeline, by whoever presses; `on` is the id of another incident that it concerns."""
        store.write(
            self.session, self.incident.id if on is None else on, code, now=self.now, at=at, actor=self.by.person,
            source=self.by.via, hat=self.hat, supersedes=supersedes, **facts,
        )  # fmt: skip

    @property
    def who(self) -> dict[str, str]:
        return {"by": self.by.person, "via": self.by.via}

    @property
    def hat(self) -> str | None:
        worn = [
            role for role, person in store.roles_now(self.session, self.incident.id).items() if person == self.by.person
        ]
        return ",".join(worn) or None
