"""T29: a thousand forged, replayed and tampered sessions, tokens, links and deliveries; none comes in."""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from firedoor.settings import Settings
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import tables
from ports.tokens import new_token
from tests.fixtures.desk import TOKEN, Desk, OpenDesk, add_token
from tests.fixtures.slack import signed

OF_EACH = 200
LETTERS = string.ascii_letters + string.digits + "-_"
KEPT = (tables.incident, tables.timeline, tables.promise, tables.inbox, tables.silence, tables.account)
SENTRY = "what sentry signs with"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def desk(open_desk: OpenDesk) -> Iterator[Desk]:
    """A desk with an open incident, a signed-in browser, a token and a link that are all good."""
    plain = open_desk()
    environ = {**plain.house.settings.environ, "FIREDOOR_SENTRY_SECRET": SENTRY}
    house = House.open(Settings.from_env(environ), clock=plain.clock, role="desk")
    desk = Desk(house, plain.clock, create_app(house).test_client(), plain.recorder, plain.api_token, plain.began)
    desk.alertmanager_says("firing")
    desk.news()
    yield desk
    house.close()
    plain.news()


def tampered(good: str, chance: random.Random) -> Iterator[str]:
    """Every kind of change to something good, without end: a letter, a swap, a cut, more of it, another case."""
    while True:
        at = chance.randrange(len(good))
        letter = chance.choice([one for one in LETTERS if one != good[at]])
        yield good[:at] + letter + good[at + 1 :]
        yield good[:at] + good[at + 1 :]
        yield good[:at] + letter + good[at:]
        yield good[: chance.randrange(len(good))]
        yield new_token()
        yield good + chance.choice(LETTERS)


def changed(good: str, times: int = OF_EACH, seed: int = 29) -> list[str]:
    """That many different ones, and never the good one itself."""
    found: dict[str, None] = {}
    for one in tampered(good, random.Random(seed)):
        if one not in ("", good):
            found[one] = None
        if len(found) == times:
            return list(found)
    raise AssertionError("unreachable")


def rows(desk: Desk) -> list[int]:
    with desk.house.database.read() as work:
        return [work.session.execute(select(func.count()).select_from(table)).scalar_one() for table in KEPT]


def accepted(asks: Callable[[str], Any], forged: list[str], refused: tuple[int, ...]) -> list[tuple[str, int]]:
    codes = ((one, asks(one).status_code) for one in forged)
    return [(one, code) for one, code in codes if code not in refused]


def test_none_of_a_thousand_comes_in(desk: Desk) -> None:
    before, tried = rows(desk), 0
    browser = create_app(desk.house).test_client()
    browser.post("/signin", data={"token": add_token(desk.house, "ada", "signin")})
    session = browser.get_cookie("firedoor").value
    found = re.search(r'name="csrf" value="(\w+)"', browser.get("/declare").get_data(as_text=True))
    assert found
    csrf, link = found[1], desk.links["ada"].removeprefix("/ack/")

    def by_session(forged: str) -> Any:
        thief = desk.client
        thief.set_cookie("firedoor", forged)
        return thief.post("/silences", data={"csrf": csrf, "matchers": 'a="b"', "for": "1h", "reason": "x"})

    def by_form(forged: str) -> Any:
        return browser.post("/i/INC-001/acknowledge", data={"csrf": forged})

    def by_token(forged: str) -> Any:
        ask = {"Authorization": f"Bearer {forged}"}
        return desk.client.post("/api/v1/incidents/INC-001/acknowledge", json={}, headers=ask)

    def by_link(forged: str) -> Any:
        return desk.client.post(f"/ack/{forged}", data={"verb": "acknowledge"})

    def by_sign_in_link(forged: str) -> Any:
        return desk.client.post("/signin", data={"token": forged})

    for asks, good, refused in (
        (by_session, session, (401,)),
        (by_form, csrf, (403,)),
        (by_token, desk.api_token, (401,)),
        (by_link, link, (404, 410)),
        (by_sign_in_link, add_token(desk.house, "ada", "signin"), (401,)),
    ):
        forged = changed(good)
        assert accepted(asks, forged, refused) == [], asks.__name__
        tried += len(forged)

    assert tried == 1000
    assert rows(desk) == before
    assert desk.incident()["taken_by"] is None


def test_no_forged_tampered_or_old_delivery_is_stored(desk: Desk) -> None:
    before = rows(desk)
    body = json.dumps(desk.payload([("firing", {"alertname": "Forged"})])).encode()

    def by_bearer(forged: str) -> Any:
        return desk.client.post("/hooks/alertmanager", data=body, headers={"Authorization": f"Bearer {forged}"})

    def by_signature(forged: str) -> Any:
        return desk.client.post("/hooks/sentry", data=body, headers={"Sentry-Hook-Signature": forged})

    def by_slack(forged: str) -> Any:
        told = {**signed(b"payload=%7B%7D", desk.clock.now(), secret="another"), "X-Slack-Signature": f"v0={forged}"}
        return desk.client.post("/hooks/slack", data=b"payload=%7B%7D", headers=told)

    assert accepted(by_bearer, changed(TOKEN, 100), (401,)) == []
    assert accepted(by_signature, changed("a" * 64, 100), (401,)) == []
    assert accepted(by_slack, changed("b" * 64, 100), (401, 404)) == []
    assert rows(desk) == before


def test_what_was_used_up_or_ended_is_good_for_nothing_any_more(desk: Desk) -> None:
    browser = create_app(desk.house).test_client()
    link = add_token(desk.house, "ada", "signin")
    assert browser.post("/signin", data={"token": link}).status_code == 303
    session = browser.get_cookie("firedoor").value
    found = re.search(r'name="csrf" value="(\w+)"', browser.get("/declare").get_data(as_text=True))
    assert found
    assert browser.post("/signout", data={"csrf": found[1]}).status_code == 303

    for _ in range(20):
        assert desk.client.post("/signin", data={"token": link}).status_code == 401
        desk.client.set_cookie("firedoor", session)
        assert desk.client.get("/declare").status_code == 401
    desk.client.delete_cookie("firedoor")
    assert desk.client.post("/signin", data={"token": session}).status_code == 401, "a session is no link"
    ask = {"Authorization": f"Bearer {session}"}
    assert desk.client.get("/api/v1/incidents", headers=ask).status_code == 401, "and no token"
    desk.client.set_cookie("firedoor", desk.api_token)
    assert desk.client.get("/declare").status_code == 401, "a token is no session"
