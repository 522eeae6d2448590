"""Whatever a sender posts: no parser falls over it, and what is authentic is stored, told to a person, and kept raw."""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from incidents import tables
from incidents.alerts import Alert
from incidents.errors import MalformedPayload
from tests.fixtures.anything import assert_storable
from tests.fixtures.desk import Desk, OpenDesk
from tests.poison.corpus import SHAPES, Poison, corpus
from webhooks.body import KEPT, LIMIT
from webhooks.sources import OVERSIZED, SOURCES

SECRET = "a-secret-that-every-sender-of-the-poison-has"
KINDS = sorted(SHAPES)
SHARE = 5  # every poison goes through the store as Alertmanager's, and of each other kind every fifth


@pytest.mark.parametrize("kind", KINDS)
def test_no_parser_falls_over_any_of_it(kind: str) -> None:
    assert len(corpus(kind)) >= 60

    for poison in corpus(kind):
        began = time.process_time()
        alerts, refused = _read(poison)
        assert time.process_time() - began < 1.0, f"{poison} takes too long"
        assert len(alerts) == 1 or not poison.honest, f"{poison}: {refused}"
        assert refused == "" or (refused.endswith(".") and len(refused) < 400), f"{poison}: {refused}"
        for alert in alerts:
            assert_storable(alert)


def _read(poison: Poison) -> tuple[list[Alert], str]:
    """Its alerts, or the sentence that refuses it."""
    try:
        return SOURCES[poison.kind].parse(poison.kind, poison.body, {}), ""
    except MalformedPayload as refused:
        return [], refused.sentence


def test_all_that_is_authentic_is_stored_and_told_to_a_person(open_desk: OpenDesk, tmp_path: Path) -> None:
    desk = _desk(open_desk, tmp_path)
    sent = [_send(desk, poison) for poison in _share()]
    desk.settle()

    with desk.house.database.read() as work:
        assert _raw_is_kept(work.session, sent)
        rows = work.session.execute(select(tables.inbox.c.id, tables.inbox.c.state))
        states = {row.id: row.state for row in rows}
        lost = [poison for number, poison in sent if poison.honest and states[number] != "taken"]
        assert not lost
        assert set(states.values()) == {"taken", "unreadable"}
        assert _told_unreadable(work.session) == list(states.values()).count("unreadable")
        _each_honest_one_is_in_an_incident(work.session, sent)

    desk.forward(seconds=61)
    assert {"page"} == {said.purpose for said in desk.news() if said.to == "ada"}
    assert desk.client.get("/healthz").status_code == 200
    _every_screen_shows_it(desk)
    desk.news()


def _desk(open_desk: OpenDesk, tmp_path: Path) -> Desk:
    (tmp_path / "secret").write_text(SECRET)
    sources = "".join(f"  {kind}: {{kind: {kind}, secret: {{file: {tmp_path / 'secret'}}}}}\n" for kind in KINDS)
    return open_desk(more=f"sources:\n{sources}")


def _share() -> list[Poison]:
    """All of it as Alertmanager's, and of each other kind every fifth, never the same fifth."""
    return [
        poison
        for at, kind in enumerate(KINDS)
        for n, poison in enumerate(corpus(kind))
        if kind == "alertmanager" or (n % SHARE == at % SHARE and len(poison.body) < LIMIT // 2)
    ]


def _send(desk: Desk, poison: Poison) -> tuple[int, Poison]:
    proof = {
        "Authorization": f"Bearer {SECRET}",
        "Sentry-Hook-Signature": hmac.new(SECRET.encode(), poison.body, sha256).hexdigest(),
    }
    answer = desk.client.post(f"/hooks/{poison.kind}", data=poison.body, headers={**proof, **poison.headers})
    assert answer.status_code == 202, f"{poison}: {answer.status} {answer.text}"
    return answer.get_json()["accepted"], poison


def _raw_is_kept(session: Connection, sent: Sequence[tuple[int, Poison]]) -> bool:
    """Byte for byte, or its beginning where it is too large, or unpacked where it was packed."""
    inbox = tables.inbox
    rows = {row.id: row for row in session.execute(select(inbox.c.id, inbox.c.body, inbox.c.headers))}
    for number, poison in sent:
        kept = rows[number]
        if OVERSIZED in kept.headers:
            assert kept.body == poison.body[:KEPT], poison
        elif "Content-Encoding" in kept.headers or not poison.headers:
            keep = SOURCES[poison.kind].kept
            assert kept.body == (keep(poison.body) if keep else poison.body), poison
    return True


def _told_unreadable(session: Connection) -> int:
    """The entries on timelines, one for each body that nobody could read."""
    line = tables.timeline
    said = session.execute(select(func.count()).where(line.c.kind.like("%unreadable%"))).scalar_one()
    return int(said)


def _each_honest_one_is_in_an_incident(session: Connection, sent: Sequence[tuple[int, Poison]]) -> None:
    alert: Any = tables.alert
    found = {row.inbox_id: row for row in session.execute(select(alert))}
    for number, poison in sent:
        if poison.honest:
            row = found.get(number)
            assert row is not None, f"{poison} left no alert"
            assert row.incident_id is not None, f"{poison}: {row.why}"


def _every_screen_shows_it(desk: Desk) -> None:
    for incident in desk.incidents()[:10]:
        assert desk.incident(incident["id"])["title"]
    assert desk.alerts()
