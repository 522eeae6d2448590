"""What Slack and PagerDuty post to us, from captures: signatures over the very bytes, and what is not ours is left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.pagerduty import ROUTING_KEY, WEBHOOK_SECRET
from tests.fixtures.slack import SIGNING_SECRET, TOKEN

PAYLOADS = Path(__file__).parent.parent / "payloads"
CAPTURED_AT = datetime.fromtimestamp(1795233600, UTC)  # the stamp that the captures are signed with
CHANNELS = (
    f'channels: {{chat: {{kind: slack, token: "{TOKEN}", secret: "{SIGNING_SECRET}"}}, '
    f'rota: {{kind: pagerduty, token: "{ROUTING_KEY}", secret: "{WEBHOOK_SECRET}"}}, '
)
SLACK = sorted((PAYLOADS / "slack").glob("*.txt"))
PAGERDUTY = sorted((PAYLOADS / "pagerduty").glob("*.json"))


@pytest.fixture
def connected(open_desk: OpenDesk) -> Desk:
    desk = open_desk(CAST.replace("channels: {", CHANNELS))
    desk.clock.set(CAPTURED_AT)
    return desk


def captured(path: Path) -> tuple[bytes, dict[str, str]]:
    lines = path.with_suffix(".headers").read_text().splitlines()
    pairs = (line.partition(": ") for line in lines[1:] if line and not line.startswith("#"))
    headers = {name: value for name, _, value in pairs if name not in ("Host", "Content-Length")}
    return path.read_bytes(), headers


def test_a_captured_request_is_authentic_and_changes_nothing_that_is_not_ours(connected: Desk) -> None:
    assert len(SLACK) == len(PAGERDUTY) == 3
    for path in SLACK + PAGERDUTY:
        body, headers = captured(path)
        answer = connected.client.post(f"/hooks/{path.parent.name}", data=body, headers=headers)
        assert (answer.status_code, answer.data) == (200, b""), path.name
    assert connected.incidents() == []


def test_one_byte_more_is_refused_and_counted(connected: Desk) -> None:
    signed = [path for path in SLACK + PAGERDUTY if path.stem != "ssl_check"]
    for path in signed:
        body, headers = captured(path)
        answer = connected.client.post(f"/hooks/{path.parent.name}", data=body + b" ", headers=headers)
        assert answer.status_code == 401, path.name
        assert b"Nothing was changed" in answer.data


def test_it_is_posted_only_and_only_where_a_channel_has_a_secret(open_desk: OpenDesk) -> None:
    desk = open_desk()
    body, headers = captured(PAGERDUTY[0])
    for name in ("slack", "pagerduty"):
        assert desk.client.get(f"/hooks/{name}").status_code == 405
        assert desk.client.post(f"/hooks/{name}", data=body, headers=headers).status_code == 401
    assert desk.client.post("/hooks/slack/else", data=body).status_code == 404


def test_a_source_of_the_name_keeps_its_address(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more="sources: {pagerduty: {kind: generic}}\n")
    body, headers = captured(PAGERDUTY[0])
    answer = desk.client.post("/hooks/pagerduty", data=body, headers=headers)

    assert answer.status_code == 401
    assert b"Nothing was stored" in answer.data
