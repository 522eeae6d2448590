"""Who is signed in: a one-time link begins a session, and every form proves that it came from our own page."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from flask import Request, Response
from sqlalchemy import Connection, insert, select, update

from incidents.tables import credential
from ports.database import Database, Work
from ports.tokens import hash_token, new_token

IDLE = timedelta(hours=12)
SLIDE = timedelta(minutes=10)  # how stale `expires_at` may get before a read of a page writes
OWN_SITES = ("same-origin", "none")  # none: typed, a bookmark


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that is alive now."""

    person: str
    csrf: str


class Sessions:
    """Sign-ins and sessions, kept as hashes in the credential table."""

    def __init__(self, database: Database, secret: str, public_url: str) -> None:
        self._database = database
        self._secret = secret.encode()
        self._public_origin = origin_of(public_url)
        self.secure = public_url.startswith("https://")
        self.cookie = "__Host-firedoor" if self.secure else "firedoor"

    def whose(self, token: str) -> str | None:
        """Whom a sign-in link is for, while it is good. Reading it uses nothing up."""
        with self._database.read() as work:
            return _alive(work.session, "signin", token, work.now)

    def begin(self, token: str, replaced: str | None) -> str | None:
        """Use the one-time token up and begin a session; None where the token is no good (any more)."""
        fresh = new_token()

        def exchange(work: Work) -> str | None:
            person = _use_up(work.session, token, work.now)
            if person is None:
                return None
            if replaced:
                _end(work.session, replaced, work.now)
            work.session.execute(
                insert(credential).values(
                    kind="session",
                    token_hash=hash_token(fresh),
                    person=person,
                    created_at=work.now,
                    expires_at=work.now + IDLE,
                )
            )
            return fresh

        return self._database.perform(exchange)

    def read(self, token: str | None) -> SignedIn | None:
        """Who holds this session; a session in use lives on, one that is idle for 12 hours ends."""
        if not token:
            return None
        with self._database.read() as work:
            person = _alive(work.session, "session", token, work.now)
            stale = person is not None and _is_stale(work.session, token, work.now)
        if person is None:
            return None
        if stale:
            self._database.perform(lambda work: _slide(work.session, token, work.now))
        return SignedIn(person, self.csrf(token))

    def end(self, token: str) -> None:
        self._database.perform(lambda work: _end(work.session, token, work.now))

    def csrf(self, token: str) -> str:
        """The value that a form of this session carries; it changes with each sign-in."""
        return hmac.new(self._secret, b"csrf:" + hash_token(token).encode(), sha256).hexdigest()

    def is_own_form(self, request: Request, csrf: str) -> bool:
        """The form carries this session's token, and the browser does not say that another site sent it."""
        given = request.form.get("csrf", "")
        return hmac.compare_digest(given.encode(), csrf.encode()) and self.is_own_origin(request)

    def is_own_origin(self, request: Request) -> bool:
        """What the browser itself says about the sender.

        Our pages say `no-referrer`, and so browsers send `Origin: null` with our own forms: null proves nothing
        either way, and Sec-Fetch-Site and the form's token decide.
        """
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None and site not in OWN_SITES:
            return False
        origin = request.headers.get("Origin")
        return origin in (None, "null", self._public_origin, origin_of(request.host_url))

    def give(self, response: Response, token: str) -> Response:
        """Hand the browser its session."""
        response.set_cookie(
            self.cookie, token, max_age=None, path="/", httponly=True, secure=self.secure, samesite="Lax"
        )
        return response

    def take_back(self, response: Response) -> Response:
        response.delete_cookie(self.cookie, path="/", httponly=True, secure=self.secure, samesite="Lax")
        return response


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _alive(session: Connection, kind: str, token: str, now: datetime) -> str | None:
    c = credential.c
    found = select(c.person).where(
        c.kind == kind,
        c.token_hash == hash_token(token),
        c.used_at.is_(None),
        (c.expires_at.is_(None)) | (c.expires_at > now),
    )
    person: str | None = session.execute(found).scalar()
    return person


def _use_up(session: Connection, token: str, now: datetime) -> str | None:
    """Guarded by `used_at`: of two presses at the same moment one begins a session."""
    c = credential.c
    used: str | None = session.execute(
        update(credential)
        .where(
            c.kind == "signin",
            c.token_hash == hash_token(token),
            c.used_at.is_(None),
            (c.expires_at.is_(None)) | (c.expires_at > now),
        )
        .values(used_at=now)
        .returning(c.person)
    ).scalar()
    return used


def _is_stale(session: Connection, token: str, now: datetime) -> bool:
    expires_at = session.execute(
        select(credential.c.expires_at).where(credential.c.token_hash == hash_token(token))
    ).scalar()
    return expires_at is not None and expires_at < now + IDLE - SLIDE


def _slide(session: Connection, token: str, now: datetime) -> None:
    c = credential.c
    session.execute(
        update(credential)
        .where(c.kind == "session", c.token_hash == hash_token(token), c.used_at.is_(None))
        .values(expires_at=now + IDLE)
    )


def _end(session: Connection, token: str, now: datetime) -> None:
    c = credential.c
    session.execute(
        update(credential)
        .where(c.kind == "session", c.token_hash == hash_token(token), c.used_at.is_(None))
        .values(used_at=now)
    )
