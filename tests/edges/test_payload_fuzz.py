"""Whatever arrives, from whichever sender: alerts that can be stored and decided about, or a refusal in a sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.alerts import Alert
from incidents.book import Book
from incidents.decision import decide, facts_of
from incidents.errors import MalformedPayload
from incidents.policy import load_policy
from incidents.runbooks import Library, parse_runbook
from tests.fixtures.anything import TEXT, VALUE, assert_storable, damaged, in_time, tried
from webhooks.sources import SOURCES

ROOT = Path(__file__).parents[2]
PAYLOADS = ROOT / "tests" / "payloads"
OURS = [{"title": "Slow", "id": "a-1", "status": "firing", "severity": "critical", "labels": {"service": "shop"},
         "starts_at": "2026-11-21T14:37:00Z", "url": "https://127.0.0.1/", "value": 0.6}]  # fmt: skip


def _few(body: Any) -> Any:
    """A capture of fifty alerts says no more than its first two, and takes longer."""
    return {**body, "alerts": body["alerts"][:2]} if "alerts" in body else body


CAPTURES = {
    kind: [_few(json.loads(path.read_bytes())) for path in sorted((PAYLOADS / kind).glob("*.json"))] or OURS
    for kind in sorted(SOURCES)
}
RESOURCES = st.sampled_from(["event_alert", "metric_alert", "issue", "error", "comment", "installation", "seer", ""])
BOOK = Book(
    load_policy(None, "shipped", lookup=lambda _: None),
    Library(
        parse_runbook(path.read_text(encoding="utf-8"), path.stem)
        for path in sorted((ROOT / "runbooks").glob("*.md"))
        if path.stem != "README"
    ),
)
NOW = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)

NAMES = ["status", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]
ENTRY = st.fixed_dictionaries({"labels": st.dictionaries(TEXT, VALUE)}, optional=dict.fromkeys(NAMES, VALUE))


@st.composite
def bodies(draw: st.DrawFn, kind: str) -> bytes:
    """Any JSON at all, or a capture with other values in it, and now and then some of its bytes lost or foreign."""
    body = json.dumps(draw(VALUE if draw(st.integers(0, 9)) == 0 else damaged(CAPTURES[kind]))).encode()
    if draw(st.integers(0, 4)):
        return body
    at, lost = draw(st.integers(0, len(body))), draw(st.integers(0, 40))
    return body[:at] + draw(st.binary(max_size=20)) + body[at + lost :]


def read(kind: str, body: bytes, headers: dict[str, str]) -> tuple[list[Alert], str]:
    """Its alerts, or the sentence that refuses it."""
    try:
        return SOURCES[kind].parse(kind, body, headers), ""
    except MalformedPayload as refused:
        return [], refused.sentence


def look_at(alert: Alert) -> None:
    assert_storable(alert)
    facts = facts_of(
        source=alert.source,
        labels=alert.labels,
        annotations=alert.annotations,
        value=alert.value,
        recent=[],
        now=NOW,
    )
    decided = decide(facts, BOOK)
    assert decided.why.endswith(".")
    assert decided.group_key


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_any_body_becomes_alerts_that_can_be_stored_or_is_refused(kind: str) -> None:
    @tried(60, share=len(SOURCES))
    @given(body=bodies(kind), resource=RESOURCES)
    def any_body(body: bytes, resource: str) -> None:
        with in_time():
            alerts, refused = read(kind, body, {"Sentry-Hook-Resource": resource} if resource else {})
            assert refused == "" or refused.endswith(".")
            for alert in alerts:
                look_at(alert)

    any_body()


@tried(60, share=100)
@given(st.lists(ENTRY, max_size=3))
def test_any_entry_with_labels_becomes_an_alert(entries: list[dict[str, Any]]) -> None:
    alerts = SOURCES["alertmanager"].parse("alertmanager", json.dumps({"alerts": entries}).encode(), {})

    assert len(alerts) == len(entries)
    for alert in alerts:
        look_at(alert)
