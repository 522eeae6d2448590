"""What a route of the JSON API is, and the fields that several of them take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from incidents import permissions


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body or of a query string."""

    name: str
    about: str
    required: bool = False
    kind: str = "string"  # string, integer, array (of texts), numbers (an array of integers); JSON Schema's words
    one_of: tuple[str, ...] = ()
    longest: int = 10_000
    form: str = ""  # JSON Schema's format, such as date-time
    pattern: str = ""
    example: Any = ""  # of a query; a body's stands with its route


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str  # under /api/v1, in OpenAPI's spelling
    name: str  # the view's name, and the operationId
    summary: str
    answer: str  # the schema's name
    verb: str | None = None  # the verb of the one door that it performs
    fields: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    raw: bool = False  # the body is somebody else's payload, taken as it is
    needs: str = permissions.VIEWER  # the role; whoever acts for some teams is asked for the team by the verb itself

    @property
    def versioned(self) -> bool:
        return self.verb is not None and "{name}" in self.path

    def rule(self) -> str:
        """The path as Flask spells it."""
        rule = self.path.replace("{name}", "<name>")
        for number in ("{n}", "{id}"):
            rule = rule.replace(number, f"<int:{number[1:-1]}>")
        return rule


def verb(path: str, name: str, summary: str, *fields: Field, example: Mapping[str, Any] | None = None) -> Route:
    if NOTE not in fields and name != "note":
        fields = (*fields, NOTE)
    return Route(
        "POST", f"/incidents/{{name}}/{path}", name, summary, "Done", verb=name, fields=fields, example=example or {},
        needs=permissions.RESPONDER,
    )  # fmt: skip


REASON = Field("reason", "Why, in one sentence; it goes into the timeline.", longest=2_000)
NOTE = Field("note", "A sentence for the timeline.")
SEVERITY = Field("severity", "A severity of the policy, such as P1.", required=True, longest=40)
STATUSES = ("open", "ended", "active", "contained", "resolved", "stood_down", "closed")
LIMIT = Field("limit", "How many items at most, 1 to 200; 50 unless told.", kind="integer", example=20)
CURSOR = Field("cursor", "`next` of the page before.", pattern=r"[0-9]{1,17}", example="41")
CURSOR_OF_INCIDENTS = replace(CURSOR, pattern=r"[0-9]{1,17}(-[A-Za-z0-9_]{1,40})?")  # of the worst first: id-severity
CURSOR_OF_ALERTS = replace(CURSOR, pattern=r"[0-9]{1,17}-[0-9]{1,17}", example="1767623400000000-17")
VERSION = Field("version", "The version you read; 409 if somebody changed the incident since.", kind="integer")
HOW_FAR_BACK = Field(
    "since", "How far back, such as 36h; 7d unless told.", pattern=r"([0-9]{1,4}[mh]|[0-9]{1,3}d)", longest=10
)
ABOUT_INCIDENTS = (
    Field("severity", "Only this severity.", longest=200, example="P1"),
    Field("service", "Only this service.", longest=200, example="checkout"),
    Field("team", "Only this team.", longest=200, example="payments"),
    Field("q", "Words in the title, or a part of the name.", longest=200, example="checkout"),
    Field("since", "Declared at or after this time.", form="date-time", longest=40, example="2026-01-05T14:30:00Z"),
    Field("until", "Declared before this time.", form="date-time", longest=40, example="2026-01-06T00:00:00Z"),
)


def cursor_of(given: Mapping[str, str], field: Field) -> str | None:
    """Where a page of the console goes on; from the begin where an address says nothing of that, or nonsense."""
    cursor = given.get("cursor", "")
    return cursor if re.fullmatch(field.pattern, cursor) else None
