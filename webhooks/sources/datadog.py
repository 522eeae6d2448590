"""Datadog's webhooks integration, with the payload template of docs/sources.md: one alert from trigger to recovery."""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from dataclasses import replace

from incidents.alerts import Alert
from incidents.mapping import Mapping
from webhooks.sources import generic

MAPPING = Mapping.model_validate(
    {
        "title": ["$.alert_title", "$.event_title", "$.alert_metric"],
        "fingerprint": ["$.alert_cycle_key", "$.aggreg_key", "$.alert_id", "$.id"],
        "status": "$.alert_transition",
        "resolved": ["Recovered"],  # a transition that we don't know fires
        "severity": "$.alert_type",
        "labels": {
            "alertname": ["$.alert_title", "$.event_title"],
            "monitor": "$.alert_id",
            "priority": "$.alert_priority",
            "metric": "$.alert_metric",
            "host": "$.hostname",
        },
        "labels_from": "$.tags",
        "annotations": {
            "summary": ["$.alert_title", "$.event_title"],
            "description": ["$.alert_status", "$.event_msg"],
            "query": "$.alert_query",
            "scope": "$.alert_scope",
            "transition": "$.alert_transition",
            "snapshot": "$.snapshot",
        },
        "starts_at": ["$.date", "$.last_updated"],
        "link": "$.link",
    }
)
_TRANSITION = re.compile(r"^(?:\[[^\]]{1,200}\]\s*)?")


def parse(source: str, body: bytes, headers: Map[str, str]) -> list[Alert]:
    """By the mapping; and a monitor is called alike when it triggers and when it recovers."""
    return [_called_alike(alert) for alert in generic.parse(source, body, headers, mapping=MAPPING)]


def _called_alike(alert: Alert) -> Alert:
    """Without the `[Triggered on {…}]` that stands before the monitor's name."""
    labels = dict(alert.labels)
    if name := _TRANSITION.sub("", labels.get("alertname", "")):
        labels["alertname"] = name
    return replace(alert, labels=labels, title=_TRANSITION.sub("", alert.title) or alert.title)
