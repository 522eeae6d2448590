"""Everything real at once: an Alertmanager, our processes, a database of each kind, and a mail server.

Nothing sleeps: each step waits for a row, for a line of the sender's log or for a mail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Row, Table, select

from incidents import tables
from ports.clock import SystemClock
from ports.database import Database
from tests.edges.installation import Installation, processes_of, until
from tests.fixtures.alertmanager import Alertmanager
from tests.fixtures.smtp import Mailbox
from tests.fixtures.waiting import eventually

LABELS = {"alertname": "DBConnectionErrors", "service": "webapp-prod", "severity": "critical"}
CONTAIN = "restart"  # the first rung of the runbook that matches
PARTS = ("web", "worker", "clock")


@dataclass
class Scene:
    """One Firedoor in a folder of its own, and the looks at its tables that the story takes."""

    installation: Installation
    store: Database
    smtp: Mailbox

    def rows(self, table: Table) -> list[Row[Any]]:
        with self.store.read() as work:
            return list(work.session.execute(select(table).order_by(table.c.id)))

    def deliveries(self, state: str = "taken") -> list[Row[Any]]:
        return [row for row in self.rows(tables.inbox) if row.state == state]

    def incident(self) -> Row[Any]:
        (only,) = self.rows(tables.incident)
        return only

    def mails(self, word: str) -> list[EmailMessage]:
        return [mail for mail in self.smtp.messages if word in mail["Subject"]]

    def api(self, verb: str) -> requests.Response:
        token = (self.installation.folder / "var/secrets/api_token").read_text().strip()
        url = f"{self.installation.url}/api/v1/incidents/INC-001/{verb}"
        return requests.post(url, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=15)


@pytest.fixture
def scene(tmp_path: Path, database_url: str, smtp: Mailbox) -> Iterator[Scene]:
    folder = tmp_path / "installation"
    folder.mkdir()
    installation = Installation(folder, FIREDOOR_DATABASE_URL=database_url)
    installation.environ |= {"FIREDOOR_SMTP_URL": smtp.url, "FIREDOOR_MAIL_TO": "ada@example.com"}
    store = Database(database_url, SystemClock())
    yield Scene(installation, store, smtp)
    store.close()
    installation.end()
    until(lambda: not processes_of(folder), seconds=5, why=lambda: str(processes_of(folder)))


def printed_receiver(said: str, **faster: str) -> str:
    """What `up` prints to be pasted, with nothing changed but the times that the test can't wait for."""
    after = said.partition("Paste into alertmanager.yml:\n")[2]
    text = after.partition("\nFor the day when Firedoor itself is gone")[0]
    for name, value in faster.items():
        text, found = re.subn(rf"{name}: \S+", f"{name}: {value}", text)
        assert found == 1, f"{name} is not in what was printed"
    assert "send_resolved: true" in text
    return text


def alert(**times: datetime) -> dict[str, Any]:
    annotations = {"summary": "webapp-prod can't reach its database"}
    return {"labels": LABELS, "annotations": annotations, **{name: at.isoformat() for name, at in times.items()}}


def link_of(mail: EmailMessage) -> str:
    plain = mail.get_body(("plain",))
    assert plain is not None
    links = set(re.findall(r"http\S+/ack/\S+", plain.get_content()))
    assert len(links) == 1, f"one link acknowledges: {links}"
    return str(links.pop())


def test_an_alert_is_paged_once_acknowledged_by_its_mail_cleared_and_stood_down(
    scene: Scene,
    alertmanager: Callable[..., Alertmanager],
    store_down: Callable[[], AbstractContextManager[None]],
) -> None:
    running = scene.installation.up()
    # Inside a flush Alertmanager tries again for group_interval: it must outlast the store's own patience.
    sender = alertmanager(printed_receiver(running.said(), group_wait="0s", group_interval="11s", repeat_interval="1s"))
    began = datetime.now(UTC)

    with store_down():
        sender.post([alert(startsAt=began)])
        eventually(lambda: "503" in sender.log(), 30, "Alertmanager was answered 503")

    page = scene.smtp.wait_for(1, timeout=40)[0]
    assert scene.deliveries()[0].headers["User-Agent"].startswith("Alertmanager/")
    assert (page["To"], scene.incident().name) == ("ada@example.com", "INC-001")
    assert "[P1] INC-001 webapp-prod" in page["Subject"]
    plain = page.get_body(("plain",))
    assert plain is not None
    said = plain.get_content()
    first = next(line for line in said.splitlines() if line.startswith("First:"))
    assert CONTAIN in first.lower()
    assert f"Since:    {began:%H:%M} UTC" in said
    assert "Affected: " in said

    repeats = len(scene.deliveries())
    eventually(lambda: len(scene.deliveries()) > repeats, 40, "the repeat is taken in")
    assert len(scene.rows(tables.incident)) == 1
    assert len(scene.smtp.messages) == 1

    link = link_of(page)
    assert requests.get(link, timeout=15).status_code == 200
    assert requests.head(link, timeout=15).status_code == 200
    assert scene.incident().taken_by is None
    pressed = requests.post(link, data={"verb": "acknowledge"}, timeout=15)
    assert pressed.status_code == 200, pressed.text
    assert (scene.incident().taken_by, scene.incident().acknowledged_at is not None) == ("me", True)
    owed = [row.kind for row in scene.rows(tables.promise) if row.state == "due" and row.kind in ("page", "escalate")]
    assert owed == []

    sender.post([alert(startsAt=began, endsAt=datetime.now(UTC))])
    eventually(lambda: scene.incident().cleared_at, 40, "the signal is clear on the incident")
    assert [row.status for row in scene.rows(tables.alert)] == ["resolved"]
    assert scene.incident().status == "active", "people, or the policy's times, end an incident"

    refused = scene.api("stand-down")
    assert refused.status_code == 409, refused.text
    for verb in ("contain", "resolve", "stand-down"):
        answer = scene.api(verb)
        assert answer.status_code == 200, answer.text
    assert scene.incident().status == "stood_down"
    eventually(lambda: scene.mails("stood down"), 20, "whoever was paged hears that it is over")
    assert len(scene.smtp.messages) == 2
    assert running.interrupt() < 5


def test_the_processes_of_the_procfile_carry_an_alert_to_a_mail_with_a_basic_password(
    scene: Scene, alertmanager: Callable[..., Alertmanager], valkey: Any
) -> None:
    installation = scene.installation
    installation.environ |= {"FIREDOOR_REDIS_URL": valkey.url}
    assert installation.run("release").returncode == 0
    running = [installation.start(part) for part in PARTS]
    until(installation.is_ready, why=lambda: "".join(one.log() for one in running))
    token = (installation.folder / "var/secrets/alertmanager_token").read_text().strip()
    password = {"basic_auth": {"username": "am", "password": token}}
    hook = {"url": f"{installation.url}/hooks/alertmanager", "http_config": password}
    receiver = {"name": "firedoor", "webhook_configs": [hook]}

    sender = alertmanager({"route": {"receiver": "firedoor", "group_wait": "0s"}, "receivers": [receiver]})
    sender.post([alert(startsAt=datetime.now(UTC))])

    page = scene.smtp.wait_for(1, timeout=30)[0]
    assert "INC-001" in page["Subject"]
    assert len(scene.rows(tables.incident)) == 1
    for one in running:
        one.process.terminate()
    assert [one.process.wait(60) for one in running] == [0, 0, 0]
    assert len(scene.smtp.messages) == 1
