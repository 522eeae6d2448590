"""Uptime Kuma's webhook: one alert for each monitor; the test button and a certificate's end come without a monitor."""

from __future__ import annotations

from functools import partial

from incidents.mapping import Mapping
from webhooks.sources import generic

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

parse = partial(generic.parse, mapping=MAPPING)
