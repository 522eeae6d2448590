"""Who is signed in: a one-time link begins a session, and every form proves that it came from our own page."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from flask import Request, Response
from sqlalchemy import Connection, insert, update

from incidents import accounts, auditlog
from incidents.accounts import Holder
from incidents.tables import account, credential
from ports.database import Database, Work
from ports.tokens import hash_token, new_token

IDLE = timedelta(hours=12)  # where the policy says nothing
SLIDE = timedelta(minutes=10)  # how stale `expires_at` may get before a read of a page writes
OWN_SITES = ("same-origin", "none")  # none: typed, a bookmark


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that is alive now, and the account that holds it."""

    holder: Holder
    csrf: str

    @property
    def person(self) -> str:
        return self.holder.person or self.holder.login

    def on_a_page(self, csrf: str, *, alone: bool) -> SignedIn:
        """As much of it as a page shows that is rendered for many: oneself, or anybody of the same rights."""
        holder = replace(self.holder, seen_at=None, expires_at=None)
        return SignedIn(holder if alone else replace(holder, login="", person="", name=""), csrf)


class Sessions:
    """Sign-ins and sessions, kept as hashes in the credential table."""

    def __init__(
        self, database: Database, secret: str, public_url: str, idle: Callable[[], timedelta] = lambda: IDLE
    ) -> None:
        self._database = database
        self._secret = secret.encode()
        self.idle = idle  # how long a session lives that nobody uses
        self._public_origin = origin_of(public_url)
        self.secure = public_url.startswith("https://")
        self.cookie = "__Host-firedoor" if self.secure else "firedoor"

    def whose(self, token: str) -> Holder | None:
        """Whom a sign-in link is for, while it is good. Reading it uses nothing up."""
        with self._database.read() as work:
            return accounts.behind(work.session, "signin", hash_token(token), now=work.now)

    def begin(self, token: str, replaced: str | None) -> str | None:
        """Use the one-time token up and begin a session; None where the token is no good (any more)."""

        def exchange(work: Work) -> str | None:
            holder = accounts.behind(work.session, "signin", hash_token(token), now=work.now)
            if holder is None or not _use_up(work.session, token, work.now):
                return None
            return self.fresh(work, holder.login, how="link", replaced=replaced)

        return self._database.perform(exchange)

    def fresh(self, work: Work, login: str, *, how: str, replaced: str | None = None) -> str:
        """A new session of an account; the browser's one before ends, so that nobody's planted id is ever signed in."""
        token = new_token()
        if replaced:
            _end(work.session, replaced, work.now)
        work.session.execute(
            insert(credential).values(
                kind="session", token_hash=hash_token(token), person=login, created_at=work.now,
                expires_at=work.now + self.idle(),
            )
        )  # fmt: skip
        _see(work.session, login, work.now)
        auditlog.write(
            work.session, at=work.now, actor=login, door="console", what="signin", on=login, facts={"how": how}
        )
        return token

    def read(self, token: str | None) -> SignedIn | None:
        """Who holds this session; a session in use lives on, one that nobody uses for hours ends."""
        if not token:
            return None
        with self._database.read() as work:
            holder = accounts.behind(work.session, "session", hash_token(token), now=work.now)
            now = work.now
        if holder is None:
            return None
        if holder.expires_at is not None and holder.expires_at < now + self.idle() - SLIDE:
            self._database.perform(lambda work: _slide(work.session, token, holder.login, work.now, self.idle()))
        return SignedIn(holder, self.csrf(token))

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


def _use_up(session: Connection, token: str, now: datetime) -> bool:
    """Guarded by `used_at`: of two presses at the same moment one begins a session."""
    c = credential.c
    used = (
        update(credential)
        .where(c.kind == "signin", c.token_hash == hash_token(token), c.used_at.is_(None))
        .values(used_at=now)
    )
    return session.execute(used).rowcount == 1


def _slide(session: Connection, token: str, login: str, now: datetime, idle: timedelta) -> None:
    c = credential.c
    session.execute(
        update(credential)
        .where(c.kind == "session", c.token_hash == hash_token(token), c.used_at.is_(None))
        .values(expires_at=now + idle, seen_at=now)
    )
    _see(session, login, now)


def _see(session: Connection, login: str, now: datetime) -> None:
    session.execute(update(account).where(account.c.login == login).values(last_seen_at=now))


def _end(session: Connection, token: str, now: datetime) -> None:
    c = credential.c
    session.execute(
        update(credential)
        .where(c.kind == "session", c.token_hash == hash_token(token), c.used_at.is_(None))
        .values(used_at=now)
    )
