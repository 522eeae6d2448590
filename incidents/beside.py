"""What another tool opened, read from its CSV export, beside what Firedoor would have: missed, extra, other person.

Pure. PagerDuty's and Opsgenie's column names are known, in any spelling: `created_on`, `Created At`, `CreatedAt`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from incidents.errors import Malformed

# what we need → the columns that say it, best first
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "at": ("createdon", "createdat", "createdatutc", "createdatdate", "created", "createddate", "date"),
    "title": ("description", "title", "message", "summary", "alias"),
    "service": ("servicename", "service", "impactedservices", "entity", "integration", "source"),
    "people": (
        "acknowledgedbyusernames", "assignedtousernames", "acknowledgedby", "assignedusernames", "assignedto", "owner",
        "responders", "resolvedbyusername", "resolvedbyusernames", "closedby",
    ),
    "id": ("incidentnumber", "tinyid", "id", "incidentid", "alertid"),
}  # fmt: skip
NEAR = timedelta(minutes=15)  # the same trouble is opened by two tools within so long
ALIKE = 0.5  # of the words of the shorter title
TIMES = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class Theirs:
    """One line of an export."""

    id: str
    at: datetime
    title: str
    service: str
    people: tuple[str, ...]


def read_export(text: str) -> list[Theirs]:
    """The lines of a CSV export. Raises Malformed with what is missing, and for a time that can't be read."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    headings = [_plain(one) for one in next(rows, [])]
    where = {need: [headings.index(name) for name in names if name in headings] for need, names in COLUMNS.items()}
    missing = [need for need in ("at", "title") if not where[need]]
    if missing:
        wanted = "; ".join(f"{need}: {', '.join(COLUMNS[need])}" for need in missing)
        raise Malformed("export.columns", f"The export lacks columns, so nothing was compared. Accepted for {wanted}.")
    return [_line(row, where, number) for number, row in enumerate(rows, start=2) if any(row)]


def _plain(heading: str) -> str:
    return re.sub(r"[^a-z]", "", heading.lower())


def _line(row: Sequence[str], where: Mapping[str, Sequence[int]], number: int) -> Theirs:
    def first(need: str) -> str:
        return next((row[at].strip() for at in where[need] if at < len(row) and row[at].strip()), "")

    return Theirs(
        id=first("id") or f"line {number}",
        at=_time(first("at"), number),
        title=first("title"),
        service=first("service"),
        people=tuple(one.strip() for one in re.split(r"[,;|]", first("people")) if one.strip()),
    )


def _time(text: str, number: int) -> datetime:
    """ISO 8601, milliseconds since 1970 as Opsgenie has them, and what spreadsheets make of a time; UTC unless told."""
    if re.fullmatch(r"\d{13}", text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = _spreadsheet_time(text, number)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _spreadsheet_time(text: str, number: int) -> datetime:
    for form in TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise Malformed("export.time", f"Line {number} of the export has no time that can be read: {text[:60]!r}.")


# --- comparing ---


def compare(opened: Sequence[Mapping[str, Any]], theirs: Sequence[Theirs]) -> dict[str, list[dict[str, Any]]]:
    """Theirs that we would have missed, ours that are extra, and the same trouble told to another person.

    Several of theirs may be one of ours: an incident takes in whatever fires for the same cause while it is open.
    """
    matched: dict[str, list[Theirs]] = {}
    missed: list[dict[str, Any]] = []
    for line in sorted(theirs, key=lambda one: one.at):
        ours = _match(line, opened)
        if ours is None:
            missed.append(_shown(line))
        else:
            matched.setdefault(ours["id"], []).append(line)
    both = [
        {"ours": one["id"], "title": one["title"], "theirs": [line.id for line in matched[one["id"]]]}
        for one in opened
        if one["id"] in matched
    ]
    extra = [
        {"ours": one["id"], "at": one["opened_at"], "title": one["title"], "service": one["service"]}
        for one in opened
        if one["id"] not in matched
    ]
    others = [found for one in opened if (found := _other_person(one, matched.get(one["id"], [])))]
    return {"both": both, "missed": missed, "extra": extra, "other_person": others}


def _shown(line: Theirs) -> dict[str, Any]:
    at = line.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"theirs": line.id, "at": at, "title": line.title, "service": line.service, "people": list(line.people)}


def _match(line: Theirs, opened: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Of ours that were open about then, the one that is most alike; the nearest in time among equals."""
    near = [(one, _alike(line, one)) for one in opened if _is_near(line.at, one)]
    fitting = [(one, how) for one, how in near if how >= ALIKE]
    if not fitting:
        return None
    return max(fitting, key=lambda found: (found[1], -abs((_moment(found[0]) - line.at).total_seconds())))[0]


def _moment(ours: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(ours["opened_at"])


def _is_near(at: datetime, ours: Mapping[str, Any]) -> bool:
    ended = datetime.fromisoformat(ours["ended_at"]) if ours["ended_at"] else None
    return _moment(ours) - NEAR <= at <= max(ended or at, _moment(ours)) + NEAR


def _alike(line: Theirs, ours: Mapping[str, Any]) -> float:
    """1 for the same service, else the share of the shorter title's words that both have."""
    if line.service and _plain(line.service) == _plain(ours["service"] or ""):
        return 1.0 + _shared(line.title, ours["title"])
    return _shared(line.title, f"{ours['title']} {ours['service'] or ''}")


def _shared(one: str, other: str) -> float:
    words, others = _words(one), _words(other)
    return len(words & others) / max(1, min(len(words), len(others)))


def _words(text: str) -> set[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", text)  # DBConnectionErrors → DBConnection Errors
    return {word for word in re.findall(r"[a-z0-9]{2,}", spaced.lower()) if not word.isdigit()}


def _other_person(ours: Mapping[str, Any], lines: Sequence[Theirs]) -> dict[str, Any] | None:
    """Both know whom they asked, and nobody is in both."""
    asked = {_who(person) for line in lines for person in line.people}
    would = {_who(name) for page in ours["pages"] for name in (page["person"], page["name"])}
    if not asked or not would or asked & would:
        return None
    names = sorted({person for line in lines for person in line.people})
    return {
        "ours": ours["id"],
        "title": ours["title"],
        "would_page": sorted({page["name"] for page in ours["pages"]}),
        "they_asked": names,
    }


def _who(name: str) -> str:
    """`Ada Lovelace <ada@example.com>`, `ada@example.com` and `ada` are one person."""
    address = re.search(r"([\w.+-]+)@", name)
    return (address[1] if address else name).strip().lower()
