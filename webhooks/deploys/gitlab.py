"""GitLab's deployment events: a success is a deploy, proved by the secret token or by a signing token, sent once."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.datastructures import Headers

from incidents.changes import Deploy
from incidents.errors import MalformedPayload
from webhooks.deploys.reading import key_of, line, part, version_of
from webhooks.sources import NotCounted
from webhooks.sources.reading import link, read_json, time_of

TOKEN = "X-Gitlab-Token"  # noqa: S105 - the name of a header
NUMBER = "Idempotency-Key"  # the one that stays when GitLab sends again; its UUIDs are new each time


def read(body: bytes, headers: Mapping[str, str]) -> Deploy:
    """NotCounted for any other event, and for a deployment that has not succeeded."""
    said = read_json(body, headers)
    if not isinstance(said, dict):
        raise MalformedPayload("The body is not a JSON object.")
    if (kind := line(said.get("object_kind"))) != "deployment":
        raise NotCounted(f"The event {kind or 'without a name'} is no deployment: only those are kept.")
    if (status := line(said.get("status"))) != "success":
        raise NotCounted(f"The status is {status or 'missing'}: only a deployment that succeeded is kept.")
    name = line(part(said, "project").get("path_with_namespace"))
    if not name:
        raise MalformedPayload("`project.path_with_namespace` is missing.")
    address = link(said.get("commit_url"))
    commit = line(address.rpartition("/")[2] or said.get("short_sha"))  # the whole hash stands only there
    tier = line(said.get("environment_tier"))
    return Deploy(
        name=name,
        number=key_of(name, said.get("deployment_id")),
        version=version_of(line(said.get("ref")), commit),
        by=line(part(said, "user").get("name")),
        commit=commit,
        link=link(said.get("deployable_url")) or address,
        at=time_of(said.get("status_changed_at")),
        environment=line(said.get("environment")),
        is_production=tier == "production" if tier else None,
    )


def delivery_key(headers: Headers) -> str | None:
    """GitLab's own number of the event."""
    return key_of(headers.get(NUMBER)) or None
