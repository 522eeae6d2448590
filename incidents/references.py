"""What a policy refers to: `env:NAME` and `file:PATH` become values, and what leads nowhere is left out with a note."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from incidents.channelkeys import KINDS, Channel
from incidents.policykeys import Contact, Heartbeat, Person, Source

LOG = "log"

Lookup = Callable[[str], str | None]


@dataclass
class Resolving:
    """One pass over everything that refers to an environment variable or a file."""

    lookup: Lookup
    notes: list[str] = field(default_factory=list)
    unset: dict[str, str] = field(default_factory=dict)  # channel → why it can't send

    def value(self, text: str) -> tuple[str, str]:
        """(the value, why there is none)."""
        if not text.startswith(("env:", "file:")):
            return text, ""
        kind, _, name = text.partition(":")
        found = self.lookup(text) or ""
        return found, "" if found else f"{name} is empty" if kind == "env" else f"the file {name} can't be read"

    def channel(self, name: str, channel: Channel) -> Channel:
        reasons: list[str] = []
        update: dict[str, Any] = {}
        for part in ("url", "from_", "secret", "token", "room", "ca_file", "path"):
            given = getattr(channel, part)
            if given is None:
                continue
            value, why = self.value(given.get_secret_value() if isinstance(given, SecretStr) else given)
            update[part] = SecretStr(value) if isinstance(given, SecretStr) else value or None
            is_wanted = part in KINDS[channel.kind].needs or part in ("url", "token")
            reasons += [why] if why and is_wanted else []
        resolved = channel.model_copy(update=update)
        if not resolved.is_ready:
            self.unset[name] = "; ".join(reasons) or "its settings are empty"
            instead = f"its pages are only written to the {LOG} channel, which wakes nobody"
            self.notes.append(f"{name} is not set up ({self.unset[name]}): {instead}.")
        return resolved

    def person(self, name: str, person: Person, channels: Mapping[str, Channel]) -> Person:
        kept: list[Contact] = []
        for contact in person.contacts:
            if contact.channel in self.unset:
                continue
            address, why = self.value(contact.address)
            kind = KINDS[channels[contact.channel].kind]
            if not address and kind.address != "optional":
                why = why or "the address is empty"
                self.notes.append(f"{name} has no address for {contact.channel} ({why}): that contact is left out.")
                continue
            wakes = kind.wakes if contact.wakes is None else contact.wakes
            for_ = tuple(purpose for purpose in contact.for_ if purpose in kind.carries)
            kept.append(contact.model_copy(update={"address": address, "wakes": wakes, "for_": for_}))
        for purpose in ("page", "tell"):
            if not any(purpose in contact.for_ for contact in kept):
                self.notes.append(f"{name} has no contact left to {purpose}: it goes to the {LOG} channel.")
                kept.append(Contact.model_validate({"channel": LOG, "for": (purpose,)}))
        return person.model_copy(update={"contacts": tuple(kept), "name": person.name or name})

    def secrets(self, called: str, sender: Source | Heartbeat) -> list[SecretStr]:
        """The secret, and the one before while it is replaced: `env:NAME_PREVIOUS`, or `PATH.previous`."""
        if sender.secret is None:
            return []
        kind, _, name = sender.secret.text.partition(":")
        value, why = self.value(sender.secret.text)
        if why:
            self.notes.append(f"The {called} has no secret ({why}): what it sends is refused.")
        before, _ = self.value(f"{kind}:{name}{'_PREVIOUS' if kind == 'env' else '.previous'}")
        return [SecretStr(one) for one in (value, before) if one]
