"""A mapping: where the fields of an alert stand in somebody else's JSON, as paths (RFC 9535) or as plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Any

import jsonpath
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from incidents.units import NotAccepted

ACCEPTED = "a path like $.monitor.name, or a plain word that stays as it is; of a list the first that finds something"
MOST = 100  # values that one path finds for one field; nobody reads more of them
NOTHING: tuple[Any, ...] = (None, "", [], {})
_STRICT = jsonpath.JSONPathEnvironment(strict=True)


@dataclass(frozen=True, slots=True)
class Part:
    """One path into the sender's JSON, or a word that is there already."""

    text: str
    path: Any = field(default=None, compare=False, repr=False)  # compiled; None for a word

    def find(self, entry: Any) -> list[Any]:
        """What it leads to, empty values left out. A path that can't be followed here leads to nothing."""
        if self.path is None:
            return [self.text]
        try:
            return [value for value in islice(self.follow(entry), MOST) if value not in NOTHING]
        except jsonpath.JSONPathError:
            return []

    def follow(self, entry: Any) -> Iterator[Any]:
        """All that a path leads to, one by one. A text holds nothing but itself: the library would read it as JSON."""
        if isinstance(entry, str):
            return iter([entry] if self.text == "$" else [])
        return (match.value for match in self.path.finditer(entry)) if self.path else iter(())

    def __deepcopy__(self, _memo: Any) -> Part:  # it never changes, and a compiled path need not be copied
        return self


Said = tuple[Part, ...]


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        raise NotAccepted("a map is no path", ACCEPTED)
    return tuple(_part(one) for one in (value if isinstance(value, list | tuple) else [value]))


def _part(value: Any) -> Part:
    if isinstance(value, Part):
        return value
    if not isinstance(value, str) or not value:
        raise NotAccepted("this is no path", ACCEPTED)
    if not value.startswith("$"):
        return Part(value)
    try:
        return Part(value, _STRICT.compile(value))
    except jsonpath.JSONPathError as wrong:
        why = str(wrong).partition("\n")[0]
        raise NotAccepted(f"`{value}` is no JSON path: {why}", "a path by RFC 9535, like $.monitor.name") from None


def _written(value: Said) -> list[str]:
    return [one.text for one in value]


Where = Annotated[Said, BeforeValidator(_said), PlainSerializer(_written)]


class Mapping(BaseModel):
    """Our field → where it stands in theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    each: Where = Field(default=(), description="Where the alerts are, if the body holds several; `$` is then each.")
    title: Where = Field(description="What a person reads first.")
    fingerprint: Where = Field(description="What stays the same from firing to resolved, and differs between alerts.")
    status: Where = Field(default=(), description="How it is; without it, and with any unknown value, it fires.")
    resolved: tuple[str, ...] = Field(
        default=("resolved", "recovered", "ok", "closed"), description="The values of `status` that mean resolved."
    )
    severity: Where = Field(default=(), description="How bad it is: the label `severity`.")
    severities: dict[str, str] = Field(default_factory=dict, description="Their word for `severity` → ours.")
    labels: dict[str, Where] = Field(default_factory=dict, description="Label → where its value is.")
    labels_from: Where = Field(
        default=(), description='Many at once: an object, pairs, or text like "env:prod,team:shop".'
    )
    annotations: dict[str, Where] = Field(default_factory=dict, description="Annotation → where its text is.")
    annotations_from: Where = Field(default=(), description="Many at once, as in `labels_from`.")
    starts_at: Where = Field(
        default=(),
        description="Since when: ISO 8601, or seconds or milliseconds since 1970. "
        "A time that moves with every repeat begins the alert anew once its incident is over.",
    )
    ends_at: Where = Field(default=(), description="Until when, where it is resolved.")
    link: Where = Field(default=(), description="An address that people may open.")
    value: Where = Field(default=(), description="The measured number, for conditions like `value > 5`.")
