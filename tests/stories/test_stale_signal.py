"""An alert that goes quiet is asked after at the Alertmanager that sent it, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.fixtures.alertmanager import Alertmanager
from tests.fixtures.desk import CAST, DATABASE_DOWN, Desk, OpenDesk
from tests.fixtures.waiting import eventually

CONFIG = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


@pytest.fixture
def sender(alertmanager: Callable[..., Alertmanager]) -> Alertmanager:
    """A real Alertmanager that sends to nobody."""
    return alertmanager(CONFIG)


@pytest.fixture
def asking_desk(open_desk: OpenDesk, sender: Alertmanager) -> Desk:
    """A desk whose policy knows the sender's address."""
    return open_desk(CAST + f"sources: {{alertmanager: {{kind: alertmanager, url: '{sender.url}'}}}}\n")


def fires_at(sender: Alertmanager) -> None:
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    sender.post([{"labels": DATABASE_DOWN, "endsAt": ends_at}])
    eventually(lambda: alerts_of(sender), 10, "the alert is there")


def alerts_of(sender: Alertmanager) -> list[dict[str, Any]]:
    alerts: list[dict[str, Any]] = requests.get(f"{sender.url}/api/v2/alerts", timeout=5).json()
    return alerts


def goes_quiet(desk: Desk) -> None:
    """It fires once, somebody has it, and then nothing more is heard for twice the repeat interval."""
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(hours=2)
    desk.news()


def test_an_alert_that_is_silenced_at_its_sender_is_said_to_be(asking_desk: Desk, sender: Alertmanager) -> None:
    fires_at(sender)
    silence = {
        "matchers": [{"name": "alertname", "value": DATABASE_DOWN["alertname"], "isRegex": False, "isEqual": True}],
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "createdBy": "Ben",
        "comment": "we know",
    }
    assert requests.post(f"{sender.url}/api/v2/silences", json=silence, timeout=5).status_code == 200
    eventually(lambda: alerts_of(sender)[0]["status"]["state"] == "suppressed", 10, "it is silenced")

    goes_quiet(asking_desk)

    assert any("is silenced there, and still fires" in line for line in asking_desk.timeline())
    assert asking_desk.incident()["stale_at"] is not None


def test_an_alert_that_still_fires_at_its_sender_is_not_stale(asking_desk: Desk, sender: Alertmanager) -> None:
    fires_at(sender)

    goes_quiet(asking_desk)

    assert asking_desk.incident()["stale_at"] is None


def test_an_alert_that_its_sender_knows_no_more_is_left_to_a_person(asking_desk: Desk) -> None:
    goes_quiet(asking_desk)

    assert any("knows DBConnectionErrors is wrong no more" in line for line in asking_desk.timeline())
    assert asking_desk.incident()["status"] == "active"


def test_a_sender_that_cannot_be_reached_is_written_down(asking_desk: Desk, sender: Alertmanager) -> None:
    sender.stop()

    goes_quiet(asking_desk)
    asking_desk.forward(minutes=15)
    asking_desk.news()

    assert any("could not be asked" in line for line in asking_desk.timeline())
