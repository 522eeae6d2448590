"""Cookies, forms, headers and the acknowledging link, spoken to over HTTP without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from firedoor.web import create_app
from incidents import tables
from tests.browser.conftest import CHECKOUT
from tests.fixtures.desk import Desk, OpenDesk, add_token

SCANNERS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Microsoft Outlook SafeLinks)",
    "facebookexternalhit/1.1",
    "Googlebot/2.1 (+http://www.google.com/bot.html)",
    "Barracuda Sentinel (EE)",
    "WhatsApp/2.23",
    "TelegramBot (like TwitterBot)",
    "curl/8",
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
}


@pytest.fixture
def desk(open_desk: OpenDesk) -> Iterator[Desk]:
    desk = open_desk()
    yield desk
    desk.news()


def signed_in(desk: Desk, person: str = "ada") -> FlaskClient:
    token = add_token(desk.house, person, "signin")
    client = create_app(desk.house).test_client()
    assert client.post("/signin", data={"token": token}).status_code == 303
    return client


def csrf_of(client: FlaskClient, path: str = "/") -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(path).get_data(as_text=True))
    assert found
    return found[1]


def test_opening_an_acknowledging_link_changes_nothing_whoever_opens_it(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    desk.news()
    before = desk.incident(), desk.timeline()

    for scanner in SCANNERS:
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = desk.client.open(desk.links["ada"], method=method, headers={"User-Agent": scanner})
            assert answer.status_code == 200
            assert "Set-Cookie" not in answer.headers

    assert (desk.incident(), desk.timeline()) == before


def test_an_acknowledging_link_says_what_happened_and_what_is_next(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)

    said = desk.press("ada", "acknowledge")

    assert "You have it. Escalation has stopped." in said
    assert "Next" in said
    assert desk.incident()["taken_by"] == {"id": "ada", "name": "Ada"}


def test_an_acknowledging_link_can_say_three_things_and_no_more(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)

    for verb in ("resolve", "stand_down", "contain", "note", "", "ACKNOWLEDGE"):
        desk.press("ada", verb, expect=422)

    assert desk.incident()["taken_by"] is None


def test_a_link_with_any_letter_changed_does_nothing(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    desk.news()
    link = desk.links["ada"]

    for at in range(len("/ack/"), len(link)):
        other = "b" if link[at] != "b" else "c"
        answer = desk.client.post(link[:at] + other + link[at + 1 :], data={"verb": "acknowledge"})
        assert answer.status_code == 404
        assert "Nothing was done" in answer.get_data(as_text=True)

    assert desk.incident()["taken_by"] is None


def test_a_link_that_has_expired_says_so_and_does_nothing(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    desk.news()
    desk.clock.forward(timedelta(days=8))

    shown = desk.client.get(desk.links["ada"])
    pressed = desk.client.post(desk.links["ada"], data={"verb": "acknowledge"})

    for answer in (shown, pressed):
        assert answer.status_code == 410
        assert "This link has expired. Nothing was done." in answer.get_data(as_text=True)
    assert desk.incident()["taken_by"] is None


def test_every_answer_carries_the_security_headers(desk: Desk) -> None:
    client = signed_in(desk)

    for path in (
        "/",
        "/alerts",
        "/people",
        "/declare",
        "/i/INC-404",
        "/nowhere",
        "/ack/1-aaaaaaaaaaaaaaaaaaaa",
        "/signin",
    ):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(desk: Desk) -> None:
    client = signed_in(desk)
    cookie = client.get_cookie("firedoor")

    assert cookie is not None
    assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/")
    with desk.house.database.read() as work:
        stored = work.session.execute(select(tables.credential.c.token_hash)).scalars().all()
    assert cookie.value not in stored


def test_a_session_ends_after_twelve_idle_hours_and_lives_on_while_it_is_used(desk: Desk) -> None:
    client = signed_in(desk)

    for _ in range(4):
        desk.clock.forward(timedelta(hours=11))
        assert client.get("/").status_code == 200
    desk.clock.forward(timedelta(hours=12, minutes=1))

    assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    client = signed_in(desk)
    csrf = csrf_of(client)

    answer = client.post("/i/INC-001/acknowledge", data={"csrf": csrf}, headers=headers)

    assert answer.status_code == 403
    assert desk.incident()["taken_by"] is None
    assert client.post("/signin", data={"token": "x"}, headers=headers).status_code == 403


def test_every_form_needs_the_mark_of_its_own_session(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    ada, ben = signed_in(desk), signed_in(desk, "ben")
    client = create_app(desk.house).test_client()
    posts = [
        rule.rule.replace("<name>", "INC-001").replace("<verb>", "note")
        for rule in create_app(desk.house).url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint.partition(".")[0] == "deeds"
    ]
    posts = [re.sub(r"<[^>]+>", "1", path) for path in posts]
    before = counted(desk)

    assert len(posts) >= 4
    for path in posts:
        assert ada.post(path, data={"text": "no"}).status_code == 403
        assert ada.post(path, data={"text": "no", "csrf": csrf_of(ben)}).status_code == 403
        assert client.post(path, data={"text": "no"}).status_code == 401

    assert counted(desk) == before


def counted(desk: Desk) -> int:
    with desk.house.database.read() as work:
        return work.session.execute(select(func.count()).select_from(tables.timeline)).scalar_one()


def test_every_page_but_the_doors_needs_a_session(desk: Desk) -> None:
    app = create_app(desk.house)
    client = app.test_client()
    open_to_all = {"doors.ask", "links.show", "assets.asset", "preferences.page"}

    for rule in app.url_map.iter_rules():
        part = rule.endpoint.partition(".")[0]
        if "GET" in (rule.methods or ()) and part in ("pages", "deeds", "doors", "links", "preferences", "assets"):
            path = re.sub(r"<int[^>]*>", "1", rule.rule).replace("<name>", "x").replace("<token>", "x")
            answer = client.get(path.replace("<digest>", "x"))
            assert (answer.status_code == 401) == (rule.endpoint not in open_to_all), rule.rule


def test_a_note_typed_into_an_ended_session_is_not_lost(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    client = signed_in(desk)
    csrf = csrf_of(client)
    desk.clock.forward(timedelta(hours=13))

    answer = client.post("/i/INC-001/note", data={"csrf": csrf, "text": "It was the 14:15 deploy"})

    assert answer.status_code == 401
    assert "It was the 14:15 deploy" in answer.get_data(as_text=True)
