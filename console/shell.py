"""The console as blueprints: its pages, its forms, the acknowledging links and the files that they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint

from console.accounts import account_pages
from console.apidocs import apidocs
from console.assets import assets
from console.audit import audit_pages
from console.deeds import deeds
from console.doors import doors
from console.frame import Frame
from console.links import ReadLink, links
from console.live import live
from console.oidc import oidc
from console.own import own
from console.pages import pages
from console.pictures import pictures
from console.preferences import preferences
from console.putaside import putaside
from console.silences import silences
from console.watching import Watch
from incidents.alerts import Alert
from incidents.book import Book
from incidents.errors import Fault
from ports.database import Database
from ports.identity import Provider


def console(
    *,
    database: Database,
    book: Callable[[], Book],
    read_link: ReadLink,
    public_url: str,
    secret: str,
    health: Callable[[], Mapping[str, Any]],
    refused: Callable[[], Sequence[Fault]] = tuple,
    sign_in_with: str = "firedoor users signin PERSON",
    watch: Watch | None = None,
    parse: Callable[[str, bytes], Sequence[Alert]],
    policy_file: Callable[[], tuple[str, str]],
    provider: Provider | None = None,
) -> list[Blueprint]:
    """Everything that shows. `health` is what /readyz says; `sign_in_with` is the command that makes a new link."""
    frame = Frame(
        database=database, book=book, public_url=public_url, secret=secret, health=health, refused=refused,
        sign_in_with=sign_in_with, parse=parse, policy_file=policy_file, has_provider=provider is not None,
    )  # fmt: skip
    return [
        pages(frame),
        deeds(frame),
        silences(frame),
        putaside(frame),
        doors(frame),
        *([oidc(frame, provider, secret)] if provider else []),
        own(frame),
        account_pages(frame),
        audit_pages(frame),
        links(frame, read_link),
        preferences(frame),
        pictures(frame),
        live(frame, watch or Watch(database)),
        apidocs(frame),
        assets(),
    ]
