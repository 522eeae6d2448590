"""Deploys: `{"service", "version", "at", "by", "commit", "link"}`, refused with the field's name where one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import Headers

from incidents.alerts import clean_line
from incidents.changes import Deploy
from incidents.errors import MalformedPayload
from webhooks.sources import SourceSettings
from webhooks.sources.reading import link, read_json, time_of

LONGEST = 200
TEXTS = ("service", "version", "by", "commit")
FIELDS = (*TEXTS, "at", "link")
NUMBERED_BY = ("Idempotency-Key", "X-Delivery-Id")


def read(body: bytes, headers: Mapping[str, str]) -> Deploy:
    """What was deployed. MalformedPayload names every field that is missing, unknown or wrong."""
    given = read_json(body, headers)
    if not isinstance(given, dict):
        raise MalformedPayload(f"The body is not a JSON object with {', '.join(FIELDS)}.")
    faults = [fault for fault in (_fault(name, given) for name in FIELDS) if fault]
    faults += [f"`{clean_line(name, 60)}` is not a field here." for name in given if name not in FIELDS]
    if faults:
        raise MalformedPayload(" ".join([*faults, f"Accepted: {', '.join(FIELDS)}."]))
    service, version, by, commit = (clean_line(given.get(name) or "") for name in TEXTS)
    return Deploy(
        service=service,
        version=version,
        by=by,
        commit=commit,
        link=link(given.get("link") or ""),
        at=time_of(given.get("at")),
    )


def check(body: bytes, headers: Mapping[str, str], _settings: SourceSettings) -> None:
    """Whether the body can be taken: nobody else would read the refusal in time to mend the pipeline."""
    read(body, headers)


def delivery_key(headers: Headers) -> str | None:
    """The pipeline's own number of the run, where it gives one that can be a key in every database."""
    given = (headers.get(name, "").strip() for name in NUMBERED_BY)
    return next((key for key in given if key and key.isascii() and key.isprintable() and len(key) <= LONGEST), None)


def _fault(name: str, given: Mapping[str, Any]) -> str:
    value = given.get(name)
    if value is None or value == "":
        return f"`{name}` is missing." if name == "service" else ""
    if not isinstance(value, str):
        return f"`{name}` must be a text."
    if name == "at" and time_of(value) is None:
        return "`at` must be a time such as 2026-11-21T14:15:00Z."
    if name == "link" and not link(value):
        return "`link` must begin with https:// or http://."
    if name in TEXTS and (len(value) > LONGEST or not clean_line(value)):
        return f"`{name}` must be one line of at most {LONGEST} characters."
    return ""
