"""Somebody edits the policy or a runbook while it runs: a slip changes nothing, is told everywhere, and is mended."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from firedoor.web import create_app
from incidents import tables
from ports.tokens import hash_token, new_token
from tests.fixtures.desk import CAST, P0_RUNBOOK, Desk, OpenDesk

SHOP_DOWN = {"alertname": "ShopDown"}


def edit(desk: Desk, before: str, after: str) -> None:
    path = desk.house.settings.policy_path
    assert path is not None
    save(desk, path, path.read_text().replace(before, after))


def save(desk: Desk, path: Path, text: str) -> None:
    path.write_text(text)
    desk.forward(seconds=1)


def signed_in(desk: Desk) -> Any:
    """A browser of Ada's."""
    token = new_token()
    with desk.house.database.work() as work:
        values = {"kind": "signin", "token_hash": hash_token(token), "person": "ada", "created_at": work.now}
        work.session.execute(tables.credential.insert().values(**values))
    client = create_app(desk.house).test_client()
    assert client.post("/signin", data={"token": token}).status_code == 303
    return client


def readyz(desk: Desk) -> Any:
    return create_app(desk.house).test_client().get("/readyz").get_json()["parts"]["policy"]


@pytest.mark.expects_errors("book.refused")
def test_a_policy_saved_with_a_slip_stays_out_of_force_and_every_page_says_so(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    browser = signed_in(desk)
    assert readyz(desk)["ok"]

    with caplog.at_level(logging.ERROR):
        edit(desk, "oncall: [ada, ben]", "oncal: [ben]")

    desk.alertmanager_says()
    assert ("page", "ada") in desk.heard(), "the policy before is in force"
    for page in ("/", "/alerts", "/people", "/declare", "/i/INC-001", "/alerts/1"):
        shown = browser.get(page).get_data(as_text=True)
        assert "is refused. The version before stays in force" in shown, page
        assert "firedoor.yaml:11: " in shown, page
    assert "is refused" not in desk.client.get(desk.links["ada"]).get_data(as_text=True), "it is no affair of a link"
    told = readyz(desk)
    assert not told["ok"]
    assert "firedoor.yaml:11" in told["reason"]
    assert "oncal" not in told["reason"], "whoever asks reads where, and nothing of the file"
    assert "firedoor_policy_faults 1\n" in desk.client.get("/metrics").get_data(as_text=True)
    assert "book.refused" in caplog.text

    edit(desk, "oncal: [ben]", "oncall: [ben]")

    assert "is refused" not in browser.get("/").get_data(as_text=True)
    assert "firedoor_policy_faults 0\n" in desk.client.get("/metrics").get_data(as_text=True)
    assert readyz(desk) == {"ok": True, "reason": "The policy and the runbooks are as they were saved."}
    desk.alertmanager_says(labels={"alertname": "DBConnectionErrors", "app": "webapp-prod", "service": "webapp-prod"})
    desk.news()


@pytest.mark.expects_errors("book.refused")
def test_a_runbook_saved_with_a_slip_still_opens_as_it_did(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"shop-down": P0_RUNBOOK})
    path = desk.house.settings.runbooks_path / "shop-down.md"

    save(desk, path, P0_RUNBOOK.replace("severity: P0", "severty: P0"))
    desk.alertmanager_says(labels=SHOP_DOWN)

    assert desk.incident()["severity"] == "P0"
    assert "shop-down.md:4: " in signed_in(desk).get("/").get_data(as_text=True)
    assert "shop-down.md:4" in readyz(desk)["reason"]

    save(desk, path, P0_RUNBOOK.replace("severity: P0", "severity: P1"))
    assert readyz(desk)["ok"]
    assert desk.house.book().runbooks.get("shop-down").severity == "P1"  # type: ignore[union-attr]
    desk.news()


@pytest.mark.expects_errors("book.refused")
@pytest.mark.parametrize(("good", "slip"), [("severity: P0", "severity: p0"), ("page: tech_lead", "page: dbas")])
def test_a_name_that_the_policy_does_not_know_neither_disarms_a_good_runbook_nor_loses_a_delivery(
    open_desk: OpenDesk, good: str, slip: str
) -> None:
    desk = open_desk(CAST, runbooks={"shop-down": P0_RUNBOOK})
    path = desk.house.settings.runbooks_path / "shop-down.md"

    save(desk, path, P0_RUNBOOK.replace(good, slip))
    desk.alertmanager_says(labels=SHOP_DOWN)

    assert desk.incident()["severity"] == "P0"
    assert desk.incident()["runbook"]["name"] == "shop-down"
    assert "which the policy does not know" in signed_in(desk).get("/").get_data(as_text=True)
    assert not readyz(desk)["ok"]
    desk.news()


def test_a_runbook_of_an_unknown_severity_is_not_armed_and_its_alert_goes_by_its_mapping(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"shop-down": P0_RUNBOOK.replace("severity: P0", "severity: SEV1")})
    assert not desk.house.book().runbooks.get("shop-down").armed  # type: ignore[union-attr]

    desk.alertmanager_says(labels={**SHOP_DOWN, "severity": "critical"})

    assert desk.incident()["severity"] == "P1"
    assert [one["title"] for one in desk.incidents()] == ["ShopDown is wrong"], (
        "and nobody is told of an unreadable delivery"
    )
    desk.forward(minutes=1)
    desk.news()


def test_a_policy_that_gives_up_a_role_disarms_what_names_it(open_desk: OpenDesk) -> None:
    desk = open_desk(
        CAST, more="services: {}\n", runbooks={"shop-down": P0_RUNBOOK.replace("page: tech_lead", "page: pets")}
    )
    assert not desk.house.book().runbooks.get("shop-down").armed  # type: ignore[union-attr]

    edit(desk, "tech_lead: [cy]", "tech_lead: [cy], pets: [cy]")
    assert desk.house.book().runbooks.get("shop-down").armed  # type: ignore[union-attr]
    edit(desk, ", pets: [cy]", "")
    assert not desk.house.book().runbooks.get("shop-down").armed  # type: ignore[union-attr]


@pytest.mark.expects_errors("book.refused")
def test_a_new_runbook_with_a_fault_is_no_refusal_it_is_only_not_armed(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, runbooks={"shop-down": P0_RUNBOOK})

    save(desk, desk.house.settings.runbooks_path / "other.md", P0_RUNBOOK.replace("severity: P0", "severty: P0"))

    assert readyz(desk)["ok"]
    assert not desk.house.book().runbooks.get("other").armed  # type: ignore[union-attr]
