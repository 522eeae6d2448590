"""The door: authenticate the raw bytes, store them, commit, answer 202, ring. Nothing is understood here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite
from werkzeug.datastructures import EnvironHeaders
from werkzeug.sansio.utils import get_content_length

from incidents.errors import MalformedPayload, NotAuthentic
from incidents.tables import inbox
from ports.database import Database, StoreDown, Work
from webhooks.body import Body, BodyCutShort, read_body
from webhooks.refusals import Refusals
from webhooks.replies import NAMES
from webhooks.sources import OVERSIZED, SOURCES, NotCounted, Source, SourceSettings
from webhooks.spool import Spool, SpoolFull

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

PREFIX = "/hooks/"
STORED_HEADERS = ("Content-Type", "Content-Encoding", "User-Agent")  # never Authorization, never a cookie
HEADER_LIMIT = 500  # characters of one stored header
RETRY_AFTER = 5  # seconds
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

UNKNOWN = "No source of this name is here, or it is disabled. Nothing was stored. The policy's `sources` name them."
ONLY_POST = "Alerts are taken by POST only. Nothing was stored."
STORE_DOWN = f"The database can't take a write now. Nothing was stored; send it again in {RETRY_AFTER} seconds."
SPOOL_FULL = (
    "The database can't take a write now, and the spool is full. Nothing was stored; "
    f"send it again in {RETRY_AFTER} seconds."
)
SPOOLED = '{"accepted": null, "spooled": true}'
WITHIN = 0.7  # seconds: the least patient of those who never send again waits for one
OUR_FAULT = "Something went wrong here, and it is in our log. Nothing was stored; send it again."
CUT_SHORT = "The connection ended before the body did. Nothing was stored; send it again."

INSERT = insert(inbox).returning(inbox.c.id, sort_by_parameter_order=True)
INSERT_ONCE = {
    "sqlite": sqlite.insert(inbox).on_conflict_do_nothing().returning(inbox.c.id),
    "postgresql": postgresql.insert(inbox).on_conflict_do_nothing().returning(inbox.c.id),
}


class Hooks:
    """A WSGI application: it answers /hooks/… itself and hands everything else on.

    It stands before the console's framework, because a delivery needs none of it and comes hundreds of times a second
    (docs/performance.md). It never redirects: a redirect would turn a POST into a GET and lose the alert.
    """

    def __init__(
        self,
        beyond: WSGIApplication,
        *,
        database: Database,
        sources: Callable[[], Mapping[str, SourceSettings]],
        secrets: Callable[[str], Sequence[bytes]],
        kinds: Mapping[str, Source] = SOURCES,
        spool: Spool | None = None,
    ) -> None:
        self._beyond = beyond
        self._database = database
        self._sources = sources
        self._secrets = secrets
        self._kinds = kinds
        self._spool = spool
        self._refusals = Refusals(database)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return self._beyond(environ, start_response)
        # WSGI hands the path over as bytes in Latin-1 (PEP 3333).
        name = path[len(PREFIX) :].encode("latin-1").decode("utf-8", "replace").strip("/")
        if name in NAMES and name not in self._sources():  # answers to our messages, not alerts
            return self._beyond(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST":
            answer = self._receive(name, environ)
        else:
            answer = Answer(405, ONLY_POST, {"Allow": "POST"})
        return answer.send(environ, start_response)

    def _receive(self, name: str, environ: WSGIEnvironment) -> Answer:
        settings = self._sources().get(name)
        source = self._source_of(name, settings) if settings is not None and settings.enabled else None
        if settings is None or source is None:
            return Answer(404, UNKNOWN)
        try:
            stored = self._take(name, source, settings, environ)
        except NotAuthentic as refused:
            self._refusals.add(name)
            return Answer(401, refused.sentence, {"WWW-Authenticate": 'Bearer realm="firedoor"'})
        except NotCounted as why:
            log.info("hook.not_counted", source=name, why=str(why))
            answer = json.dumps({"accepted": None, "ignored": str(why)})
            return Answer(202, answer, content_type="application/json")
        except MalformedPayload as malformed:  # one that this sender must mend; of the others all is stored first
            return Answer(400, f"{malformed.sentence} Nothing was stored; mend it and send it again.")
        except BodyCutShort:
            return Answer(400, CUT_SHORT)
        except SpoolFull:
            log.error("hook.spool_full", source=name)
            return Answer(503, SPOOL_FULL, {"Retry-After": str(RETRY_AFTER)})
        except (StoreDown, SpoolBroken):
            log.warning("hook.store_down", source=name)
            return Answer(503, STORE_DOWN, {"Retry-After": str(RETRY_AFTER)})
        except Exception:
            log.exception("hook.failed", source=name)
            return Answer(500, OUR_FAULT)
        if stored is None:
            return Answer(202, SPOOLED, content_type="application/json")
        self._refusals.write_due()
        return Answer(202, f'{{"accepted": {stored}}}', content_type="application/json")

    def _source_of(self, name: str, settings: SourceSettings) -> Source | None:
        """By its kind; one of several dialects, such as `deploys/github`, by its whole name."""
        dialect = self._kinds.get(name) if name.startswith(f"{settings.kind}/") else None
        return dialect or self._kinds.get(settings.kind)

    def _take(self, name: str, source: Source, settings: SourceSettings, environ: WSGIEnvironment) -> int | None:
        """Store the body of whoever proves to be the sender: the id of its row, or None where it is in the spool."""
        headers = EnvironHeaders(environ)
        witness = source.authenticate(headers, self._secrets(name))
        stream = environ["wsgi.input"] if witness is None else witness.watching(environ["wsgi.input"])
        encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        body = read_body(stream, length=_length(environ), encoding=encoding)
        if witness is not None:
            witness.confirm()
        stored_headers = _stored_headers(headers, body, source)
        if source.check is not None:
            source.check(body.content, stored_headers, settings)
        row = {
            "source": name,
            "delivery_key": source.delivery_key(headers),
            "headers": stored_headers,
            "body": source.kept(body.content) if source.kept else body.content,
            "state": "new",
            "attempts": 0,
        }
        return self._keep(name, source, row)

    def _keep(self, name: str, source: Source, row: dict[str, Any]) -> int | None:
        """On disk when this returns. What nobody sends again does not wait for a slow store, and never gets lost."""
        if source.comes_back or self._spool is None:
            return self._database.perform_with_others(store, row)
        row["delivery_key"] = row["delivery_key"] or f"spool:{uuid4().hex}"  # a commit that comes late is the same row
        if self._spool.is_empty:  # else it would overtake what waits
            try:
                return self._database.perform_with_others(store, row, within=WITHIN)
            except StoreDown:
                log.warning("hook.spooled", source=name)
        try:
            self._spool.add(row)
        except OSError as error:
            raise SpoolBroken from error
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of text, and what goes with it."""

    status: int
    line: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/plain; charset=utf-8"

    def send(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = f"{self.line}\n".encode()
        headers = {"Content-Type": self.content_type, "Content-Length": str(len(body)), **self.headers}
        start_response(STATUS_LINES[self.status], list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class SpoolBroken(Exception):
    """The spool can't be written: its disk is full or gone."""


def _length(environ: WSGIEnvironment) -> int | None:
    """How many bytes the body has: None where it is chunked and the server marks its end."""
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
    return 0 if length is None and not environ.get("wsgi.input_terminated") else length


def store(work: Work, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert the rows, and give back their ids; all that their senders did not number in one statement."""
    received = [{"received_at": work.now, **row} for row in rows]  # one of the spool says when it came
    plain = [row for row in received if row["delivery_key"] is None]
    stored = work.session.execute(INSERT, plain).scalars().all() if plain else []
    work.ring([("intake", one) for one in stored[:1]])
    fresh = iter(stored)
    return [next(fresh) if row["delivery_key"] is None else _store_once(work, row) for row in received]


def _store_once(work: Work, row: dict[str, Any]) -> int:
    """A delivery that its sender numbered and sent again is the one that is already here."""
    stored = work.session.execute(INSERT_ONCE[work.session.dialect.name], row).scalar()
    if stored is not None:
        work.ring([("intake", stored)])
        return int(stored)
    known = select(inbox.c.id).where(inbox.c.source == row["source"], inbox.c.delivery_key == row["delivery_key"])
    return int(work.session.execute(known).scalar_one())


def _stored_headers(headers: EnvironHeaders, body: Body, source: Source) -> dict[str, str]:
    names = (*STORED_HEADERS, *source.keeps)
    stored = {name: headers[name][:HEADER_LIMIT] for name in names if name in headers}
    if body.inflated:
        del stored["Content-Encoding"]
    if body.oversized:
        stored[OVERSIZED] = body.oversized
    return stored
