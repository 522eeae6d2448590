"""The keys of a channel in the policy, and what the policy has to know of each kind of channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr

from incidents.policykeys import Key, Purpose
from incidents.policyvalues import Span
from incidents.units import Whole


@dataclass(frozen=True, slots=True)
class KindOfChannel:
    """What one kind needs and takes, and what its contacts are like. The channel's own class says what it can do."""

    takes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    wakes: bool = False  # what a contact's `wakes` is where the policy does not say
    address: Literal["optional", "needed", "secret"] = "optional"  # a secret one is only referred to, and never shown
    carries: tuple[Purpose, ...] = ("page", "tell")
    named_by_us: bool = False  # whether what it sends is found again by a name of ours
    changes: bool = False  # whether what it sent is changed when who has it, or its end, changes
    limits: tuple[tuple[str, int], ...] = ()  # to one contact, where the policy says nothing


CALM = (("per_minute", 6), ("per_hour", 60))  # nobody reads faster in the night
KINDS: dict[str, KindOfChannel] = {
    "email": KindOfChannel(takes=("url", "from", "ca_file"), needs=("url",), address="needed"),
    "webhook": KindOfChannel(takes=("url", "secret", "ca_file"), needs=("secret",), wakes=True),
    "log": KindOfChannel(takes=("path",)),
    "pushover": KindOfChannel(
        takes=("token", "url", "retry", "expire"), needs=("token",), wakes=True, address="needed", limits=CALM
    ),
    "ntfy": KindOfChannel(takes=("url", "token"), wakes=True, address="needed", limits=CALM),
    "slack": KindOfChannel(takes=("token", "secret", "room", "url"), needs=("token",), changes=True),
    "slack_webhook": KindOfChannel(takes=(), address="secret"),
    "pagerduty": KindOfChannel(
        takes=("token", "secret", "url"),
        needs=("token",),
        wakes=True,
        carries=("page",),
        changes=True,
        named_by_us=True,
    ),
    "apprise": KindOfChannel(takes=(), address="secret"),
}
EVERY = ("kind", "limits", "fallback")  # taken by every kind


class Limits(Key):
    per_minute: Whole | None = Field(default=None, ge=1, description="To one contact, at most so many a minute.")
    per_hour: Whole | None = Field(default=None, ge=1, description="To one contact, at most so many an hour.")


class Channel(Key):
    kind: Literal["email", "webhook", "log", "pushover", "ntfy", "slack", "slack_webhook", "pagerduty", "apprise"] = (
        Field(description="What it sends by.")
    )
    url: SecretStr | None = Field(default=None, description="Where it sends: the mail server, or the receiver.")
    from_: str | None = Field(default=None, alias="from", description="For `email`: the sender's address.")
    secret: SecretStr | None = Field(default=None, description="What bodies are signed with, to and fro.")
    token: SecretStr | None = Field(default=None, description="What we prove ourselves by at the provider.")
    room: str | None = Field(default=None, description="For `slack`: where a message without an address goes.")
    ca_file: str | None = Field(default=None, description="The certificate authority, where it is your own.")
    path: str | None = Field(default=None, description="For `log`: a file, besides the process's own log.")
    retry: Span = Field(default=timedelta(seconds=60), description="For `pushover`: how often it rings again.")
    expire: Span = Field(default=timedelta(minutes=30), description="For `pushover`: how long it goes on ringing.")
    limits: Limits = Field(default=Limits(), description="How much it may send to one contact.")
    fallback: str | None = Field(default=None, description="The channel that takes over when this one fails.")

    @property
    def is_ready(self) -> bool:
        """Whether everything that it can't work without is set, and nothing that was asked for leads nowhere."""
        nowhere = any(part is not None and not part.get_secret_value() for part in (self.url, self.token))
        return not nowhere and all(getattr(self, need) for need in KINDS[self.kind].needs)

    @property
    def limits_now(self) -> dict[str, int]:
        """At most so many messages to one contact; what the policy says goes before what ships."""
        told = {name: value for name, value in self.limits.model_dump().items() if value is not None}
        return {**dict(KINDS[self.kind].limits), **told}

    @property
    def settings(self) -> Mapping[str, str]:
        """What the channel is built from, secrets in clear."""
        told = {name: getattr(self, "from_" if name == "from" else name) for name in KINDS[self.kind].takes}
        return {name: _plain(value) for name, value in told.items() if value}


def _plain(value: SecretStr | timedelta | str) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}"
    return value.get_secret_value() if isinstance(value, SecretStr) else value
