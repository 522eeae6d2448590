"""PagerDuty as a timeline: its rota and phones ring, and what is done on either side is known on the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from incidents import claims, tables
from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.pagerduty import ROUTING_KEY, WEBHOOK_SECRET, FakePagerDuty, signed

NAME = "127.0.0.1:8080/INC-001/r1"
ON_THE_ROTA = "{channel: rota, address: "
ROTA = CAST.replace('{channel: phone, address: "URL/ada", for: [page, tell]}', f"{ON_THE_ROTA}PADA}}").replace(
    '[{channel: phone, address: "URL/ben"',
    f'[{ON_THE_ROTA}ben@example.org}}, {{channel: phone, address: "URL/ben"',
)


@pytest.fixture
def rota(open_desk: OpenDesk, pagerduty: FakePagerDuty) -> Desk:
    """Ada is reached by PagerDuty alone; Ben by PagerDuty, and told by phone."""
    channel = f'{{kind: pagerduty, token: "{ROUTING_KEY}", secret: "{WEBHOOK_SECRET}", url: "{pagerduty.url}"}}'
    return open_desk(ROTA.replace("channels: {", f"channels: {{rota: {channel}, "))


def tell(desk: Desk, body: bytes, *, expect: int = 200, secret: str = WEBHOOK_SECRET) -> None:
    answer = desk.client.post("/hooks/pagerduty", data=body, headers=signed(body, secret))
    assert answer.status_code == expect, answer.data
    desk.settle()


def test_a_page_triggers_and_taking_it_here_acknowledges_and_resolving_it_here_resolves(
    rota: Desk, pagerduty: FakePagerDuty
) -> None:
    rota.alertmanager_says("firing")
    assert pagerduty.status == {NAME: "triggered"}
    assert pagerduty.events[0]["payload"]["severity"] == "critical"

    rota.does("acknowledge", by="cy")
    assert pagerduty.status == {NAME: "acknowledged"}
    rota.does("resolve")
    rota.does("stand-down", by="cy")

    assert pagerduty.status == {NAME: "resolved"}
    assert pagerduty.opened == 1
    assert pagerduty.actions == ["trigger", "acknowledge", "resolve", "resolve"]
    rota.news()


def test_who_acknowledges_there_has_it_here_and_nothing_is_echoed(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    tell(rota, pagerduty.tells("acknowledged", NAME))

    assert rota.incident()["taken_by"] == {"id": "ada", "name": "Ada"}
    assert rota.audience("oncall")["heard_at"]
    assert pagerduty.actions == ["trigger"]
    rota.news()


def test_an_unknown_user_who_acknowledges_has_it_by_the_name_they_gave(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    tell(rota, pagerduty.tells("acknowledged", NAME, agent="PSOMEBODY"))

    assert "Ada Example (PagerDuty) has it. Escalation has stopped." in rota.timeline()
    assert rota.audience("oncall")["heard_at"] is None, "nobody of the policy has heard: they are told who has it"
    assert ("handed", "ben") in rota.heard()
    rota.news()


def test_a_user_is_known_by_their_address_too(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    who = {"id": "PX", "type": "user", "summary": "B", "email": "Ben@Example.org"}
    tell(rota, pagerduty.tells("acknowledged", NAME, agent=who))

    assert rota.incident()["taken_by"]["id"] == "ben"
    rota.news()


def test_resolving_it_there_resolves_it_here_by_the_same_person(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    tell(rota, pagerduty.tells("acknowledged", NAME, id_="01A"))
    tell(rota, pagerduty.tells("resolved", NAME, id_="01R"))

    assert rota.incident()["status"] == "resolved"
    assert "Ada resolved it." in rota.timeline()
    assert pagerduty.actions == ["trigger"], "what came from there does not go back"
    rota.news()


def test_giving_it_to_somebody_there_offers_them_command_here(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    tell(rota, pagerduty.tells("acknowledged", NAME, id_="01A"))
    tell(rota, pagerduty.tells("reassigned", NAME, id_="01B", assignee="ben@example.org"))
    assert rota.incident()["taken_by"]["id"] == "ada", "a hat that somebody wears is handed over by two"

    ben = {"id": "PX", "type": "user", "summary": "B", "email": "ben@example.org"}
    tell(rota, pagerduty.tells("acknowledged", NAME, id_="01D", agent=ben))
    assert rota.incident()["taken_by"]["id"] == "ben"
    tell(rota, pagerduty.tells("reassigned", NAME, id_="01C", assignee="PNOBODY"))
    assert rota.incident()["taken_by"]["id"] == "ben"
    rota.news()


def test_a_webhook_that_is_repeated_counts_once(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    for _ in range(3):
        tell(rota, pagerduty.tells("acknowledged", NAME))

    assert rota.kinds().count("acknowledged") == 1
    rota.does("decline", by="ada")  # a new round: an old event that comes again takes nothing back
    tell(rota, pagerduty.tells("acknowledged", NAME))
    tell(rota, pagerduty.tells("acknowledged", NAME, id_="a later event about the old round"))
    assert rota.incident()["taken_by"] is None
    rota.news()


def test_a_new_round_is_a_new_incident_there_and_ends_the_old_one(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    rota.does("acknowledge", by="cy")
    rota.does("decline", by="cy")

    assert pagerduty.status == {NAME: "resolved", NAME.replace("r1", "r2"): "triggered"}
    rota.news()


def test_what_no_person_did_there_changes_nothing_here(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    ours = {"id": "PS1", "type": "service_reference", "summary": "Firedoor"}
    for n, agent in enumerate((ours, None)):
        tell(rota, pagerduty.tells("resolved", NAME, id_=f"0{n}", agent=agent))
    tell(rota, pagerduty.tells("acknowledged", "another.site/INC-001/r1"))
    tell(rota, pagerduty.tells("acknowledged", "127.0.0.1:8080/INC-404/r1"))
    tell(rota, pagerduty.tells("unacknowledged", NAME))
    tell(rota, b'{"event": 7}')

    facts = rota.incident()
    assert (facts["status"], facts["taken_by"]) == ("active", None)
    rota.news()


def test_a_webhook_is_believed_by_any_of_its_signatures_and_by_none_else(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    body = pagerduty.tells("acknowledged", NAME)
    for headers in ({}, signed(body, "another"), {"X-PagerDuty-Signature": "v0=" + "0" * 64}):
        answer = rota.client.post("/hooks/pagerduty", data=body, headers=headers)
        assert answer.status_code == 401
    assert rota.incident()["taken_by"] is None

    both = signed(body, "the old secret", WEBHOOK_SECRET)
    assert rota.client.post("/hooks/pagerduty", data=body, headers=both).status_code == 200
    assert rota.incident()["taken_by"]["id"] == "ada"
    rota.settle()
    rota.news()


def test_a_tell_never_rings_there(rota: Desk, pagerduty: FakePagerDuty) -> None:
    rota.alertmanager_says("firing")
    assert ("tell", "ben") in rota.heard(), "by phone"
    assert pagerduty.actions == ["trigger"]


def test_an_event_that_may_have_arrived_is_ended_there_too(rota: Desk, pagerduty: FakePagerDuty) -> None:
    pagerduty.trouble.deaf = True
    rota.alertmanager_says("firing")
    rota.does("acknowledge", by="cy")
    pagerduty.trouble.deaf = False
    rota.forward(minutes=2)

    assert pagerduty.status == {NAME: "acknowledged"}
    with rota.house.database.read() as work:
        p = tables.promise
        states = work.session.execute(select(p.c.state).where(p.c.kind == "update")).scalars().all()
    assert states == ["kept"]
    rota.news()


def test_a_page_that_a_dying_worker_took_with_it_is_ended_there_too(rota: Desk, pagerduty: FakePagerDuty) -> None:
    pagerduty.trouble.faults = [(429, {"Retry-After": "10"}, b"")]
    rota.alertmanager_says("firing")
    rota.clock.forward(timedelta(seconds=10))
    with rota.house.database.work() as work:
        lease = timedelta(seconds=20)
        [row] = claims.claim(work.session, now=work.now, lease=lease, lane="page", kinds=["page"])
    with rota.house.database.read() as work:
        prepare = rota.house.keeper.kinds["page"].prepare
        assert prepare is not None
        prepared: Any = prepare(work.session, row, rota.house.book(), work.now)
    assert rota.house.sender(prepared, row, 2).result == "yes"  # and then the worker is gone
    assert pagerduty.status == {NAME: "triggered"}

    rota.does("acknowledge", by="cy")
    assert pagerduty.status == {NAME: "acknowledged"}
    with rota.house.database.work() as work:
        claims.free_expired(work.session, now=work.now + lease)
    rota.forward(minutes=1)

    assert pagerduty.status == {NAME: "acknowledged"}
    assert pagerduty.opened == 1
    rota.news()


def test_a_merge_ends_one_incident_there_and_hands_the_other_to_who_had_it(
    rota: Desk, pagerduty: FakePagerDuty
) -> None:
    rota.alertmanager_says("firing")
    rota.alertmanager_says("firing", labels={"alertname": "QueueStuck", "service": "mail", "severity": "critical"})
    rota.forward(minutes=1)
    other = NAME.replace("001", "002")
    assert pagerduty.status == {NAME: "triggered", other: "triggered"}
    rota.does("acknowledge", incident="INC-002", by="cy")
    rota.does("merge", incident="INC-002", into="INC-001", by="cy")

    assert rota.incident()["taken_by"]["id"] == "cy"
    assert pagerduty.status == {NAME: "acknowledged", other: "resolved"}
    rota.news()
