"""What was deployed just before: told by the pipeline, named as the suspect on page, incident and timeline."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from incidents import tables
from ports.tokens import hash_token, new_token
from tests.fixtures.desk import CAST, START, Desk, OpenDesk

ERRORS = {"alertname": "CheckoutErrors", "service": "checkout", "severity": "critical"}
SERVICES = """
services:
  checkout: {team: default, depends_on: [payments]}
  payments: {team: default}
  mail: {team: default}
"""


@pytest.fixture
def shop(open_desk: OpenDesk) -> Desk:
    """Checkout needs payments; mail stands alone."""
    return open_desk(CAST, more=SERVICES)


def ago(**span: float) -> str:
    return (START - timedelta(**span)).isoformat()


def errors(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=ERRORS)
    desk.forward(seconds=60)


def test_the_page_and_the_incident_say_what_was_deployed_before(shop: Desk) -> None:
    shop.deploys("checkout", "v42", at=ago(minutes=22), by="Grace", commit="a1b2c3d", link="https://ci.example.com/42")

    errors(shop)

    pages = [said for said in shop.news() if said.purpose == "page"]
    assert all("deploy v42 to checkout 22 min before by Grace" in page.text for page in pages)
    assert len(pages) == 2
    (change,) = shop.incident()["changes"]
    assert change["said"] == "deploy v42 to checkout 22 min before"
    assert (change["suspect"], change["minutes_before"], change["by"]) == (True, 22, "Grace")
    assert (change["commit"], change["link"]) == ("a1b2c3d", "https://ci.example.com/42")
    assert (
        "Suspect: deploy v42 to checkout 22 min before by Grace. It is the newest change before this began."
        in shop.timeline()
    )


def test_the_newest_change_is_the_suspect_and_one_of_a_service_that_is_needed_counts(shop: Desk) -> None:
    shop.deploys("checkout", "v42", at=ago(minutes=90))
    shop.deploys("payments", "v7", at=ago(minutes=5))
    shop.deploys("mail", "v3", at=ago(minutes=1))
    shop.deploys("checkout", "v41", at=ago(hours=3))

    errors(shop)

    changes = [(one["said"], one["suspect"]) for one in shop.incident()["changes"]]
    assert changes == [
        ("deploy v7 to payments 5 min before", True),
        ("deploy v42 to checkout 1 h 30 min before", False),
    ]
    shop.news()


def test_a_deploy_that_is_told_late_is_still_named(shop: Desk) -> None:
    errors(shop)
    shop.deploys("checkout", "v42", at=ago(minutes=3))

    assert shop.kinds().count("suspect") == 1
    assert shop.incident()["changes"][0]["suspect"] is True
    shop.news()


def test_a_deploy_after_it_began_is_shown_and_not_suspected(shop: Desk) -> None:
    errors(shop)
    shop.forward(minutes=10)
    shop.deploys("checkout", "v43")

    (change,) = shop.incident()["changes"]
    assert (change["said"], change["suspect"]) == ("deploy v43 to checkout 11 min after it began", False)
    assert "suspect" not in shop.kinds()
    shop.news()


def test_a_delivery_with_a_number_is_kept_once(shop: Desk) -> None:
    for _ in range(2):
        shop.deploys("checkout", "v42", key="run-4711")
    shop.deploys("checkout", "v42", key="run-4712")

    with shop.house.database.read() as work:
        assert work.session.execute(select(func.count()).select_from(tables.change)).scalar_one() == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"version": "v42"}, "`service` is missing."),
        ({"service": 7}, "`service` must be a text."),
        ({"service": "checkout", "at": "yesterday"}, "`at` must be a time such as 2026-11-21T14:15:00Z."),
        ({"service": "checkout", "link": "javascript:alert(1)"}, "`link` must begin with https:// or http://."),
        ({"service": "checkout", "sha": "a1b2"}, "`sha` is not a field here."),
        ({"service": "x" * 201}, "`service` must be one line of at most 200 characters."),
        ([], "The body is not a JSON object"),
    ],
)
def test_a_body_that_is_wrong_is_refused_with_the_name_of_its_field(desk: Desk, body: object, said: str) -> None:
    answer = desk.hook("deploys/generic", json.dumps(body), expect=400)

    assert said in answer.get_data(as_text=True)
    assert "Nothing was stored" in answer.get_data(as_text=True)


def test_the_console_shows_the_suspect(shop: Desk) -> None:
    shop.deploys("checkout", "v42", at=ago(minutes=22), link="https://ci.example.com/42")
    errors(shop)
    token = new_token()
    with shop.house.database.work() as work:
        values = {"kind": "session", "token_hash": hash_token(token), "person": "ada", "created_at": work.now}
        work.session.execute(tables.credential.insert().values(**values))
    shop.client.set_cookie("firedoor", token)

    page = shop.client.get("/i/INC-001").get_data(as_text=True)

    assert "deploy v42 to checkout 22 min before" in page
    assert 'href="https://ci.example.com/42"' in page
    shop.news()
