"""What the pages of the console say, asked for over HTTP: the facts of the moment, and no secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from firedoor.web import create_app
from incidents import tables
from ports.tokens import hash_token, new_token
from tests.fixtures.desk import CAST, Desk, OpenDesk

CHECKOUT = {"alertname": "CheckoutErrorRateHigh", "service": "checkout", "severity": "critical", "env": "prod"}
QUEUE = {"alertname": "QueueGrows", "service": "mailer", "severity": "warning"}
TWO_TEAMS = """
services: {checkout: {name: The checkout, team: pay}, blog: {name: The blog}}
"""


@pytest.fixture
def desk(open_desk: OpenDesk) -> Iterator[Desk]:
    desk = open_desk()
    yield desk
    desk.news()


def signed_in(desk: Desk) -> FlaskClient:
    token = new_token()
    with desk.house.database.work() as work:
        values = {"kind": "signin", "token_hash": hash_token(token), "person": "ada", "created_at": work.now}
        work.session.execute(insert(tables.credential).values(**values))
    client = create_app(desk.house).test_client()
    assert client.post("/signin", data={"token": token}).status_code == 303
    return client


def words(client: FlaskClient, path: str) -> str:
    """A page as one reads it."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    main = answer.get_data(as_text=True).partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", main)))


def csrf_of(client: FlaskClient) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/").get_data(as_text=True))
    assert found
    return found[1]


def test_who_would_be_paged_is_said_for_each_service_and_severity(open_desk: OpenDesk) -> None:
    policy = CAST.replace("teams:\n", "teams:\n  pay: {name: Payments, roles: {oncall: [ben], tech_lead: []}}\n")
    desk = open_desk(policy + TWO_TEAMS)
    read = signed_in(desk).get("/people").get_data(as_text=True)
    rows = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)) for row in read.split("<tr>")]

    checkout = next(row for row in rows if "The checkout" in row)
    assert "Payments" in checkout
    assert "Ben" in checkout
    assert "Ada" not in checkout
    assert "Payments has nobody as tech lead" in words(signed_in(desk), "/people"), "a gap is said before it hurts"
    assert "Nobody would be paged" in words(signed_in(desk), "/")
    desk.news()


def test_the_severity_table_says_who_each_audience_is_right_now(desk: Desk) -> None:
    read = words(signed_in(desk), "/severities")

    assert "leadership told within 30 min Lea" in read
    assert "tech lead paged within 5 min Cy" in read
    assert "acknowledge within 15 min" in read


def test_a_pasted_payload_is_tried_and_nothing_is_stored(desk: Desk) -> None:
    client = signed_in(desk)
    payload = json.dumps(
        {"version": "4", "status": "firing", "alerts": [{"status": "firing", "labels": CHECKOUT, "annotations": {}}]}
    )

    answer = client.post("/runbooks", data={"csrf": csrf_of(client), "source": "alertmanager", "payload": payload})

    read = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "It would open an incident, and page at once." in read
    assert "Checkout returns too many errors" in read
    assert desk.alerts() == []


@pytest.mark.parametrize(("source", "payload"), [("alertmanager", "{"), ("alertmanager", "[]"), ("nobody", "{}")])
def test_a_payload_that_nobody_reads_is_refused_and_kept(desk: Desk, source: str, payload: str) -> None:
    client = signed_in(desk)

    answer = client.post("/runbooks", data={"csrf": csrf_of(client), "source": source, "payload": payload})

    assert answer.status_code == 422
    assert f"{payload}</textarea>" in answer.get_data(as_text=True)


def test_the_library_says_what_was_used(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    desk.forward(minutes=4)

    assert re.search(
        r"Checkout returns too many errors .{0,200} 1 time, last 4 min ago", words(signed_in(desk), "/runbooks")
    )


def test_the_policy_is_shown_without_its_secrets(desk: Desk) -> None:
    read = words(signed_in(desk), "/policy")

    assert "tech_lead: [cy]" in read
    assert desk.house.book().policy.channels["phone"].secret is not None
    assert desk.house.book().policy.channels["phone"].secret.get_secret_value() not in read
    assert "/ada" not in read, "the path of a receiver may be its secret"


@pytest.mark.expects_errors("book.refused")
def test_a_fault_of_the_policy_stands_at_its_line(desk: Desk) -> None:
    path = desk.house.settings.policy_path
    assert path is not None
    path.write_text(path.read_text().replace("oncall: [ada, ben]", "oncal: [ben], oncall: nobody_known"))
    desk.house.shelf._looked_at -= 2

    read = signed_in(desk).get("/policy").get_data(as_text=True)

    assert 'href="#L' in read
    assert re.search(r'<li id="L\d+" class="faulty">', read)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["INC-002", "INC-001"]),
        ("q=check", ["INC-001"]),
        ("q=inc-002", ["INC-002"]),
        ("severity=P1", ["INC-002", "INC-001"]),
        ("severity=P0", []),
        ("service=search", ["INC-002"]),
        ("status=ended", []),
        ("status=nonsense", ["INC-002", "INC-001"]),
        ("since=2020-01-01", ["INC-002", "INC-001"]),
        ("until=2020-01-01", []),
        ("since=yesterday&until=%00", ["INC-002", "INC-001"]),
        ("cursor=2", ["INC-001"]),
        ("cursor=%27;--", ["INC-002", "INC-001"]),
        ("q=%25", []),
    ],
)
def test_incidents_are_found_by_their_facts(desk: Desk, asked: str, found: list[str]) -> None:
    desk.alertmanager_says(labels=CHECKOUT, annotations={"summary": "Checkouts fail"})
    desk.alertmanager_says(labels={"alertname": "DiskFills", "service": "search", "severity": "critical"})

    read = words(signed_in(desk), f"/search?{asked}")

    assert list(dict.fromkeys(re.findall(r"INC-\d+", read))) == found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/alerts?cursor=abc", 200), ("/alerts?cursor=5", 200), ("/inbox?cursor=%C2%B2", 200), ("/audit?cursor=x", 200),
        ("/i/%C2%B2", 404), ("/i/99999999999999999999", 404), ("/silences?alert=%D9%A3", 200),
    ],
)  # fmt: skip
def test_nonsense_in_an_address_is_no_fault_of_ours(desk: Desk, path: str, status: int) -> None:
    assert signed_in(desk).get(path).status_code == status


def test_the_open_incidents_of_a_search_go_on_on_a_second_page(desk: Desk) -> None:
    for n in range(51):
        desk.api("POST", "/incidents", expect=201, title=f"Number {n}", severity="P3")
    desk.news()
    client = signed_in(desk)
    first = client.get("/search?status=open").get_data(as_text=True)
    further = re.search(r'href="(/search\?[^"]*cursor=[^"]*)"', first)
    assert further

    second = client.get(unescape(further[1])).get_data(as_text=True)
    found = {one for page in (first, second) for one in re.findall(r'href="/i/(INC-\d+)"', page)}
    assert len(found) == 51


def test_the_hats_of_a_live_page_offer_the_same_person_as_the_page(desk: Desk) -> None:
    desk.alertmanager_says()
    desk.news()
    page = signed_in(desk).get("/i/INC-001").get_data(as_text=True)
    chosen = re.search(r'<select id="person" name="person">(.*?)</select>', page)
    assert chosen
    assert chosen[1].startswith('<option value="">myself</option>')
    assert "selected" not in chosen[1], "a stream renders for many, and would choose another"


def test_health_says_what_waits_what_got_through_and_who_spoke(desk: Desk) -> None:
    desk.alertmanager_says(labels=CHECKOUT)
    desk.forward(minutes=2)

    read = words(signed_in(desk), "/health")

    assert re.search(r"phone webhook \d+ (s|min) ago never", read)
    assert re.search(r"alertmanager 2 min ago 1", read)
    assert "No clock has worked lately" in read
    assert "nothing waits" in read


def test_a_quiet_wall_says_who_is_on_call(desk: Desk) -> None:
    client = signed_in(desk)
    read = client.get("/wall").get_data(as_text=True)
    assert "No open incidents." in read
    assert "<b>Ada</b>" in read

    desk.alertmanager_says(labels=CHECKOUT, annotations={"summary": "Checkouts fail"})
    read = client.get("/wall").get_data(as_text=True)
    assert "<title>(1 · P1) Wallboard" in read
    assert "nobody has it" in read


def test_every_page_says_in_its_title_how_many_are_open_and_the_worst(desk: Desk) -> None:
    client = signed_in(desk)
    assert "<title>Alerts" in client.get("/alerts").get_data(as_text=True)

    desk.alertmanager_says(labels=CHECKOUT)

    read = client.get("/alerts").get_data(as_text=True)
    assert "<title>(1 · P1) Alerts" in read
    assert "icon-P1.svg" in read


def header_of(client: FlaskClient) -> str:
    page = client.get("/i/INC-001").get_data(as_text=True)
    found = re.search(r'<section class="head.*?</section>', page, re.DOTALL)
    assert found
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", found[0])))


def test_a_press_by_a_link_looks_like_one_until_its_person_does_something_here(desk: Desk) -> None:
    client = signed_in(desk)
    desk.alertmanager_says("firing", labels=CHECKOUT)
    desk.press("ada", "acknowledge")

    assert "Ada has it. Escalation has stopped. by the link sent to Ada" in words(client, "/i/INC-001")
    assert re.search(r"Ada has it since 14:37 +by the link sent to Ada", header_of(client))
    assert desk.incident()["header"]["taken_via"] == "link"

    desk.does("notes", text="I am at my desk")
    assert "Ada has it. Escalation has stopped. by the link sent to Ada" in words(client, "/i/INC-001")
    assert "by the link" not in header_of(client)
    assert desk.incident()["header"]["taken_via"] == ""


def test_a_press_in_the_console_says_nothing_of_links(desk: Desk) -> None:
    client = signed_in(desk)
    desk.alertmanager_says("firing", labels=CHECKOUT)
    client.post("/i/INC-001/acknowledge", data={"csrf": csrf_of(client)})

    assert "Ada has it since" in header_of(client)
    assert "by the link" not in header_of(client) + words(client, "/i/INC-001")


def test_what_the_engine_is_late_with_stays_on_top_of_the_timers(desk: Desk) -> None:
    client = signed_in(desk)
    desk.alertmanager_says("firing", labels=CHECKOUT)
    began = desk.clock.now()
    assert "pages Ben" in words(client, "/i/INC-001")

    desk.clock.set(began + timedelta(minutes=4, seconds=3))  # and no clock of Firedoor's keeps anything
    assert "pages Ben" not in words(client, "/i/INC-001"), "it is only about to leave"

    desk.clock.set(began + timedelta(minutes=4, seconds=40))
    timers = words(client, "/i/INC-001").partition("Timers")[2]
    assert timers.index("40 s late pages Ben") < timers.index(" in ")
    assert "pages Ben 40 s late" in words(client, "/")
    assert {"what": "pages Ben", "overdue": True}.items() <= desk.incident()["deadlines"][0].items()

    assert "pages Ben" not in words(client, "/i/INC-001")


def test_an_audience_that_did_not_hear_is_overdue_once(desk: Desk) -> None:
    client = signed_in(desk)
    desk.alertmanager_says("firing", labels=CHECKOUT)
    desk.clock.set(desk.clock.now() + timedelta(minutes=5, seconds=40))

    timers = words(client, "/i/INC-001").partition("Timers")[2].partition("Steps")[0]
    assert timers.count("has not heard") == 2
    assert "must have heard" not in timers.partition(" in ")[0]


def test_a_time_can_be_read_in_full_without_hovering(desk: Desk) -> None:
    client = signed_in(desk)
    desk.alertmanager_says("firing", labels=CHECKOUT)
    client.set_cookie("firedoor-zone", "Asia/Tokyo")
    page = client.get("/i/INC-001").get_data(as_text=True)
    entry = re.search(r'href="(/i/INC-001\?entry=\d+)#t\d+"', page)
    assert entry

    assert "since 23:37 (UTC+9) / 14:37Z" in header_of(client)
    assert "2026-11-21T14:37:00.000Z" not in words(client, "/i/INC-001")
    assert words(client, entry[1]).count("2026-11-21T14:37:00.000Z") == 1
