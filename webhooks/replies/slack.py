"""A button in Slack: the signature over the raw bytes, then the verb of the acknowledging link, by the same person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qs

import structlog
from werkzeug.datastructures import Headers

from incidents import accounts, door, showing, store
from incidents.alerts import clean_line
from incidents.book import Book
from incidents.errors import NotAuthentic, NotFound, Refused
from incidents.paging import person_name
from incidents.words import REPLIES
from ports.database import Database, Work
from webhooks.replies.proving import UNSIGNED, once, person_of, secrets_of, signed_by

log = structlog.get_logger()
OLDEST = timedelta(minutes=5)
ACTION = "firedoor."


@dataclass(frozen=True, slots=True)
class Pressed:
    """One press of one button."""

    key: str
    channel: str  # of the policy
    room: str
    user: str
    verb: str
    incident: str


def take(raw: bytes, headers: Headers, *, database: Database, book: Book) -> None:
    """Act on every button of ours in an authentic request; anything else is only answered."""
    form = parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True)
    if form.get("ssl_check") == ["1"]:  # Slack looks whether our certificate is good, unsigned
        return
    channel = _authentic(raw, headers, secrets_of(book, "slack"), database.clock.now())
    for pressed in _pressed(channel, form.get("payload", [""])[0]):
        _answer(pressed, database, book)


def _authentic(raw: bytes, headers: Headers, secrets: Mapping[str, bytes], now: datetime) -> str:
    """The channel whose app signed it, within five minutes: an old request may be somebody's recording."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 11:
        raise NotAuthentic(UNSIGNED)
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > OLDEST:
        raise NotAuthentic(UNSIGNED)
    version, _, presented = headers.get("X-Slack-Signature", "").partition("=")
    return signed_by(secrets, f"v0:{stamp}:".encode(), raw, [presented] if version == "v0" else [])


def _pressed(channel: str, payload: str) -> Iterator[Pressed]:
    """Our buttons of a `block_actions` payload. What Slack sends else, or we can't read, is nobody's press."""
    try:
        said = json.loads(payload)
        actions = said["actions"] if said["type"] == "block_actions" else []
        for action in actions:
            verb = str(action.get("action_id", "")).removeprefix(ACTION)
            incident, _, _ = str(action.get("value", "")).rpartition("/r")
            if verb in door.BUTTONS and incident:
                seed = [said["user"]["id"], said.get("container"), action["action_id"], action["action_ts"]]
                key = f"slack:{sha256(json.dumps(seed, sort_keys=True).encode()).hexdigest()}"
                room = said.get("channel") or {}
                yield Pressed(key, channel, str(room.get("id", "")), str(said["user"]["id"]), verb, incident)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        log.warning("reply.unreadable", sender="slack")


def _answer(pressed: Pressed, database: Database, book: Book) -> None:
    def act(work: Work) -> None:
        _reply(work, pressed, _do(work, pressed, book))

    try:
        once(database, pressed.key, act)
    except (Refused, NotFound) as refused:  # it undid the whole unit: only the sentence is kept
        sentence = refused.sentence
        once(database, pressed.key, lambda work: _reply(work, pressed, sentence))


def _do(work: Work, pressed: Pressed, book: Book) -> str:
    """The verb, as a press of the person's own link would do it; or why not."""
    person = person_of(book, "slack", pressed.user)
    if person is None:
        return REPLIES["nobody"].format(user=clean_line(pressed.user, 40))
    by = accounts.acting_for(work.session, person, person_name(book, person), "slack")
    done = door.answer(work, pressed.verb, pressed.incident, by=by, book=book)
    holder = store.find_incident(work.session, done.name).taken_by
    if pressed.verb == "acknowledge" and holder != person:
        return REPLIES["late"].format(holder=person_name(book, holder))
    return done.said


def _reply(work: Work, pressed: Pressed, text: str) -> None:
    if pressed.room:
        work.ring(
            showing.reply(
                work.session, key=pressed.key, channel=pressed.channel, room=pressed.room, person=pressed.user,
                text=text, now=work.now,
            )
        )  # fmt: skip
