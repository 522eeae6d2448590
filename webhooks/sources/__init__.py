"""The senders we understand, by kind: adding one is a file like its neighbour, a line here and a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from werkzeug.datastructures import Headers

from incidents.alerts import Alert
from webhooks.auth import Authenticate, BySignature, by_token
from webhooks.sources import alertmanager, sentry
from webhooks.sources.reading import OVERSIZED

__all__ = ["OVERSIZED", "SOURCES", "Source"]


@dataclass(frozen=True, slots=True)
class Source:
    """How one kind of sender is read: its body into alerts, its own id of the delivery, and how it proves itself."""

    kind: str
    parse: Callable[[str, bytes, Mapping[str, str]], list[Alert]]  # source's name, body, stored headers
    delivery_key: Callable[[Headers], str | None]  # from the request's headers
    authenticate: Authenticate = by_token
    keeps: tuple[str, ...] = ()  # the headers that `parse` reads


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
        ),
    )
}
