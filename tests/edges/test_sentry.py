"""Sentry: who gets in by a signature over the very bytes, and what each resource of it becomes."""

from __future__ import annotations

import gzip
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from sqlalchemy import select

from incidents.alerts import Alert
from incidents.errors import MalformedPayload
from incidents.tables import inbox
from tests.fixtures.anything import VALUE, assert_storable, tried
from tests.fixtures.desk import Desk, OpenDesk
from webhooks.body import KEPT, LIMIT
from webhooks.sources import SOURCES

PAYLOADS = Path(__file__).parent.parent / "payloads" / "sentry"
SIGNED = sorted(path for path in PAYLOADS.glob("*.json") if path.stem != "legacy_webhooks_plugin")
SECRET, NEXT_SECRET = "sentry-client-secret-for-tests", "the-secret-that-replaces-it"
INSTALLATION = "1f0c2a54-7a0e-4a1e-9d39-0a5f3ce1a001"
PII = ("203.0.113.9", "7781", "Mozilla", "ada@example.com", "/api/0/")


def captured(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def headers_of(name: str) -> dict[str, str]:
    lines = (PAYLOADS / f"{name}.headers").read_text().split("\n\n")[0].splitlines()[1:]
    return dict(line.split(": ", 1) for line in lines if not line.startswith(("Host", "Content-Length")))


def parse(body: bytes | dict[str, Any], resource: str = "") -> list[Alert]:
    headers = {"Sentry-Hook-Resource": resource} if resource else {}
    return SOURCES["sentry"].parse("sentry", body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def changed(name: str, **changes: Any) -> dict[str, Any]:
    """A capture with other values: `action`, or those of the one thing that its `data` is about."""
    body: dict[str, Any] = json.loads(captured(name))
    if "action" in changes:
        body["action"] = changes.pop("action")
    next(part for part in body["data"].values() if isinstance(part, dict)).update(changes)
    return body


# --- what it becomes ---


def test_an_issue_alert_is_a_firing_alert_of_its_issue() -> None:
    (alert,) = parse(captured("event_alert_triggered"), "event_alert")

    assert alert.status == "firing"
    assert alert.fingerprint == f"issue:{INSTALLATION}:6100000123"
    assert alert.title == "ZeroDivisionError: division by zero — корзина"
    assert alert.labels["alertname"] == "Checkout errors > 50/min"
    assert alert.labels["environment"] == alert.labels["env"] == "production"
    assert alert.labels["project"] == alert.labels["service"] == "checkout"
    assert alert.labels["level"] == alert.labels["severity"] == "error"
    assert alert.labels["release"] == "checkout@4.7.1"
    assert alert.link == (
        "https://acme.sentry.io/organizations/acme/issues/6100000123/events/5f1e2d3c4b5a69788796a5b4c3d2e1f0/"
    )
    assert alert.starts_at == datetime(2026, 11, 21, 4, 0, 0, 123000, tzinfo=UTC)


def test_the_resource_is_known_by_its_header_and_without_it_by_the_body() -> None:
    for path in SIGNED:
        headers = headers_of(path.stem)
        assert parse(path.read_bytes(), headers["Sentry-Hook-Resource"]) == parse(path.read_bytes())


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
def test_nothing_personal_becomes_a_label_or_an_annotation(path: Path) -> None:
    for alert in parse(path.read_bytes()):
        said = json.dumps([dict(alert.labels), dict(alert.annotations)])
        assert not [one for one in PII if one in said]
        assert_storable(alert)


def test_a_tag_that_may_name_a_person_is_left_out() -> None:
    tags = [["user", "email:ada@example.com"], ["url", "https://x?token=1"], ["service", "till"], ["odd"], "odd", None]
    (alert,) = parse(changed("event_alert_triggered", tags=tags))

    assert alert.labels["service"] == "till"
    assert not {"user", "url"} & alert.labels.keys()


@pytest.mark.parametrize(
    ("action", "level", "severity"), [("critical", 20, "critical"), ("warning", 10, "warning"), ("open", 10, "warning")]
)
def test_a_metric_alert_fires_as_bad_as_it_says(action: str, level: int, severity: str) -> None:
    (alert,) = parse(changed("metric_alert_critical", action=action, status=level))

    assert alert.status == "firing"
    assert alert.fingerprint == f"metric:{INSTALLATION}:123"
    assert alert.labels["severity"] == severity
    assert alert.labels["alertname"] == "Checkout p95 latency"
    assert alert.annotations["description"].startswith("1240 ms")


def test_an_unknown_action_of_a_metric_alert_fires_and_is_critical() -> None:
    (alert,) = parse(changed("metric_alert_critical", action="exploding", status=1))

    assert (alert.status, alert.labels["severity"]) == ("firing", "critical")


def test_a_metric_alert_is_resolved_by_sentry_even_without_the_time_of_its_end() -> None:
    (alert,) = parse(captured("metric_alert_resolved"))
    (timeless,) = parse(changed("metric_alert_resolved", date_closed=None))

    assert (alert.status, alert.fingerprint) == ("resolved", f"metric:{INSTALLATION}:123")
    assert alert.ends_at == datetime(2026, 11, 21, 4, 10, tzinfo=UTC)
    assert (timeless.status, timeless.ends_at) == ("resolved", None)


def test_a_metric_alert_that_ends_because_its_rule_was_edited_is_not_resolved() -> None:
    assert parse(changed("metric_alert_resolved", status_method=2)) == []


def test_a_resolved_issue_resolves_the_alert_of_its_rule_and_the_record_without_one() -> None:
    (fired,) = parse(captured("event_alert_triggered"))
    (created,) = parse(captured("issue_created"))
    resolved = {alert.fingerprint: alert.status for alert in parse(captured("issue_resolved"))}

    assert resolved == {fired.fingerprint: "resolved", created.fingerprint: "resolved"}


@pytest.mark.parametrize("name", ["issue_created", "error_created"])
def test_without_a_rule_it_has_a_fingerprint_of_its_own(name: str) -> None:
    (alert,) = parse(captured(name))

    assert alert.fingerprint.startswith(f"seen:{INSTALLATION}:61000001")
    assert alert.labels["sentry_resource"] in ("issue", "error")


@pytest.mark.parametrize("action", ["assigned", "ignored", "archived", "priority_changed"])
def test_what_people_do_with_an_issue_in_sentry_is_no_signal(action: str) -> None:
    assert parse(changed("issue_created", action=action)) == []


@pytest.mark.parametrize("resource", ["comment", "installation", "seer", "activity_alert", "preprod_artifact", "new"])
def test_every_other_resource_is_accepted_and_says_nothing(resource: str) -> None:
    assert parse({"action": "created", "data": {}}, resource) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "no `data` of a kind"),
        (b'{"action": "triggered"}', "no `data` of a kind"),
        (captured("legacy_webhooks_plugin"), "no `data` of a kind"),
        (json.dumps({"data": {"event": {}}}).encode(), "`data.event.issue_id` is missing"),
        (json.dumps({"data": {"metric_alert": None}}).encode(), "`data.metric_alert.identifier` is missing"),
        (json.dumps({"action": "resolved", "data": {"issue": 4}}).encode(), "`data.issue.id` is missing"),
        (b'{"action": "critical", "action": "resolved", "data": {"metric_alert": {}}}', "`action` twice"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_what_is_missing(body: bytes, said: str) -> None:
    with pytest.raises(MalformedPayload, match=said):
        parse(body)


@tried(100, share=50)
@given(VALUE, VALUE, VALUE)
def test_any_body_becomes_alerts_that_can_be_stored_or_is_refused(about: Any, one: Any, tags: Any) -> None:
    for part in ("event", "metric_alert", "issue", "error"):
        inner = {"issue_id": one, "id": one, "identifier": one, "tags": tags, "title": tags, "metadata": about}
        for body in ({"action": "created", "data": {part: about}}, {"action": "created", "data": {part: inner}}):
            try:
                alerts = parse(body)
            except MalformedPayload:
                continue
            for alert in alerts:
                assert_storable(alert)


# --- who gets in, and what comes of it ---


@dataclass
class Sentry:
    """A Sentry whose integration points at a desk."""

    desk: Desk

    def sends(self, body: bytes, *, secret: str = SECRET, expect: int = 202, **headers: str | None) -> Any:
        signature = hmac.new(secret.encode(), body, sha256).hexdigest()
        told = {"Sentry-Hook-Signature": signature, "Content-Type": "application/json"}
        told |= {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        answer = self.desk.client.post("/hooks/sentry", data=body, headers=told)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer

    def replays(self, name: str, expect: int = 202) -> Any:
        """A capture as it was: its own headers, its own signature."""
        answer = self.desk.client.post("/hooks/sentry", data=captured(name), headers=headers_of(name))
        assert answer.status_code == expect, answer.get_data(as_text=True)
        self.desk.settle()
        return answer.get_json()

    def stored(self) -> list[Any]:
        with self.desk.house.database.read() as work:
            return list(work.session.execute(select(inbox).order_by(inbox.c.id)))


@pytest.fixture
def sentry(open_desk: OpenDesk, tmp_path: Path) -> Sentry:
    secret = tmp_path / "sentry_secret"
    secret.write_text(SECRET)
    kept = tmp_path / "home" / "secrets" / "sentry_token"
    kept.parent.mkdir(parents=True)
    kept.write_text(NEXT_SECRET)
    return Sentry(open_desk(more=f"sources: {{sentry: {{kind: sentry, secret: {{file: {secret}}}}}}}\n"))


def test_every_captured_signature_opens_the_door(sentry: Sentry) -> None:
    for path in SIGNED:
        sentry.replays(path.stem)

    assert {row.state for row in sentry.stored()} == {"taken"}
    assert {row.headers["Sentry-Hook-Resource"] for row in sentry.stored()} >= {
        "event_alert",
        "comment",
        "installation",
    }
    assert not [row for row in sentry.stored() if "Signature" in str(row.headers)]


def test_both_live_secrets_sign(sentry: Sentry) -> None:
    for secret in (SECRET, NEXT_SECRET):
        sentry.sends(captured("comment_created"), secret=secret)


@pytest.mark.parametrize("signature", ["", "0" * 64, "é", sha256(b"").hexdigest(), SECRET])
def test_a_forged_signature_is_refused_and_nothing_is_stored(sentry: Sentry, signature: str) -> None:
    answer = sentry.sends(captured("comment_created"), Sentry_Hook_Signature=signature, expect=401)

    assert "Nothing was stored" in answer.text
    assert sentry.stored() == []


def test_a_changed_byte_or_the_secret_as_a_bearer_opens_nothing(sentry: Sentry) -> None:
    signed = hmac.new(SECRET.encode(), captured("comment_created"), sha256).hexdigest()
    client = sentry.desk.client
    changed = captured("comment_created") + b" "

    assert client.post("/hooks/sentry", data=changed, headers={"Sentry-Hook-Signature": signed}).status_code == 401
    for headers in ({}, {"Authorization": f"Bearer {SECRET}"}):
        assert client.post("/hooks/sentry", data=changed, headers=headers).status_code == 401
    sentry.sends(captured("comment_created"), secret="", expect=401)
    assert sentry.stored() == []


def test_the_signature_is_over_the_bytes_that_were_sent_packed_or_too_large_to_keep(sentry: Sentry) -> None:
    sentry.sends(gzip.compress(captured("comment_created")), Content_Encoding="gzip")
    sentry.sends(b"y" * (LIMIT + 70_000))
    sentry.sends(b"y" * (LIMIT + 70_000), secret="not theirs", expect=401)

    assert [row.body for row in sentry.stored()] == [captured("comment_created"), b"y" * KEPT]


def test_a_recorded_request_that_is_sent_again_is_stored_once(sentry: Sentry) -> None:
    first, again = sentry.replays("comment_created"), sentry.replays("comment_created")

    assert first == again
    assert len(sentry.stored()) == 1


def test_an_issue_without_a_rule_is_recorded_and_does_not_stand_in_the_way_of_its_rule(sentry: Sentry) -> None:
    sentry.replays("issue_created")
    sentry.replays("error_created")
    sentry.replays("event_alert_triggered")

    assert [(one["decision"], one["labels"]["sentry_resource"]) for one in reversed(sentry.desk.alerts())] == [
        ("record", "issue"),
        ("record", "error"),
        ("suggest", "event_alert"),
    ]
    assert sentry.desk.incidents() == []

    sentry.replays("issue_resolved")
    assert [one["status"] for one in reversed(sentry.desk.alerts())] == ["resolved", "firing", "resolved"]


def test_a_metric_alert_that_turns_critical_is_decided_anew_and_opens(sentry: Sentry) -> None:
    sentry.replays("metric_alert_warning")
    assert sentry.desk.alerts()[0]["decision"] == "suggest"

    sentry.replays("metric_alert_critical")
    assert [one["severity"] for one in sentry.desk.incidents()] == ["P1"]

    sentry.desk.forward(seconds=61)
    assert [said.purpose for said in sentry.desk.news() if said.to == "ada"] == ["page"]
    sentry.replays("metric_alert_resolved")
    assert sentry.desk.alerts()[0]["status"] == "resolved"
    sentry.desk.news()
