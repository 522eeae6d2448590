"""Argo CD notifications, in the body of the template that docs/sources.md gives: they have none of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incidents.changes import Deploy
from incidents.errors import MalformedPayload
from webhooks.deploys.reading import key_of, line, version_of
from webhooks.sources import NotCounted
from webhooks.sources.reading import link, read_json, time_of

RUNNING = ("Healthy", "Progressing", "Suspended")  # a canary that waits for its next step is suspended


def read(body: bytes, headers: Mapping[str, str]) -> Deploy:
    """NotCounted for a sync that did not succeed, and for an application that is broken after it."""
    said = read_json(body, headers)
    if not isinstance(said, dict):
        raise MalformedPayload("The body is not a JSON object.")
    app, phase, health = (line(said.get(name)) for name in ("app", "phase", "health"))
    if not app:
        raise MalformedPayload("`app` is missing: the template of docs/sources.md sends it.")
    if phase != "Succeeded":
        raise NotCounted(f"The phase is {phase or 'missing'}: only a sync that succeeded is kept.")
    if health and health not in RUNNING:
        raise NotCounted(f"The health is {health}: only a deploy that succeeded is kept.")
    commit, finished = line(said.get("revision")), line(said.get("finishedAt"))
    return Deploy(
        name=app,
        number=key_of(app, commit, finished),
        version=version_of(_tag(app, said.get("images")), commit),
        commit=commit,
        link=link(said.get("link")),
        at=time_of(finished),
        environment=line(said.get("environment")),
    )


def _tag(app: str, images: Any) -> str:
    """The tag of the one image, or of the one that is called like the application."""
    named = [line(image).partition("@")[0] for image in images] if isinstance(images, list) else []
    own = [image for image in named if image.rpartition("/")[2].partition(":")[0] == app] or named
    return own[0].rpartition("/")[2].partition(":")[2] if len(own) == 1 else ""
