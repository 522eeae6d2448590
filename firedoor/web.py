"""The web application: the hooks, the console, the API and the health pages on one house."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Flask

from console.api import api
from console.health import Checks, health
from console.links import link_reader
from console.shell import console
from console.watching import Watch
from firedoor import __version__
from firedoor.settings import Settings, WrongSettings
from firedoor.wiring import House
from incidents.alerts import Alert
from ports.identity import Provider
from webhooks.beats import CALL
from webhooks.deploys import DEPLOYS
from webhooks.inbox import Hooks
from webhooks.replies import replies
from webhooks.sources import SOURCES, source_of


def create_app(house: House, watch: Watch | None = None) -> Flask:
    """Everything that speaks HTTP. Each part gets what it may know, and nothing more. `watch` ends the open streams."""
    settings, database, book = house.settings, house.database, house.book
    ping = house.doorbell.ping if settings.redis_url else None
    refused = house.shelf.refusals
    checks = Checks(database, ping, refused, house.spool.facts)
    app = Flask("firedoor", static_folder=None, template_folder=None)
    for blueprint in (
        api(database=database, book=book, parse=lambda source, body: parse(house, source, body)),
        health(
            database=database,
            redis_ping=ping,
            doorbell_failures=lambda: house.doorbell.failed,
            version=__version__,
            refused=refused,
            spool=house.spool.facts,
        ),
        replies(database=database, book=book, public_url=settings.public_url),
        *console(
            database=database,
            book=book,
            read_link=link_reader(house.signer),
            public_url=settings.public_url,
            secret=settings.secret_key,
            health=lambda: checks.readiness()[0],
            refused=refused,
            sign_in_with="firedoor users signin PERSON",
            provider=provider_of(settings),
            watch=watch,
            parse=lambda source, body: parse(house, source, body),
            policy_file=house.shelf.policy_file,
        ),
    ):
        app.register_blueprint(blueprint)
    app.wsgi_app = Hooks(  # type: ignore[method-assign]  # as Flask's documentation wraps it
        app.wsgi_app,
        database=database,
        sources=lambda: book().policy.hooks,
        secrets=lambda name: secrets_of(house, name),
        kinds={**SOURCES, CALL.kind: CALL, **DEPLOYS},
        spool=house.spool,
    )
    return app


def provider_of(settings: Settings) -> Provider | None:
    """The identity provider, where one is set up. Raises WrongSettings without the package that it takes."""
    if settings.oidc_issuer is None:
        return None
    back = f"{settings.public_url.rstrip('/')}/signin/oidc/back"
    try:
        return Provider(settings.oidc_issuer, settings.oidc_client_id or "", settings.oidc_client_secret or "", back)
    except ValueError as missing:
        raise WrongSettings([str(missing)]) from None


def secrets_of(house: House, source: str) -> Sequence[bytes]:
    """What a sender may prove itself by: what the policy names, and what the environment or `up` gave.

    A heartbeat or a pipeline with a secret of its own takes no other: one job's token can't call in for another job.
    """
    policy = house.book().policy
    kind, nested, _ = source.partition("/")
    if nested and (own := policy.secrets_of(source)):
        return own
    if nested and (given := house.settings.source_secrets(source)):
        return given
    return [*policy.secrets_of(kind), *house.settings.source_secrets(kind)]


def parse(house: House, source: str, body: bytes, headers: Mapping[str, str] | None = None) -> list[Alert]:
    """Read a payload as the hook of that source would, for `simulate`: nothing is stored."""
    return source_of(house.book().policy.sources[source]).parse(source, body, headers or {})
