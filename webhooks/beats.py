"""Heartbeats: a POST to /hooks/heartbeat/<name> is one call of that job, whatever its body says."""

from __future__ import annotations

from werkzeug.datastructures import Headers

from incidents.alerts import HEARTBEAT
from webhooks.sources import Source, no_alerts


def delivery_key(_headers: Headers) -> str | None:
    """Every call counts, even of a job whose script sends the same number each time."""
    return None


CALL = Source(HEARTBEAT, parse=no_alerts, delivery_key=delivery_key, comes_back=False)
