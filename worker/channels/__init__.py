"""The channels, by kind. Adding one: copy the nearest file, its templates and its test, and name it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ports.clock import Clock, SystemClock
from worker.channels.channel import Channel, Log, Message
from worker.channels.email import EmailChannel
from worker.channels.log import LogChannel
from worker.channels.webhook import WebhookChannel

__all__ = ["CHANNELS", "Channel", "Message", "build", "capabilities"]

CHANNELS: dict[str, type[EmailChannel] | type[WebhookChannel] | type[LogChannel]] = {
    channel.kind: channel for channel in (EmailChannel, WebhookChannel, LogChannel)
}


def build(kind: str, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock | None = None) -> Channel:
    """The policy's channel `name`. Raises ValueError with what is missing or wrong in its settings."""
    if kind not in CHANNELS:
        raise ValueError(f"channel {name}: there is no kind {kind!r}; accepted: {', '.join(CHANNELS)}")
    return CHANNELS[kind](name, settings, log=log, clock=clock or SystemClock())


def capabilities() -> list[dict[str, str]]:
    """What each channel can do, for the docs, `firedoor check` and the console."""
    return [
        {
            "kind": kind,
            "wakes": "yes" if channel.wakes else "no",
            "receipt": "yes" if channel.receipt else "no",
            "evidence": channel.evidence,
            "timeout": f"{channel.timeout.total_seconds():g} s",
            "limits": channel.limits,
        }
        for kind, channel in CHANNELS.items()
    ]
