"""Whatever arrives, the parser answers with alerts that can be stored, or refuses with a sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.alerts import FIRING, RESOLVED, Alert
from incidents.errors import MalformedPayload
from incidents.tables import Json, Utc
from webhooks.sources import SOURCES

CAPTURE = (Path(__file__).parent.parent / "payloads" / "alertmanager" / "single_firing.json").read_bytes()
TIME, JSON = Utc(), Json()

# Any text at all, lone surrogates too, and numbers that overflow something.
TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
NUMBER = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.just(10**400))
LEAF = st.one_of(st.none(), st.booleans(), NUMBER, TEXT, st.datetimes().map(str))
VALUE = st.recursive(LEAF, lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXT, inner)), max_leaves=8)
NAMES = ["status", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]
ENTRY = st.fixed_dictionaries({"labels": st.dictionaries(TEXT, VALUE)}, optional=dict.fromkeys(NAMES, VALUE))

MANY = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])


def parse(body: bytes) -> list[Alert]:
    return SOURCES["alertmanager"].parse("alertmanager", body, {})


def assert_storable(alert: Alert) -> None:
    """Every column of the alert, as both databases would take it."""
    assert alert.status in (FIRING, RESOLVED)
    assert 0 < len(alert.fingerprint) <= 128
    assert 0 < len(alert.title) <= 200
    for column in (alert.fingerprint, alert.title, alert.link):
        assert "\x00" not in column
        column.encode("utf-8")
    for texts in (alert.labels, alert.annotations):
        assert all(isinstance(item, str) for pair in texts.items() for item in pair)
        assert JSON.process_result_value(JSON.process_bind_param(texts, None), None) == texts
    for moment in (alert.starts_at, alert.ends_at):
        assert TIME.process_result_value(TIME.process_bind_param(moment, None), None) == moment


@MANY
@given(st.lists(ENTRY, max_size=3))
def test_any_entry_with_labels_becomes_an_alert_that_can_be_stored(entries: list[dict[str, Any]]) -> None:
    alerts = parse(json.dumps({"alerts": entries}).encode())

    assert len(alerts) == len(entries)
    for alert in alerts:
        assert_storable(alert)


@MANY
@given(VALUE)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(MalformedPayload):
        parse(json.dumps(value).encode())


@MANY
@given(st.integers(0, len(CAPTURE) - 1), st.integers(0, 40), st.binary(max_size=20))
def test_a_damaged_capture_is_read_or_refused(at: int, lost: int, noise: bytes) -> None:
    with suppress(MalformedPayload):
        for alert in parse(CAPTURE[:at] + noise + CAPTURE[at + lost :]):
            assert_storable(alert)
