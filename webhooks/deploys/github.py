"""GitHub's `deployment_status`: a success is a deploy, signed over the raw bytes and sent once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from werkzeug.datastructures import Headers

from incidents.changes import Deploy
from incidents.errors import MalformedPayload
from webhooks.deploys.reading import key_of, line, part, version_of
from webhooks.sources import NotCounted
from webhooks.sources.reading import link, read_json, time_of

SIGNATURE = "X-Hub-Signature-256"
EVENT = "X-GitHub-Event"
STATUS = "deployment_status"
FORM = "application/x-www-form-urlencoded"


def read(body: bytes, headers: Mapping[str, str]) -> Deploy:
    """NotCounted for any other event, and for a deployment that has not succeeded."""
    said = read_json(_payload(body, headers), headers)
    if not isinstance(said, dict):
        raise MalformedPayload("The body is not a JSON object.")
    status, deployment, repository = (part(said, name) for name in (STATUS, "deployment", "repository"))
    if not status:
        event = line(headers.get(EVENT)) or "this"
        raise NotCounted(f"The event {event} is no deployment status: only those are kept.")
    if (state := line(status.get("state"))) != "success":
        raise NotCounted(f"The state is {state or 'missing'}: only a deployment that succeeded is kept.")
    name = line(repository.get("full_name"))
    if not name:
        raise MalformedPayload("`repository.full_name` is missing.")
    commit = line(deployment.get("sha"))
    return Deploy(
        name=name,
        number=key_of(name, deployment.get("id")),
        version=version_of(line(deployment.get("ref")).removeprefix("refs/tags/"), commit),
        by=line(part(deployment, "creator").get("login")),
        commit=commit,
        link=link(status.get("log_url")) or link(status.get("target_url")) or link(repository.get("html_url")),
        at=time_of(status.get("created_at")),
        environment=line(status.get("environment") or deployment.get("environment")),
        # It is false for whatever is not called `production` to the letter, so only a yes says something.
        is_production=deployment.get("production_environment") is True or None,
    )


def delivery_key(headers: Headers) -> str | None:
    """The same when somebody presses Redeliver."""
    return key_of(headers.get("X-GitHub-Delivery")) or None


def _payload(body: bytes, headers: Mapping[str, str]) -> bytes:
    """A webhook may be set to either content type; the signature is over the raw body in both."""
    if not headers.get("Content-Type", "").lower().startswith(FORM):
        return body
    fields: dict[bytes, list[Any]] = parse_qs(body)
    return bytes(fields.get(b"payload", [b""])[0])
