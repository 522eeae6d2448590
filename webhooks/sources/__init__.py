"""The senders we understand, by kind: adding one is a file like its neighbour, a line here and a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from werkzeug.datastructures import Headers

from incidents.alerts import Alert
from incidents.errors import NotFound
from incidents.mapping import Mapping
from webhooks.auth import Authenticate, BySignature, BySignatureOrToken, by_token
from webhooks.sources import alertmanager, datadog, generic, grafana, sentry, uptime_kuma
from webhooks.sources.generic import Looked, explain
from webhooks.sources.reading import OVERSIZED

__all__ = [
    "OVERSIZED", "SOURCES", "Looked", "NotCounted", "Source", "SourceSettings", "explain", "no_alerts", "source_of",
]  # fmt: skip


class NotCounted(Exception):
    """An authentic body that is understood and of which nothing comes: its sender is told why."""


class SourceSettings(Protocol):
    """What the hooks need to know of a source of the policy."""

    @property
    def kind(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def mapping(self) -> Mapping | None: ...
    @property
    def environments(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Source:
    """How one kind of sender is read: its body into alerts, its own id of the delivery, and how it proves itself."""

    kind: str
    parse: Callable[[str, bytes, Map[str, str]], list[Alert]]  # source's name, body, stored headers
    delivery_key: Callable[[Headers], str | None] = generic.delivery_key  # from the request's headers
    authenticate: Authenticate = by_token
    keeps: tuple[str, ...] = ()  # the headers that `parse` reads
    mapping: Mapping | None = None  # what it is read by, where it is read by a mapping
    kept: Callable[[bytes], bytes] | None = None  # the body without what must not be stored
    comes_back: bool = True  # whether it sends again what was not taken; what never comes back is spooled
    # Looks at a body at the door: MalformedPayload refuses it, NotCounted takes it and keeps nothing of it.
    check: Callable[[bytes, Map[str, str], SourceSettings], None] | None = None

    def mapped_by(self, mapping: Mapping | None) -> Source:
        """The same, by a mapping of the policy's own where there is one."""
        if mapping is None:
            return self
        return replace(self, mapping=mapping, parse=partial(generic.parse, mapping=mapping))


def source_of(settings: SourceSettings) -> Source:
    """How a source of the policy is read. NotFound for a kind that is named already and read in a later release."""
    if settings.kind not in SOURCES:
        raise NotFound(f"What a source of kind {settings.kind} sends can't be read yet. Nothing was simulated.")
    return SOURCES[settings.kind].mapped_by(settings.mapping)


def no_alerts(_source: str, _body: bytes, _headers: Map[str, str]) -> list[Alert]:
    """Of a sender that says other things than alerts."""
    return []


SOURCES: dict[str, Source] = {
    source.kind: source
    for source in (
        Source("alertmanager", alertmanager.parse, alertmanager.delivery_key),
        Source(
            "sentry",
            sentry.parse,
            sentry.delivery_key,
            authenticate=BySignature(sentry.SIGNATURE),
            keeps=(sentry.RESOURCE,),
            comes_back=False,
        ),
        Source(
            "grafana",
            grafana.parse,
            authenticate=BySignatureOrToken(BySignature(grafana.SIGNATURE, grafana.TIMESTAMP)),
        ),
        Source("datadog", datadog.parse, mapping=datadog.MAPPING),
        Source("uptime_kuma", uptime_kuma.parse, mapping=uptime_kuma.MAPPING, kept=uptime_kuma.kept, comes_back=False),
        Source("generic", generic.parse, mapping=generic.MAPPING, comes_back=False),
    )
}
