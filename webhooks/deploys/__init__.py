"""The pipelines we understand, by the last part of `/hooks/deploys/…`: adding one is a file like its neighbour, a line
here and a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from incidents.changes import Deploy, why_not
from incidents.errors import MalformedPayload
from webhooks.auth import BySignature, BySigningToken
from webhooks.deploys import argocd, generic, github, gitlab
from webhooks.sources import NotCounted, Source, SourceSettings, no_alerts

KIND = "deploys"
Read = Callable[[bytes, Mapping[str, str]], Deploy]
READERS: dict[str, Read] = {
    "generic": generic.read,
    "github": github.read,
    "gitlab": gitlab.read,
    "argocd": argocd.read,
}


def read(source: str, body: bytes, headers: Mapping[str, str]) -> Deploy | None:
    """What a pipeline deployed; None for an event that is no deploy."""
    try:
        return READERS[source.removeprefix(f"{KIND}/")](body, headers)
    except NotCounted:
        return None


def _sort_out(reader: Read) -> Callable[[bytes, Mapping[str, str], SourceSettings], None]:
    """At the door, so that the reason stands where the pipeline's people look: in the answer that they got."""

    def check(body: bytes, headers: Mapping[str, str], settings: SourceSettings) -> None:
        try:
            deploy = reader(body, headers)
        except MalformedPayload:
            return  # stored, and told to a person: these senders give up on whoever refuses them
        if why := why_not(deploy, settings.environments):
            raise NotCounted(why)

    return check


DEPLOYS = {
    f"{KIND}/generic": Source(
        KIND, parse=no_alerts, delivery_key=generic.delivery_key, comes_back=False, check=generic.check
    ),
    f"{KIND}/github": Source(
        KIND,
        parse=no_alerts,
        delivery_key=github.delivery_key,
        authenticate=BySignature(github.SIGNATURE, prefix="sha256="),
        keeps=(github.EVENT,),
        comes_back=False,
        check=_sort_out(github.read),
    ),
    f"{KIND}/gitlab": Source(
        KIND,
        parse=no_alerts,
        delivery_key=gitlab.delivery_key,
        authenticate=BySigningToken(gitlab.TOKEN),
        comes_back=False,
        check=_sort_out(gitlab.read),
    ),
    f"{KIND}/argocd": Source(KIND, parse=no_alerts, check=_sort_out(argocd.read)),
}
