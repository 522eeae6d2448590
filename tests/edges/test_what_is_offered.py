"""A page offers no press that would be refused to whoever looks: it says in its place what is lacking (X10)."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from firedoor.web import create_app
from incidents import holdmode, permissions
from incidents.errors import NotAllowed
from incidents.press import Actor
from incidents.verbs import VERBS
from tests.fixtures.desk import CAST, Desk, OpenDesk, add_token

CHECKOUT = {"alertname": "CheckoutErrorRateHigh", "service": "checkout", "severity": "critical", "env": "prod"}
QUEUE = {"alertname": "QueueGrows", "service": "mailer", "severity": "warning"}
TWO_TEAMS = CAST.replace("teams:\n", "teams:\n  pay: {name: Payments, roles: {oncall: [ben], tech_lead: [cy]}}\n") + (
    "services: {checkout: {name: The checkout, team: pay}, blog: {name: The blog}}\n"
    "sources: {datadog: {kind: datadog, mode: shadow, secret: env:NOTHING}}\n"
)
PAGES = (
    "/", "/alerts", "/alerts/1", "/alerts/2", "/silences", "/silences/1", "/silences/2", "/inbox", "/shadow",
    "/declare", "/search", "/i/INC-001", "/i/INC-002",
)  # fmt: skip
OWN = {"/preferences", "/signout"}
READS_ONLY = "A viewer reads only. Ask an admin for the role responder."


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    """One incident of each team, a suggested alert, two silences, and a delivery that nobody could read."""
    desk = open_desk(TWO_TEAMS)
    desk.alertmanager_says(labels=CHECKOUT)
    desk.alertmanager_says(labels=QUEUE)
    desk.api("POST", "/incidents", expect=201, title="The blog is slow", service="blog", severity="P2")
    for service in ("checkout", "blog"):
        matchers = [f'service="{service}"', 'env="test"']
        desk.api("POST", "/silences", expect=201, matchers=matchers, reason="a test", **{"for": "2h"})
    desk.post(json.dumps({"version": "4", "alerts": 7}).encode())
    desk.forward(minutes=1)
    desk.news()
    return desk


def looks(desk: Desk, role: str, *teams: str, person: str = "cy") -> FlaskClient:
    client = create_app(desk.house).test_client()
    token = add_token(desk.house, person, "signin", role=role, teams=teams)
    assert client.post("/signin", data={"token": token}).status_code == 303
    return client


def presses(client: FlaskClient, path: str) -> set[str]:
    """Where the forms of a page would post to."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    return set(re.findall(r'<form method="post" action="([^"]+)"', answer.get_data(as_text=True))) - OWN


def words(client: FlaskClient, path: str) -> str:
    main = client.get(path).get_data(as_text=True).partition("<main")[2]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))


def test_a_viewer_is_offered_nothing_and_told_why_once_a_region(shop: Desk) -> None:
    client = looks(shop, "viewer")

    assert {path: presses(client, path) for path in PAGES} == {path: set() for path in PAGES}
    assert 'href="/declare"' not in client.get("/").get_data(as_text=True)
    for path in set(PAGES) - {"/search", "/inbox", "/shadow", "/alerts/1"}:
        assert 1 <= words(client, path).count(READS_ONLY) <= 2, path
    assert "Ask an admin for the role operator." in words(client, "/inbox")
    assert "Ask an admin for the role admin." in words(client, "/shadow")


def test_a_responder_is_offered_the_work_and_not_what_needs_more(shop: Desk) -> None:
    client = looks(shop, "responder")

    assert presses(client, "/inbox") == presses(client, "/shadow") == set()
    assert "This needs the role operator; yours is responder. Ask an admin for the role operator." in words(
        client, "/inbox"
    )
    assert {"/i/INC-001/escalate", "/i/INC-001/note", "/i/INC-001/acknowledge"} <= presses(client, "/i/INC-001")
    assert presses(client, "/silences") == {"/silences", "/silences/1/lift", "/silences/2/lift"}
    assert {"/i/INC-001/acknowledge", "/alerts/2/open"} <= presses(client, "/")
    assert "data-lacks" not in client.get("/i/INC-001").get_data(as_text=True)


def test_an_operator_takes_in_again_and_an_admin_goes_live(shop: Desk) -> None:
    assert presses(looks(shop, "operator"), "/inbox") == {"/inbox/3/replay"}
    assert presses(looks(shop, "admin", person="ada"), "/shadow") == {"/shadow/golive"}


def test_hold_mode_is_ended_by_whom_it_is_offered_to(shop: Desk) -> None:
    with shop.house.database.work() as work:
        holdmode.begin(work.session, work.now, book=shop.house.book(), now=work.now)

    assert "/resume" not in presses(looks(shop, "responder"), "/inbox")
    assert "/resume" in presses(looks(shop, "operator"), "/inbox")


def test_an_account_of_one_team_is_offered_its_own_and_reads_the_others(shop: Desk) -> None:
    client = looks(shop, "responder", "pay")

    assert "/i/INC-001/escalate" in presses(client, "/i/INC-001")
    assert presses(client, "/i/INC-002") == set()
    told = "Your account acts for pay alone. This is default's: you may read it; ask somebody of that team."
    assert told in words(client, "/i/INC-002")
    assert presses(client, "/silences") == {"/silences", "/silences/1/lift"}
    assert "ask somebody whose account acts for them" in words(client, "/silences")
    assert "/alerts/2/open" not in presses(client, "/") | presses(client, "/alerts") | presses(client, "/alerts/2")
    listed = re.findall(r'<option value="([^"]*)"', client.get("/declare").get_data(as_text=True))
    assert listed == ["checkout"]


def test_only_the_commander_is_offered_the_stand_down_and_others_take_command_first(shop: Desk) -> None:
    shop.does("acknowledge", by="ben")
    shop.does("resolve", by="ben")
    cy, ben = looks(shop, "responder"), looks(shop, "responder", person="ben")
    shop.news()

    assert "/i/INC-001/stand_down" in presses(ben, "/i/INC-001")
    assert "/i/INC-001/stand_down" not in presses(cy, "/i/INC-001")
    read = words(cy, "/i/INC-001")
    assert "Nothing for you to do now" in read
    assert (
        "Ben commands, and only the commander stands the team down. Where they can't, take command and do it." in read
    )
    assert "Stand the team down: Only the commander can. Ben commands: take command first." in read
    csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', cy.get("/i/INC-001").get_data(as_text=True))
    assert csrf
    taken = cy.post("/i/INC-001/role", data={"csrf": csrf[1], "role": "commander", "person": "cy"})
    assert taken.status_code == 303
    assert "/i/INC-001/stand_down" in presses(cy, "/i/INC-001")
    assert cy.post("/i/INC-001/stand_down", data={"csrf": csrf[1]}).status_code == 303
    shop.settle()
    shop.news()


@pytest.mark.parametrize("role", permissions.ROLES)
@pytest.mark.parametrize("teams", [(), ("pay",)])
def test_what_is_lacking_is_what_would_be_refused(role: str, teams: tuple[str, ...]) -> None:
    by = Actor("cy", "Cy", "console", role, teams)
    needed = {**permissions.NEEDS, **{name: verb.needs for name, verb in VERBS.items()}}
    for what, needs in needed.items():
        for team in ("pay", "default"):
            lack = permissions.lack(by, what, [team], needs=needs)
            assert (lack["code"] if lack else "") == refusal(by, what, team, needs)
            assert lack is None or lack["needs"] == needs


def refusal(by: Actor, what: str, team: str, needs: str) -> str:
    try:
        permissions.allows(by, what, team, needs=needs)
    except NotAllowed as refused:
        return refused.code
    return ""
