"""Accounts in a response: who may press what, whose incidents are whose, and the line that each press leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from incidents import auditlog, tables
from tests.fixtures.desk import CAST, Desk, OpenDesk, add_token

TWO_TEAMS = CAST.replace(
    "roles: {leadership",
    "services: {checkout: {team: pay}, webapp-prod: {team: default}}\nroles: {leadership",
).replace(
    "teams:\n", "teams:\n  pay: {name: Payments, roles: {oncall: [ben], tech_lead: [cy], product_owner: [pia]}}\n"
)


def asks(desk: Desk, token: str, method: str, path: str, *, expect: int, **body: Any) -> Any:
    answer = desk.client.open(
        f"/api/v1{path}", method=method, json=body if method == "POST" else None,
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert answer.status_code == expect, answer.get_data(as_text=True)
    desk.settle()
    return answer.get_json()


def audited(desk: Desk) -> list[tuple[str, str, str, str, str]]:
    a = tables.audit.c
    with desk.house.database.read() as work:
        rows = work.session.execute(select(a.actor, a.door, a.what, a.subject, a.why).order_by(a.id))
        return [tuple(row) for row in rows if not row.what.startswith("account.")]


def test_a_viewer_sees_everything_and_changes_nothing(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    vic = add_token(desk.house, "pia", role="viewer")
    before = desk.incident()["version"]

    assert asks(desk, vic, "GET", "/incidents/INC-001", expect=200)["id"] == "INC-001"
    refused = asks(desk, vic, "POST", "/incidents/INC-001/acknowledge", expect=403)

    assert refused["code"] == "permission.role"
    assert "needs the role responder; yours is viewer" in refused["detail"]
    assert desk.incident()["version"] == before
    assert audited(desk) == []
    desk.news()


def test_every_verb_leaves_one_line_with_who_where_what_on_what_and_why(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    assert audited(desk) == [], "what a machine sends is recorded elsewhere"

    desk.press("ada", "acknowledge")
    desk.does("severity", severity="P2", reason="One shop only")
    desk.does("resolve", incident="INC-999", expect=404)
    desk.does("resolve", note="The pool is bigger")

    assert audited(desk) == [
        ("ada", "link", "acknowledge", "INC-001", ""),
        ("ada", "api", "severity", "INC-001", "One shop only"),
        ("ada", "api", "resolve", "INC-001", "The pool is bigger"),
    ]
    desk.house.database.alone(lambda work: auditlog.seal(work.session))
    with desk.house.database.read() as work:
        assert auditlog.verify(work.session, now=work.now).broken == ""
    desk.news()


def test_an_account_of_one_team_acts_on_its_incidents_and_reads_the_others(open_desk: OpenDesk) -> None:
    desk = open_desk(TWO_TEAMS)
    desk.alertmanager_says("firing")
    ben = add_token(desk.house, "ben", role="responder", teams=("pay",))

    assert asks(desk, ben, "GET", "/incidents/INC-001", expect=200)["team"] == "default"
    refused = asks(desk, ben, "POST", "/incidents/INC-001/acknowledge", expect=403)
    assert refused["code"] == "permission.team"
    assert "belongs to team default" in refused["detail"]
    opened = {"title": "Cards fail", "severity": "P2", "service": "checkout"}
    asks(desk, ben, "POST", "/incidents", expect=201, **opened)
    asks(desk, ben, "POST", "/incidents", expect=403, **{**opened, "service": "webapp-prod"})
    asks(desk, ben, "POST", "/incidents/INC-002/acknowledge", expect=200)
    merged = asks(desk, ben, "POST", "/incidents/INC-002/merge", expect=403, into="INC-001")
    assert merged["code"] == "permission.team", "both sides of a merge must be theirs"
    desk.news()


def test_a_silence_of_one_teams_account_mutes_no_alert_of_another_team_that_has_the_same_label(
    open_desk: OpenDesk,
) -> None:
    claimed = 'ledger: {team: pay, match: [job="mysql", cluster="pay"]}, mysql: {team: default}, '
    shop = "checkout: {team: pay, match: ['service=~\"checkout|checkout-web\"']}"
    desk = open_desk(TWO_TEAMS.replace("services: {checkout: {team: pay}", f"services: {{{claimed}{shop}"))
    lea = add_token(desk.house, "lea", role="responder", teams=("default",))
    wide = {"for": "2h", "reason": "The relay moves"}
    refused = asks(desk, lea, "POST", "/silences", expect=403, matchers=['service="checkout-web"'], **wide)
    assert refused["code"] == "permission.team", "Payments' service claims that label"

    made = asks(desk, lea, "POST", "/silences", expect=201, matchers=['service="mysql"'], **wide)
    assert made["teams"] == ["default"]
    both = {"alertname": "Down", "service": "mysql", "severity": "critical"}
    desk.alertmanager_says("firing", labels={**both, "job": "mysql", "cluster": "pay"})
    desk.alertmanager_says("firing", labels={**both, "alertname": "Slow"})
    assert {one["labels"]["alertname"]: one["decision"] for one in desk.alerts()} == {
        "Down": "open",
        "Slow": "silenced",
    }

    ben = add_token(desk.house, "ben", role="responder", teams=("pay",))
    assert asks(desk, ben, "POST", f"/silences/{made['id']}/lift", expect=403)["code"] == "permission.team"
    desk.forward(seconds=60)
    desk.news()


def test_an_account_of_one_team_silences_its_own_services_alone(open_desk: OpenDesk) -> None:
    desk = open_desk(TWO_TEAMS)
    ben = add_token(desk.house, "ben", role="responder", teams=("pay",))
    quiet = {"for": "1h", "reason": "The move"}

    asks(desk, ben, "POST", "/silences", expect=201, matchers=['service="checkout"'], **quiet)
    for matchers in (['env="prod"'], ['service="webapp-prod"'], ['service=~"checkout|webapp-prod"']):
        refused = asks(desk, ben, "POST", "/silences", expect=403, matchers=matchers, **quiet)
        assert refused["code"] == "permission.team"
    desk.api("POST", "/silences", expect=201, matchers=['env="prod"'], **quiet)
    asks(desk, ben, "POST", "/silences/2/lift", expect=403)
    asks(desk, ben, "POST", "/silences/1/lift", expect=200)

    assert [line[1:4] for line in audited(desk)] == [
        ("api", "silence", "silence 1"), ("api", "silence", "silence 2"), ("api", "lift_silence", "silence 1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("viewer", []), ("responder", []), ("operator", ["resume", "replay"]), ("admin", ["resume", "replay", "golive"])],
)
def test_what_belongs_to_the_whole_installation_needs_its_role(desk: Desk, role: str, allowed: list[str]) -> None:
    """Each is refused for its own reason where the role reaches: hold mode is off, there is no such delivery."""
    token = add_token(desk.house, "cy", role=role)
    asked = {"resume": ("/resume", {"reason": "I looked"}), "replay": ("/inbox/9/replay", {}),
             "golive": ("/shadow/golive", {"name": "x"})}  # fmt: skip

    for name, (path, body) in asked.items():
        answer = desk.client.post(f"/api/v1{path}", data=json.dumps(body), content_type="application/json",
                                  headers={"Authorization": f"Bearer {token}"})  # fmt: skip
        assert (answer.status_code == 403) is (name not in allowed), (name, answer.get_json())


def test_a_disabled_account_and_its_tokens_are_over_at_once(desk: Desk) -> None:
    from incidents import accounts
    from incidents.press import Actor

    token = add_token(desk.house, "ben")
    asks(desk, token, "GET", "/incidents", expect=200)

    by = Actor("ada", "Ada", "console", "admin", (), "ada")
    desk.house.database.alone(lambda work: accounts.disable(work.session, "ben", by=by, now=work.now))
    asks(desk, token, "GET", "/incidents", expect=401)

    desk.house.database.alone(lambda work: accounts.enable(work.session, "ben", by=by, now=work.now))
    asks(desk, token, "GET", "/incidents", expect=401)
