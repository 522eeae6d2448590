"""An alert: one labelled signal of a sender, firing or resolved, known by its fingerprint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

FIRING, RESOLVED = "firing", "resolved"
HEARTBEAT = "heartbeat"  # the source of the alerts that we make ourselves, of a job that does not call in
REORDERED_WITHIN = timedelta(seconds=60)  # a firing so soon after its resolve may be a slower peer's
REMEMBERED_FIRINGS = 50  # receive times kept an alert, for `count(10m) >= 5`

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Alert:
    """What a sender said of one signal. `(source, fingerprint)` is its identity, never its text or `starts_at`."""

    source: str
    fingerprint: str
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    value: float | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a delivery changed of one stored alert: `fired`, `repeated`, `regraded`, `held`, `resolved` or `nothing`.

    A regraded one fired all the time, and says another severity now.
    """

    alert_id: int
    what: str
    row: Any = None  # the stored alert, where the delivery inserted it: then nobody has to read it again
    before: Any = None  # as it was stored until this delivery, where it was
    decided: Any = None  # what was decided about it when it was inserted (`decision.Decided`)


def change_of(
    status: str | None,
    resolved_at: datetime | None,
    held_until: datetime | None,
    *,
    says: str,
    now: datetime,
) -> str:
    """Say what a delivery means for an alert that was `status` (None: never seen).

    A firing within 60 s of a resolve is held: it may be a slower peer's old news, and only time tells.
    """
    if says == RESOLVED:
        return "resolved" if status == FIRING or held_until is not None else "nothing"
    if status == FIRING:
        return "repeated"
    if held_until is not None:
        return "nothing"
    if status == RESOLVED and resolved_at is not None and now - resolved_at < REORDERED_WITHIN:
        return "held"
    return "fired"


def clean_line(text: str, limit: int = 200) -> str:
    """One line that is safe in a header, a subject, a log or a terminal: no control, bidi or surrogate characters."""
    line = _SPACE.sub(" ", _CONTROL.sub(" ", text)).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def clean_text(text: str, limit: int = 4000) -> str:
    """Text of several lines without control, bidi or surrogate characters."""
    clean = _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


_WEB_LINK = re.compile(r"https?://[^\s<>\"'`{}|\\^\[\]/?#]+[^\s<>\"'`{}|\\^]*", re.IGNORECASE)


def web_link(text: str, limit: int = 500) -> str:
    """The text where it is the address of a page, else "": what a sender wrote never becomes another kind of link."""
    text = text.strip()
    return text if len(text) <= limit and not _CONTROL.search(text) and _WEB_LINK.fullmatch(text) else ""


def runbook_url(alert: Any) -> str:
    """Where its sender keeps a runbook for it: the annotation that alert rules carry, or the label; else ""."""
    return next(
        (url for facts in (alert.annotations, alert.labels) if (url := web_link(facts.get("runbook_url", "")))), ""
    )


_FNV_OFFSET, _FNV_PRIME, _64_BITS = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's own identity of a label set (wire.md §1.1): FNV-1a 64 over the sorted `name 0xFF value 0xFF`."""
    hashed = _FNV_OFFSET
    for name in sorted(labels):
        for part in (name, labels[name]):
            for byte in part.encode("utf-8", "surrogatepass") + b"\xff":
                hashed = ((hashed ^ byte) * _FNV_PRIME) & _64_BITS
    return f"{hashed:016x}"
