"""Alertmanager's webhook, version 4: one alert for each entry of `alerts`, by that entry's own status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import structlog
from werkzeug.datastructures import Headers

from incidents.alerts import FIRING, RESOLVED, Alert, clean_line, fingerprint
from incidents.errors import MalformedPayload
from webhooks.sources.reading import link, number, read_json, text, texts, time_of

log = structlog.get_logger()
LONGEST = 2**19  # characters of labels


def parse(source: str, body: bytes, headers: Mapping[str, str]) -> list[Alert]:
    """Read what is there, and conclude nothing from what is not.

    The status of the whole delivery is computed after `max_alerts` cut it: it can say resolved while alerts fire.
    An alert that was cut or left out is therefore never resolved by its absence.
    """
    return [alert_of(source, entry) for entry in entries_of(source, body, headers)]


def entries_of(source: str, body: bytes, headers: Mapping[str, str]) -> list[Any]:
    """The entries that a delivery lists; whatever it left out is only counted."""
    delivery = read_json(body, headers)
    entries = delivery.get("alerts") if isinstance(delivery, dict) else None
    if not isinstance(entries, list):
        raise MalformedPayload("The body has no list `alerts`, so it is not an Alertmanager's webhook.")
    if left_out := number(delivery.get("truncatedAlerts")):
        log.warning("hook.truncated", source=source, left_out=int(left_out))
    return entries


def delivery_key(_headers: Headers) -> str | None:
    """Alertmanager numbers nothing, and a repeat is byte for byte like a retry: every delivery is taken in."""
    return None


def alert_of(source: str, entry: Any) -> Alert:
    """One entry, by its own status."""
    if not isinstance(entry, dict) or not isinstance(entry.get("labels"), dict):
        raise MalformedPayload("An entry of `alerts` is not an object with `labels`.")
    labels, annotations = texts(entry["labels"]), texts(entry.get("annotations"))
    return Alert(
        source=source,
        fingerprint=_given_fingerprint(entry.get("fingerprint")) or _computed_fingerprint(labels),
        # Whatever is not plainly resolved is firing: the mistake that wakes somebody is the better one.
        status=RESOLVED if entry.get("status") == RESOLVED else FIRING,
        labels=labels,
        annotations=annotations,
        title=_title(labels, annotations),
        value=number(annotations.get("value")),
        starts_at=time_of(entry.get("startsAt")),
        ends_at=time_of(entry.get("endsAt")),
        link=link(entry.get("generatorURL")),
    )


def _given_fingerprint(value: Any) -> str:
    """The sender's own, if it is something that can be a key in every database."""
    given = text(value).strip()
    return given if given.isascii() and given.isprintable() and len(given) <= 128 else ""


def _computed_fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's own way, byte by byte; a digest where that would take seconds, which it would have sent itself."""
    if sum(len(name) + len(value) for name, value in labels.items()) <= LONGEST:
        return fingerprint(labels)
    return sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:32]


def _title(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """What a person reads first: the summary, else the alert's name, else whatever label comes first."""
    first = next((f"{name}={value}" for name, value in labels.items()), "")
    for candidate in (annotations.get("summary", ""), labels.get("alertname", ""), first):
        if title := clean_line(candidate):
            return title
    return "An alert without a name"
