"""Any JSON, read by a mapping: the policy's own, or one that ships for a sender that many have."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from werkzeug.datastructures import Headers

from incidents.alerts import FIRING, RESOLVED, Alert, clean_line
from incidents.errors import MalformedPayload
from incidents.mapping import Mapping, Said
from webhooks.sources.reading import link, number, read_json, text, texts, time_of

# For whoever can choose the body: our own names, an object or a list of such.
MAPPING = Mapping.model_validate(
    {
        "title": ["$.title", "$.summary", "$.message"],
        "fingerprint": ["$.fingerprint", "$.id", "$.title", "$.summary", "$.message"],
        "status": "$.status",
        "severity": "$.severity",
        "labels": {"service": "$.service"},
        "labels_from": "$.labels",
        "annotations_from": "$.annotations",
        "starts_at": ["$.starts_at", "$.startsAt"],
        "ends_at": ["$.ends_at", "$.endsAt"],
        "link": ["$.link", "$.url"],
        "value": "$.value",
    }
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS = 10**11  # a number of seconds from here on would be the year 5138


@dataclass(frozen=True, slots=True)
class Looked:
    """One field of a mapping at work: where it looked, and what it found there."""

    field: str
    path: str
    found: str | None


def parse(source: str, body: bytes, headers: Map[str, str], *, mapping: Mapping = MAPPING) -> list[Alert]:
    """The alerts of a body; MalformedPayload names the path that a field can't do without and that finds nothing."""
    return [_alert(source, entry, mapping) for entry in _entries(read_json(body, headers), mapping)]


def delivery_key(_headers: Headers) -> str | None:
    """Nobody agreed on an id with us: every delivery is taken in."""
    return None


def explain(body: bytes, headers: Map[str, str], *, mapping: Mapping) -> list[list[Looked]]:
    """Each alert's fields, where the mapping looked for them, and what it found."""
    return [list(_looks(entry, mapping)) for entry in _entries(read_json(body, headers), mapping)]


def _entries(body: Any, mapping: Mapping) -> list[Any]:
    """Without `each`, a list is its entries and anything else is one alert. A path may lead to the list or into it."""
    if not mapping.each:
        return body if isinstance(body, list) else [body]
    for part in mapping.each:
        if found := list(part.follow(body)):
            return [entry for one in found for entry in (one if isinstance(one, list) else [one])]
    raise MalformedPayload(f"The mapping's `each` finds no alerts at {_spelled(mapping.each)}.")


def _alert(source: str, entry: Any, mapping: Mapping) -> Alert:
    is_resolved = _first(entry, mapping.status).strip().casefold() in {one.casefold() for one in mapping.resolved}
    title = _needed(entry, mapping, "title")
    return Alert(
        source=source,
        fingerprint=_key(_needed(entry, mapping, "fingerprint")),
        # Whatever is not plainly resolved is firing: the mistake that wakes somebody is the better one.
        status=RESOLVED if is_resolved else FIRING,
        labels=_labels(entry, mapping),
        annotations={**_many(entry, mapping.annotations_from), **_named(entry, mapping.annotations)},
        title=clean_line(title) or "An alert without a name",
        value=number(_raw(entry, mapping.value)),
        starts_at=_moment(_raw(entry, mapping.starts_at)),
        ends_at=_moment(_raw(entry, mapping.ends_at)) if is_resolved else None,
        link=link(_raw(entry, mapping.link)),
    )


def _labels(entry: Any, mapping: Mapping) -> dict[str, str]:
    labels = {**_many(entry, mapping.labels_from), **_named(entry, mapping.labels)}
    if severity := _first(entry, mapping.severity):
        labels["severity"] = mapping.severities.get(severity, severity)
    return labels


def _needed(entry: Any, mapping: Mapping, field: str) -> str:
    where: Said = getattr(mapping, field)
    if not (found := _first(entry, where)):
        raise MalformedPayload(f"The mapping's `{field}` finds nothing at {_spelled(where)}.")
    return found


def _find(entry: Any, where: Said) -> list[Any]:
    """What the first part finds that finds anything."""
    return next((found for part in where if (found := part.find(entry))), [])


def _raw(entry: Any, where: Said) -> Any:
    return next(iter(_find(entry, where)), None)


def _first(entry: Any, where: Said) -> str:
    """As text; a path that leads to several values is all of them."""
    return ", ".join(text(value) for value in _find(entry, where))


def _named(entry: Any, wanted: Map[str, Said]) -> dict[str, str]:
    return {name: found for name, where in wanted.items() if (found := _first(entry, where))}


def _many(entry: Any, where: Said) -> dict[str, str]:
    """Labels in the shapes that senders have: an object; pairs; objects of name and value; text with colons."""
    made: dict[str, str] = {}
    for value in _find(entry, where):
        if isinstance(value, dict):
            made |= texts(value)
            continue
        parts = value if isinstance(value, list) else text(value).split(",")
        made |= dict(pair for part in parts if (pair := _pair(part)))
    return made


def _pair(part: Any) -> tuple[str, str] | None:
    if isinstance(part, dict):
        part = [part.get("name", part.get("key")), part.get("value")]
    elif isinstance(part, str):
        name, colon, said = part.partition(":")
        part = [name.strip(), said.strip()] if colon else []
    if isinstance(part, list) and len(part) == 2 and isinstance(part[0], str) and part[0]:
        return part[0], text(part[1])
    return None


def _moment(value: Any) -> datetime | None:
    if (moment := time_of(value)) is not None or (since := number(value)) is None:
        return moment
    try:
        moment = EPOCH + timedelta(seconds=since / 1000 if since >= MILLISECONDS else since)
    except OverflowError:
        return None
    return moment if moment > EPOCH else None


def _key(given: str) -> str:
    """Something that can be a key in every database: what it is made of, or a digest of that."""
    given = given.strip()
    if given and given.isascii() and given.isprintable() and len(given) <= 128:
        return given
    return sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _looks(entry: Any, mapping: Mapping) -> Iterator[Looked]:
    for field in Mapping.model_fields:
        wanted = getattr(mapping, field)
        if field in ("labels", "annotations"):
            for name, where in wanted.items():
                yield _look(f"{field}.{name}", entry, where)
        elif field not in ("each", "resolved", "severities") and wanted:
            yield _look(field, entry, wanted)


def _look(field: str, entry: Any, where: Said) -> Looked:
    part = next((one for one in where if one.find(entry)), None)
    looked = part.text if part else " or ".join(one.text for one in where)
    return Looked(field, looked, _first(entry, where) if part else None)


def _spelled(where: Said) -> str:
    return " or ".join(f"`{part.text}`" for part in where)
