"""Datadog, Grafana and Uptime Kuma as they ship: every capture, by its kind alone."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from incidents.alerts import Alert
from incidents.errors import MalformedPayload
from incidents.policy import load_policy
from tests.fixtures.anything import VALUE, assert_storable, tried
from tests.fixtures.desk import Desk, OpenDesk
from webhooks.sources import SOURCES, uptime_kuma

PAYLOADS = Path(__file__).parent.parent / "payloads"
KINDS = ("datadog", "grafana", "uptime_kuma")
GRAFANA_SECRET = "grafana-hmac-secret"


def captured(kind: str, name: str) -> bytes:
    return (PAYLOADS / kind / f"{name}.json").read_bytes()


def parse(kind: str, body: bytes | dict[str, Any]) -> list[Alert]:
    return SOURCES[kind].parse(kind, body if isinstance(body, bytes) else json.dumps(body).encode(), {})


def changed(kind: str, name: str, **changes: Any) -> list[Alert]:
    return parse(kind, {**json.loads(captured(kind, name)), **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_chosen_by_its_name_alone(kind: str) -> None:
    policy = load_policy(f"sources: {{mine: {{kind: {kind}}}}}", "p.yaml", lookup=lambda _: "")

    assert policy.sources["mine"].kind == kind


@pytest.mark.parametrize("path", [path for kind in KINDS for path in sorted((PAYLOADS / kind).glob("*.json"))])
def test_every_capture_becomes_alerts_that_can_be_stored(path: Path) -> None:
    alerts = parse(path.parent.name, path.read_bytes())

    assert alerts
    for alert in alerts:
        assert_storable(alert)


def test_datadog_is_one_alert_from_trigger_to_recovery() -> None:
    (fired,), (lost,), (ended,) = (parse("datadog", captured("datadog", name)) for name in TRANSITIONS)

    assert {fired.fingerprint, lost.fingerprint, ended.fingerprint} == {"9081726354"}
    assert (fired.status, lost.status, ended.status) == ("firing", "firing", "resolved")
    assert {fired.title, lost.title, ended.title} == {"Checkout latency"}


TRANSITIONS = ("triggered", "no_data", "recovered")


def test_datadog_says_service_severity_and_since_when() -> None:
    (alert,) = parse("datadog", captured("datadog", "triggered"))

    wanted = {"alertname": "Checkout latency", "service": "checkout", "env": "prod", "team": "shop"}
    assert wanted.items() <= alert.labels.items()
    assert alert.labels["severity"] == "error"
    assert alert.labels["priority"] == "P1"
    assert alert.link == "https://app.datadoghq.com/monitors/1234567"
    assert alert.starts_at == datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize("transition", ["Warn", "Re-Triggered", "Re-No Data", "Renotify", "Escalated", "", "null"])
def test_a_transition_of_datadog_that_is_not_a_recovery_fires(transition: str) -> None:
    (alert,) = changed("datadog", "recovered", alert_transition=transition)

    assert alert.status == "firing"


def test_a_test_of_datadog_without_a_cycle_still_has_a_key() -> None:
    (alert,) = changed("datadog", "triggered", alert_cycle_key="", aggreg_key=None)

    assert alert.fingerprint == "1234567"


def test_uptime_kuma_is_one_alert_for_each_monitor() -> None:
    (down,), (up,) = (parse("uptime_kuma", captured("uptime_kuma", name)) for name in ("down", "up"))

    assert (down.fingerprint, up.fingerprint) == ("12", "12")
    assert (down.status, up.status) == ("firing", "resolved")
    assert down.labels["alertname"] == down.labels["service"] == "checkout"
    assert down.labels["team"] == "shop"
    assert down.labels["severity"] == "critical"
    assert down.starts_at == datetime(2026, 11, 21, 4, 0, 0, 123000, tzinfo=UTC)


def test_what_a_monitor_signs_in_with_is_not_stored() -> None:
    body = json.loads(captured("uptime_kuma", "down"))
    url = "https://kuma:canary@shop.example.com/health"
    body["monitor"] |= {"basic_auth_pass": "canary", "headers": '{"Authorization": "canary"}', "url": url}

    stored = uptime_kuma.kept(json.dumps(body).encode())

    assert b"canary" not in stored
    assert parse("uptime_kuma", stored) == [
        replace(one, link="") for one in parse("uptime_kuma", captured("uptime_kuma", "down"))
    ]
    assert uptime_kuma.kept(b'{"monitor": ') == b'{"monitor": '


def test_a_tag_of_the_monitor_says_how_bad_it_is() -> None:
    monitor = json.loads(captured("uptime_kuma", "down"))["monitor"]
    (alert,) = changed("uptime_kuma", "down", monitor={**monitor, "tags": [{"name": "severity", "value": "warning"}]})

    assert alert.labels["severity"] == "warning"


def test_uptime_kuma_without_a_monitor_is_a_warning() -> None:
    (alert,) = parse("uptime_kuma", captured("uptime_kuma", "test_button_and_cert_expiry"))

    assert (alert.status, alert.labels["severity"]) == ("firing", "warning")
    assert "certificate will expire in 7 days" in alert.title


def test_grafana_is_read_entry_by_entry_as_alertmanager_is() -> None:
    first, second = parse("grafana", captured("grafana", "firing"))
    (ended,) = parse("grafana", captured("grafana", "resolved"))

    assert (first.fingerprint, second.fingerprint) == ("5b9c5e1d3f2a7c10", "5b9c5e1d3f2a7c11")
    assert (first.status, ended.status, ended.fingerprint) == ("firing", "resolved", first.fingerprint)
    assert (first.title, first.value) == ("5xx above 5 %", 0.21)
    assert first.annotations["dashboard"] == "https://grafana.example.com/d/shop?orgId=1"


@pytest.mark.parametrize(
    ("kind", "title"), [("DatasourceNoData", "No data: CPU"), ("DatasourceError", "Data source error: CPU")]
)
def test_a_rule_of_grafana_without_data_is_called_by_its_name(kind: str, title: str) -> None:
    entry = {"status": "firing", "labels": {"alertname": kind, "rulename": "CPU"}, "values": None}
    (alert,) = parse("grafana", {"alerts": [entry]})

    assert (alert.title, alert.value) == (title, None)


@tried(60, share=50)
@given(VALUE, VALUE)
def test_any_body_becomes_alerts_that_can_be_stored_or_is_refused(one: Any, other: Any) -> None:
    for kind in KINDS:
        whole = json.loads(captured(kind, {"datadog": "triggered", "grafana": "firing", "uptime_kuma": "down"}[kind]))
        damaged = {
            name: one if n % 3 == 0 else other if n % 3 == 1 else part for n, (name, part) in enumerate(whole.items())
        }
        for body in (one, damaged, {**whole, "alerts": [one, {"labels": {}, "values": other}]}):
            try:
                alerts = parse(kind, json.dumps(body).encode())
            except MalformedPayload:
                continue
            for alert in alerts:
                assert_storable(alert)


# --- who gets in ---


@pytest.fixture
def desk(open_desk: OpenDesk, tmp_path: Path) -> Desk:
    (tmp_path / "secret").write_text(GRAFANA_SECRET)
    told = f"secret: {{file: {tmp_path / 'secret'}}}"
    sources = "".join(f"  {kind.replace('_', '-')}: {{kind: {kind}, {told}}}\n" for kind in KINDS)
    return open_desk(more=f"sources:\n{sources}")


def test_grafana_signs_with_or_without_a_timestamp_or_shows_a_token(desk: Desk) -> None:
    for name in ("firing", "resolved"):
        lines = (PAYLOADS / "grafana" / f"{name}.headers").read_text().split("\n\n")[0].splitlines()[1:]
        headers = dict(line.split(": ", 1) for line in lines if line.startswith(("X-", "Content-Type")))
        assert desk.client.post("/hooks/grafana", data=captured("grafana", name), headers=headers).status_code == 202
    token = {"Authorization": f"Bearer {GRAFANA_SECRET}"}
    assert desk.client.post("/hooks/grafana", data=b"{}", headers=token).status_code == 202


def test_a_signature_of_grafana_that_does_not_fit_is_refused_whatever_else_is_shown(desk: Desk) -> None:
    body = captured("grafana", "resolved")
    right = hmac.new(GRAFANA_SECRET.encode(), body, sha256).hexdigest()
    for headers in (
        {"X-Grafana-Alerting-Signature": "0" * 64, "Authorization": f"Bearer {GRAFANA_SECRET}"},
        {"X-Grafana-Alerting-Signature": right, "X-Grafana-Alerting-Timestamp": "1795233600"},
        {},
    ):
        assert desk.client.post("/hooks/grafana", data=body, headers=headers).status_code == 401


def test_a_monitor_that_is_down_opens_and_pages_and_its_return_clears(desk: Desk) -> None:
    token = {"Authorization": f"Bearer {GRAFANA_SECRET}"}
    for name in ("down", "up"):
        desk.client.post("/hooks/uptime-kuma", data=captured("uptime_kuma", name), headers=token)
        desk.settle()
        desk.forward(seconds=61)

    (incident,) = desk.incidents()
    assert (incident["severity"], incident["service"]) == ("P1", "checkout")
    assert ("page", "ada") in {(said.purpose, said.to) for said in desk.news()}
    assert [one["status"] for one in desk.alerts()] == ["resolved"]
    desk.news()


# --- the docs ---


def test_the_payload_that_the_docs_paste_into_datadog_is_what_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    template = json.loads(re.findall(r"```text\n(\s+\{.*?\})\n\s+```", page, re.DOTALL)[0])
    sent = json.loads(captured("datadog", "triggered"))

    (whole,), (pasted,) = parse("datadog", sent), parse("datadog", {name: sent[name] for name in template})

    assert set(template.values()) <= {f"${word}" for word in re.findall(r"[A-Z_]+", str(template))}
    assert pasted == replace(whole, annotations=pasted.annotations)
    assert whole.annotations.keys() - pasted.annotations.keys() == {"query"}
