"""Uptime Kuma's webhook: one alert for each monitor; the test button and a certificate's end come without a monitor."""

from __future__ import annotations

import json
from functools import partial

from incidents.errors import MalformedPayload
from incidents.mapping import Mapping
from webhooks.sources import generic
from webhooks.sources.reading import link, read_json

MAPPING = Mapping.model_validate(
    {
        "title": "$.msg",
        "fingerprint": ["$.monitor.id", "$.heartbeat.monitorID", "$.msg"],
        "status": "$.heartbeat.status",
        "resolved": ["1"],
        # A tag `severity` of the monitor decides. A monitor that is down has been tried again by Uptime Kuma already.
        "severity": ["$.monitor.tags[?@.name=='severity'].value", "$.heartbeat.status", "warning"],
        "severities": {"0": "critical", "1": "critical", "2": "critical", "3": "info"},
        "labels": {
            "alertname": "$.monitor.name",
            "service": ["$.monitor.tags[?@.name=='service'].value", "$.monitor.name"],
            "monitor": ["$.monitor.id", "$.heartbeat.monitorID"],
            "type": "$.monitor.type",
        },
        "labels_from": "$.monitor.tags",
        "annotations": {"summary": "$.msg", "description": "$.heartbeat.msg"},
        "starts_at": ["$.heartbeat.time"],
        "value": "$.heartbeat.ping",
        "link": "$.monitor.url",
    }
)

# Of a monitor as a whole it sends everything, the passwords that it signs in with as well.
HARMLESS = ("id", "name", "pathName", "type", "hostname", "port", "interval", "retryInterval", "maxretries", "tags")

parse = partial(generic.parse, mapping=MAPPING)


def kept(body: bytes) -> bytes:
    """What may be stored of a body: of its monitor what nobody can sign in with. What can't be read stays as it is."""
    try:
        delivery = read_json(body, {})
    except MalformedPayload:
        return body
    monitor = delivery.get("monitor") if isinstance(delivery, dict) else None
    if not isinstance(monitor, dict):
        return body
    harmless = {name: monitor[name] for name in HARMLESS if name in monitor}
    return json.dumps({**delivery, "monitor": {**harmless, "url": link(monitor.get("url"))}}).encode()
