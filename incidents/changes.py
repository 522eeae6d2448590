"""What was changed just before: deploys are kept, and the newest one before an incident is named as its suspect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects import postgresql, sqlite

from incidents import store, tables
from incidents.book import Book
from incidents.lifecycle import LIVE
from incidents.policykeys import DEPLOYS
from incidents.promises import Bell
from incidents.units import spoken

t = tables
DEPLOYED = "deploy"  # the kind of a change; other kinds break nothing, such as a switch to live
WITHIN = timedelta(hours=2)  # before an incident began; an older change is hardly what broke it
SHOWN = 10
LIVE_AT_ONCE = 50  # incidents that one late notice is written into

_PRODUCTION = re.compile(r"(prod|production|live)(?![a-z])")  # `prod-eu` and `production/shop`, never `preprod`


@dataclass(frozen=True, slots=True)
class Deploy:
    """What a pipeline says it did: to a service, or to a name that the policy knows services by.

    Without a time it is when we heard of it; without an environment it is production.
    """

    service: str = ""
    name: str = ""  # of a repository or an application
    number: str = ""  # the sender's own of this deploy, however often it is told
    version: str = ""
    by: str = ""
    commit: str = ""
    link: str = ""
    at: datetime | None = None
    environment: str = ""
    is_production: bool | None = None  # None: the sender does not say, and the environment's name decides


def why_not(deploy: Deploy, environments: Sequence[str]) -> str:
    """Why a deploy does not count here; empty where it does. `environments` are the policy's own, if it names any."""
    if not deploy.environment:
        return ""
    if environments:
        counts, wanted = deploy.environment in environments, f"the policy counts {', '.join(environments)}"
    else:
        is_called_so = _PRODUCTION.match(deploy.environment.lower()) is not None
        counts = is_called_so if deploy.is_production is None else deploy.is_production
        wanted = "it is not production, and `environments` of the policy's source `deploys` does not name it"
    return "" if counts else f"The environment is {deploy.environment}: {wanted}."


def take(session: Connection, told: Sequence[tuple[Row[Any], Deploy | None]], book: Book, now: datetime) -> list[Bell]:
    """Keep what was deployed, each once. One that is told late is still named in the incidents that it explains."""
    for row, deploy in told:
        if deploy is None:
            continue
        for service in _changed_by(deploy, book):
            change = _keep(session, row, deploy, service)
            if change is not None:
                _name_in_live_incidents(session, change, book=book, now=now)
    return []


def _changed_by(deploy: Deploy, book: Book) -> list[str]:
    """The services that it changed: the one that it names, or all that its repository or application stands for."""
    source = book.policy.sources.get(DEPLOYS)
    if why_not(deploy, source.environments if source else ()):
        return []
    return [deploy.service] if deploy.service else book.policy.services_deployed_as(deploy.name)


def name_suspect(session: Connection, incident: Row[Any], *, book: Book, now: datetime) -> None:
    """On the timeline of an incident that opens: the newest change before it."""
    if suspect := suspect_of(session, incident, book=book):
        _write(session, incident, suspect, now=now)


def suspect_of(session: Connection, incident: Any, *, book: Book) -> Row[Any] | None:
    """The newest change to its service, or to one that it depends on, in the two hours before it began."""
    return next(iter(_before(session, incident, book=book, limit=1)), None)


def around(session: Connection, incident: Any, *, book: Book) -> list[tuple[Row[Any], bool]]:
    """The changes to show with an incident, newest first, each with whether it is the suspect; later ones are not."""
    services = services_of(incident.service, book)
    if not services:
        return []
    c = t.change
    until = incident.closed_at or incident.stood_down_at
    recent = select(c).where(c.c.kind == DEPLOYED, c.c.service.in_(services), c.c.at >= incident.began_at - WITHIN)
    if until is not None:
        recent = recent.where(c.c.at <= until)
    rows = session.execute(recent.order_by(c.c.at.desc(), c.c.id.desc()).limit(SHOWN)).all()
    suspect = suspect_of(session, incident, book=book)
    if suspect is not None and all(row.id != suspect.id for row in rows):
        rows = [*rows[: SHOWN - 1], suspect]
    return [(row, suspect is not None and row.id == suspect.id) for row in rows]


def services_of(service: str | None, book: Book) -> list[str]:
    """The service and what it depends on: where the cause may be."""
    if not service:
        return []
    known = book.policy.services.get(service)
    return [service, *(known.depends_on if known else ())]


def sentence(change: Any, incident: Any) -> str:
    """`deploy v42 to checkout 22 min before`."""
    what = f"{change.kind} {change.version}".strip()
    apart = incident.began_at - change.at
    when = f"{spoken(apart)} before" if apart >= timedelta(0) else f"{spoken(-apart)} after it began"
    return f"{what} to {change.service} {when}"


def minutes_before(change: Any, incident: Any) -> int:
    """Whole minutes from the change to the beginning of the incident; below 0 where it came later."""
    return int((incident.began_at - change.at).total_seconds() // 60)


def _before(session: Connection, incident: Any, *, book: Book, limit: int) -> list[Row[Any]]:
    services = services_of(incident.service, book)
    if not services:
        return []
    c = t.change
    since, until = incident.began_at - WITHIN, incident.began_at
    near = select(c).where(c.c.kind == DEPLOYED, c.c.service.in_(services), c.c.at.between(since, until))
    return list(session.execute(near.order_by(c.c.at.desc(), c.c.id.desc()).limit(limit)).all())


def _keep(session: Connection, row: Row[Any], deploy: Deploy, service: str) -> Row[Any] | None:
    """None where the same deploy is here already."""
    c = t.change
    insert = postgresql.insert if session.dialect.name == "postgresql" else sqlite.insert
    key = deploy.number or row.delivery_key
    values = {
        "source": row.source,
        "delivery_key": key if deploy.service or not key else f"{service}: {key}",  # one name may be several services
        "kind": DEPLOYED,
        "service": service,
        "version": deploy.version,
        "at": deploy.at or row.received_at,
        "received_at": row.received_at,
        "by": deploy.by,
        "commit": deploy.commit,
        "link": deploy.link,
    }
    return session.execute(insert(c).values(**values).on_conflict_do_nothing().returning(c)).first()


def _name_in_live_incidents(session: Connection, change: Row[Any], *, book: Book, now: datetime) -> None:
    services = [change.service]
    services += [name for name, one in book.policy.services.items() if change.service in one.depends_on]
    i = t.incident
    explained = select(i).where(
        i.c.status.in_(LIVE), i.c.service.in_(services), i.c.began_at.between(change.at, change.at + WITHIN)
    )
    for incident in session.execute(explained.order_by(i.c.id).limit(LIVE_AT_ONCE)).all():
        suspect = suspect_of(session, incident, book=book)
        if suspect is not None and suspect.id == change.id:
            _write(session, incident, change, now=now)


def _write(session: Connection, incident: Row[Any], change: Row[Any], *, now: datetime) -> None:
    by = f" by {change.by}" if change.by else ""
    store.write(session, incident.id, "suspect", now=now, source="alert", what=sentence(change, incident), by=by,
                change=change.id, link=change.link)  # fmt: skip
