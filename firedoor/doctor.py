"""`firedoor doctor`: looks at every part that a page needs on its way, and says what is missing."""

from __future__ import annotations

import shutil
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sqlalchemy import exc, select

import migrations
from firedoor.checking import check
from firedoor.proving import prove
from firedoor.settings import Settings
from incidents import accounts, auditlog, holdmode, oncall, permissions, tables
from incidents.book import Book
from incidents.channelkeys import KINDS
from incidents.policy import Policy
from incidents.policykeys import Contact
from ports.clock import SystemClock
from ports.database import Database, StoreDown, is_store_down
from ports.doorbell import Doorbell
from worker.channels.email import read_url

GIB = 1024**3
SILENT_AFTER = timedelta(seconds=15)
SMTP_TIMEOUT = 5.0
UNCONNECTED = ("sentry", "generic", "heartbeat", "deploys")  # of the shipped policy, for whoever has such a sender


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Literal["ok", "warning", "fault"]
    why: str


def examine(settings: Settings, *, now: datetime, send_to: str | None = None) -> Iterator[Finding]:
    """Every finding, the policy first: what follows is asked of the book that it makes."""
    checked = check(settings)
    yield from (Finding("policy and runbooks", "fault", str(fault)) for fault in checked.faults)
    if checked.book is None:
        yield Finding("policy", "warning", "a Firedoor that runs keeps the version before; a start would fail")
        return
    if not checked.faults:
        where = settings.policy_path or "the shipped policy"
        count = len(checked.book.runbooks.all)
        yield Finding("policy and runbooks", "ok", f"{where} is valid, {count} runbooks are")
    yield from (Finding("policy", "warning", note) for note in [*checked.warnings, *checked.notes])
    yield from _audiences(checked.book.policy, now)
    yield from _contacts(checked.book.policy)
    yield from _secrets(settings, checked.book.policy)
    yield from _database(settings, checked.book.policy)
    yield _redis(settings)
    yield _disk(settings)
    yield _smtp(settings)
    if send_to is not None:
        yield from _send(settings, checked.book, send_to, now)


def _audiences(policy: Policy, now: datetime) -> Iterator[Finding]:
    """Every role that a severity names must lead to a person, in every team."""
    asked = sorted({role for severity in policy.severities.values() for hears in severity.hears for role in hears.who})
    for team in sorted(policy.teams) or ["default"]:
        empty = [role for role in asked if not oncall.members(policy, team, role, now=now)]
        if "oncall" in empty:
            yield Finding("audiences", "fault", f"nobody is on call in team {team}: its incidents page nobody")
        elif empty:
            yield Finding("audiences", "warning", f"nobody fills {', '.join(empty)} in team {team}")
        else:
            yield Finding("audiences", "ok", f"every audience of team {team} has somebody")


def _contacts(policy: Policy) -> Iterator[Finding]:
    for person in sorted(policy.people):
        contacts = policy.contacts(person, "page")
        ways = ", ".join(_way(policy, one) for one in contacts)
        if not contacts:
            yield Finding("pages", "fault", f"no channel reaches {person}: pages to them are lost")
        elif all(policy.channels[one.channel].kind == "log" for one in contacts):
            yield Finding("pages", "warning", f"pages to {person} go to {ways} alone: nobody is woken")
        else:
            yield Finding("pages", "ok", f"pages to {person} go to {ways}")


def _way(policy: Policy, contact: Contact) -> str:
    """The channel and the address, unless that is a secret."""
    is_shown = contact.address and KINDS[policy.channels[contact.channel].kind].address != "secret"
    return f"{contact.channel} ({contact.address})" if is_shown else contact.channel


def _secrets(settings: Settings, policy: Policy) -> Iterator[Finding]:
    for name, source in sorted(policy.sources.items()):
        if not source.enabled:
            continue
        if policy.secrets_of(name) or settings.source_secrets(name):
            yield Finding("sources", "ok", f"{name} has a secret")
        elif name not in UNCONNECTED:
            yield Finding("sources", "warning", f"{name} has no secret: everything it sends is refused (401)")


def _database(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Reachable, migrated, writable; then the ages of the processes that it knows of."""
    path = settings.database_url.removeprefix("sqlite:///")
    if path != settings.database_url and not Path(path).exists():
        yield Finding("database", "fault", f"{path} is not there yet: `firedoor up` or `firedoor db upgrade` makes it")
        return
    try:
        at, newest = migrations.current(settings.database_url), migrations.newest()
    except exc.SQLAlchemyError as error:
        if not is_store_down(error):
            raise
        yield Finding("database", "fault", f"{_database_name(settings)} can't be reached: no alert can be stored")
        return
    if at != newest:
        yield Finding(
            "database", "fault", f"the tables are at {at or 'nothing'}, not {newest}: run firedoor db upgrade"
        )
        return
    database = Database(settings.database_url, SystemClock(), pool_size=1, wait=3.0)
    try:
        with database.work():
            pass
        yield Finding("database", "ok", f"{_database_name(settings)} answers, takes writes and is migrated")
        yield from _hold_mode(database)
        yield _audit(database)
        yield from _answers(database, policy)
        yield from _processes(database)
    except StoreDown as down:
        yield Finding("database", "fault", f"it takes no write: {down}")
    finally:
        database.close()


def _database_name(settings: Settings) -> str:
    """Without its password."""
    parts = urlsplit(settings.database_url)
    return settings.database_url if not parts.hostname else f"PostgreSQL at {parts.hostname}{parts.path}"


def _hold_mode(database: Database) -> Iterator[Finding]:
    with database.read() as work:
        begun = holdmode.since(work.session)
    if begun is not None:
        why = f"since {begun:%Y-%m-%d %H:%M} UTC nothing of before is sent or run again: firedoor resume ends it"
        yield Finding("hold mode", "warning", why)


def _audit(database: Database) -> Finding:
    """The whole chain, line by line: an edit, a deletion and an insertion all show."""
    with database.read() as work:
        chain = auditlog.verify(work.session, now=work.now)
    if chain.broken:
        why = f"{chain.broken}. The {chain.lines} lines before it are as they were written"
        return Finding("audit", "fault", why)
    if chain.waiting:
        return Finding("audit", "warning", f"{chain.waiting} lines wait for minutes to be sealed: no clock runs")
    return Finding("audit", "ok", f"{chain.lines} lines, none was changed; the last one's hash is {chain.head[:16]}…")


def _answers(database: Database, policy: Policy) -> Iterator[Finding]:
    """Who is paged and has an account that may not acknowledge: every page of theirs goes on to somebody else."""
    with database.read() as work:
        for person in sorted(policy.people):
            role = accounts.acting_for(work.session, person, person, "").role
            if policy.contacts(person, "page") and not permissions.reaches(role, permissions.RESPONDER):
                why = f"{person} can be paged and can't acknowledge: the account is disabled, or may only look"
                yield Finding("accounts", "warning", f"{why} (`firedoor users enable` or `role` changes that)")


def _processes(database: Database) -> Iterator[Finding]:
    p = tables.part.c
    with database.read() as work:
        rows = work.session.execute(select(p.kind, p.worked_at)).all()
        now = work.now
    for kind in ("clock", "worker"):
        ages = [now - row.worked_at for row in rows if row.kind == kind]
        if not ages:
            yield Finding(
                kind, "warning", f"no {kind} runs: start one with `firedoor {kind}`, or all with `firedoor up`"
            )
        elif min(ages) > SILENT_AFTER:
            yield Finding(kind, "warning", f"no {kind} worked for {min(ages).total_seconds():.0f} s")
        else:
            yield Finding(kind, "ok", f"it worked {min(ages).total_seconds():.0f} s ago")


def _redis(settings: Settings) -> Finding:
    url = settings.redis_url
    if url is None and settings.embedded_socket.exists():
        url = f"unix://{settings.embedded_socket}"
    if url is None:
        return Finding("redis", "warning", "none is set up; `firedoor up` brings its own, else the clock does all work")
    bell = Doorbell(url)
    try:
        if bell.ping():
            return Finding("redis", "ok", "it answers within 200 ms")
        return Finding("redis", "warning", "it does not answer: pages leave by the clock, up to a second later")
    finally:
        bell.close()


def _disk(settings: Settings) -> Finding:
    folder = settings.home if settings.home.exists() else settings.home.parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    told = f"{free / GIB:.1f} GiB are free in {folder}"
    if free < GIB // 10:
        return Finding("disk", "fault", f"{told}: alerts will soon be refused")
    return Finding("disk", "warning" if free < GIB else "ok", told)


def _smtp(settings: Settings) -> Finding:
    """Says hello to the mail server and leaves; no mail is sent by this."""
    if settings.smtp_url is None:
        return Finding("mail", "warning", "FIREDOOR_SMTP_URL is empty: there is no e-mail")
    try:
        told = read_url(settings.smtp_url)  # as pages read it: another port would answer for a road they never take
    except ValueError as wrong:
        return Finding("mail", "fault", f"FIREDOOR_SMTP_URL can't be used ({wrong}): no page by e-mail")
    host, port = told.host, told.port
    try:
        if told.scheme == "smtps":
            with smtplib.SMTP_SSL(host, port, timeout=SMTP_TIMEOUT, context=ssl.create_default_context()) as server:
                server.noop()
        else:
            with smtplib.SMTP(host, port, timeout=SMTP_TIMEOUT) as server:
                server.noop()
    except (OSError, smtplib.SMTPException) as error:
        return Finding("mail", "fault", f"{host}:{port} can't be reached ({type(error).__name__}): no page by e-mail")
    return Finding("mail", "ok", f"{host}:{port} answers; --send PERSON sends a test message")


def _send(settings: Settings, book: Book, person: str, now: datetime) -> Iterator[Finding]:
    """A test message by every channel that reaches this person."""
    proofs = list(prove(settings, book, [person], now=now))
    if not proofs:
        yield Finding("test message", "fault", f"no channel reaches {person}: nothing was sent")
    for proof in proofs:
        verdict: Literal["ok", "fault"] = "ok" if proof.arrived else "fault"
        yield Finding("test message", verdict, f"{proof.channel} to {person}: {proof.said}")
