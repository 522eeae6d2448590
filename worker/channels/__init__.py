"""The channels, by kind. Adding one: copy the nearest file, its templates and its test, and name it here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ports.clock import Clock, SystemClock
from worker.channels.apprise import AppriseChannel
from worker.channels.channel import Can, Channel, Log, Message, WithReceipt
from worker.channels.email import EmailChannel
from worker.channels.log import LogChannel
from worker.channels.ntfy import NtfyChannel
from worker.channels.pagerduty import PagerDutyChannel
from worker.channels.pushover import PushoverChannel
from worker.channels.slack import SlackChannel
from worker.channels.slack_webhook import SlackWebhookChannel
from worker.channels.webhook import WebhookChannel

__all__ = ["CHANNELS", "Channel", "Message", "WithReceipt", "build", "capabilities"]

OfOneKind = type[
    EmailChannel
    | WebhookChannel
    | LogChannel
    | PushoverChannel
    | NtfyChannel
    | SlackChannel
    | SlackWebhookChannel
    | PagerDutyChannel
    | AppriseChannel
]
EVERY_KIND: tuple[OfOneKind, ...] = (
    EmailChannel,
    WebhookChannel,
    LogChannel,
    PushoverChannel,
    NtfyChannel,
    SlackChannel,
    SlackWebhookChannel,
    PagerDutyChannel,
    AppriseChannel,
)
CHANNELS: dict[str, OfOneKind] = {channel.kind: channel for channel in EVERY_KIND}


def build(kind: str, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock | None = None) -> Channel:
    """The policy's channel `name`. Raises ValueError with what is missing or wrong in its settings."""
    if kind not in CHANNELS:
        raise ValueError(f"channel {name}: there is no kind {kind!r}; accepted: {', '.join(CHANNELS)}")
    return CHANNELS[kind](name, settings, log=log, clock=clock or SystemClock())


def capabilities() -> list[dict[str, str]]:
    """What each channel can do, for the docs, `firedoor check` and the console."""
    return [{"kind": kind, **_said(channel.can)} for kind, channel in CHANNELS.items()]


def _said(can: Can) -> dict[str, str]:
    return {
        "wakes": _yes_no(can.wakes),
        "receipt": _yes_no(can.receipt),
        "acknowledge": _yes_no(can.acknowledge),
        "update": _yes_no(can.update),
        "evidence": can.evidence,
        "timeout": f"{can.timeout.total_seconds():g} s",
        "limits": can.limits,
        "for good": can.permanent,
        "tried again": can.transient,
    }


def _yes_no(holds: bool) -> str:
    return "yes" if holds else "no"
