"""Alertmanager's payloads into alerts: every real capture, and every trap that a sender can lay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from incidents.alerts import Alert, fingerprint
from incidents.errors import MalformedPayload
from webhooks.sources import OVERSIZED, SOURCES

PAYLOADS = Path(__file__).parent.parent / "payloads" / "alertmanager"
CAPTURES = sorted(PAYLOADS.glob("*.json"))
LYING = "group50_partly_resolved_max_alerts_10_LYING_RESOLVED"


def parse(body: bytes, headers: Mapping[str, str] | None = None) -> list[Alert]:
    return SOURCES["alertmanager"].parse("alertmanager", body, headers or {})


def captured(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def entry(**changes: Any) -> dict[str, Any]:
    labels = {"alertname": "HighErrorRate", "service": "checkout"}
    return {"status": "firing", "labels": labels, "annotations": {}, **changes}


def one(**changes: Any) -> Alert:
    """The alert of a delivery of one entry, written with these changes."""
    (alert,) = parse(json.dumps({"version": "4", "status": "firing", "alerts": [entry(**changes)]}).encode())
    return alert


def test_a_real_firing_is_read_whole() -> None:
    (alert,) = parse(captured("single_firing"))

    assert alert.source == "alertmanager"
    assert alert.status == "firing"
    assert alert.fingerprint == "840963586a28830e"
    assert alert.labels["service"] == "checkout"
    assert alert.title == "Error ratio of checkout is 21%"
    assert alert.starts_at == datetime(2026, 11, 21, 3, 55, 30, 76000, tzinfo=UTC)
    assert alert.ends_at is None
    assert alert.link.startswith("http://prom.example.com:9090/graph?")


def test_its_resolve_is_the_same_alert() -> None:
    (fired,), (resolved,) = parse(captured("single_firing")), parse(captured("single_resolved"))

    assert (fired.fingerprint, resolved.fingerprint) == ("840963586a28830e", "840963586a28830e")
    assert resolved.status == "resolved"
    assert resolved.ends_at is not None


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_the_identity_of_every_captured_alert_is_computed_alike(path: Path) -> None:
    alerts = parse(path.read_bytes())

    assert alerts
    assert [fingerprint(alert.labels) for alert in alerts] == [alert.fingerprint for alert in alerts]


def test_a_lost_storage_moves_the_start_and_not_the_identity() -> None:
    (first,), (again,) = parse(captured("single_firing")), parse(captured("single_firing_after_am_storage_loss"))

    assert first.starts_at != again.starts_at
    assert first.fingerprint == again.fingerprint


def test_a_repeat_is_byte_for_byte_the_same_and_is_read_again() -> None:
    assert captured("repeat_1") == captured("repeat_2")
    assert parse(captured("repeat_1")) == parse(captured("repeat_2"))


def test_a_delivery_that_lies_resolved_resolves_only_what_it_lists() -> None:
    alerts = parse(captured(LYING))

    assert json.loads(captured(LYING))["status"] == "resolved"
    assert len(alerts) == 10
    assert all(alert.status == "resolved" for alert in alerts)


def test_a_truncated_delivery_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    assert len(parse(captured("group50_firing_max_alerts_10"))) == 10
    assert "hook.truncated" in caplog.text
    assert "40" in caplog.text


def test_firing_and_resolved_come_in_one_delivery() -> None:
    statuses = [alert.status for alert in parse(captured("group50_partly_resolved"))]

    assert (statuses.count("firing"), statuses.count("resolved")) == (35, 15)


def test_the_status_of_the_whole_delivery_is_ignored() -> None:
    body = json.dumps({"status": "resolved", "alerts": [entry(status="firing")]}).encode()

    assert [alert.status for alert in parse(body)] == ["firing"]


@pytest.mark.parametrize("status", [None, "", "suppressed", "RESOLVED?", 3, ["resolved"]])
def test_what_is_not_plainly_resolved_is_firing(status: Any) -> None:
    assert one(status=status).status == "firing"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-21T03:55:30.076Z", datetime(2026, 11, 21, 3, 55, 30, 76000, tzinfo=UTC)),
        ("2026-11-21T03:55:30.123456789Z", datetime(2026, 11, 21, 3, 55, 30, 123456, tzinfo=UTC)),
        ("2026-11-21T04:55:30+01:00", datetime(2026, 11, 21, 3, 55, 30, tzinfo=UTC)),
        ("2026-11-21t03:55:30z", datetime(2026, 11, 21, 3, 55, 30, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-05:00", None),
        ("yesterday", None),
        ("2026-13-41T99:00:00Z", None),
        ("", None),
        (1795233330, None),
        (None, None),
        ("2" * 100_000, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_times_as_senders_write_them(written: Any, read: datetime | None) -> None:
    alert = one(startsAt=written, endsAt=written)

    assert (alert.starts_at, alert.ends_at) == (read, read)


@pytest.mark.parametrize("given", [None, "", "  ", "\u0000", "fü", "x" * 500, 17, ["a"]])
def test_a_fingerprint_that_cannot_be_a_key_is_computed(given: Any) -> None:
    computed = one(fingerprint=given).fingerprint

    assert computed in (fingerprint(entry()["labels"]), "17", '["a"]')


def test_the_title_is_the_summary_else_the_name_else_the_first_label() -> None:
    assert one(annotations={"summary": "Checkout fails"}).title == "Checkout fails"
    assert one(annotations={"summary": "\u0000\u202e \n"}).title == "HighErrorRate"
    assert one(labels={"job": "app"}).title == "job=app"
    assert one(labels={}).title == "An alert without a name"


def test_the_title_is_clean_and_the_labels_stay_as_sent() -> None:
    odd = "a\u0000b\ud800c\u202ed\u2028e"
    alert = one(labels={"alertname": odd, "bell\u0007": odd})

    assert alert.labels == {"alertname": odd, "bell\u0007": odd}
    assert alert.title == "a b c d e"
    assert len(one(annotations={"summary": "x" * 200_000}).title) == 200


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[("0.21", 0.21), (" 17 ", 17.0), ("1e3", 1000.0), (5, 5.0), ("-3.5", -3.5), (".5", 0.5)],
        *[(bad, None) for bad in ("21%", "", "nan", "inf", "1e999", "1_000", "1.2.3", "9" * 99, True, None)],
    ],
)
def test_the_value_is_the_annotation_where_it_is_a_number(written: Any, value: float | None) -> None:
    assert one(annotations={"value": written}).value == value


@pytest.mark.parametrize(
    "address",
    [
        *["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://a/b", "", "http://", "http://a b/"],
        *[
            "http://a/\u0000",
            "http://a/\u202egpj",
            "http://[::1",
            "https://bank.example@evil.example/",
            "http://a/\ud800",
            "http://a/" + "x" * 9000,
            None,
            7,
        ],
    ],
    ids=lambda address: ascii(address)[:30],
)
def test_only_whole_web_addresses_become_links(address: Any) -> None:
    assert one(generatorURL=address).link == ""


def test_labels_that_are_no_text_become_text() -> None:
    labels = one(labels={"shard": 3, "canary": True, "zone": None, "path": ["a"]}).labels

    assert labels == {"shard": "3", "canary": "true", "zone": "", "path": '["a"]'}


def test_large_labels_and_many_labels_are_kept() -> None:
    long = one(labels={"alertname": "Long", "stack": "é" * 200_000})
    many = one(labels={f"label_{n}": str(n) for n in range(5000)})

    assert len(long.labels["stack"]) == 200_000
    assert len(many.labels) == 5000


@pytest.mark.parametrize("version", [None, "3", "5", 4])
def test_another_version_is_read_where_it_lists_alerts(version: Any) -> None:
    assert len(parse(json.dumps({"version": version, "alerts": [entry()], "new_in_0.40": {}}).encode())) == 1


def test_a_byte_order_mark_is_no_fault() -> None:
    assert len(parse(b"\xef\xbb\xbf" + captured("single_firing"))) == 1


def test_an_empty_list_is_a_delivery_without_alerts() -> None:
    assert parse(b'{"alerts": []}') == []


DEEP = 20_000
POISON = {
    "no_bytes": b"",
    "no_json": b"firing!",
    "cut_short": b'{"alerts": [{"status": "firing", "la',
    "a_list": b"[]",
    "a_number": b"4",
    "null": b"null",
    "no_alerts": b'{"status": "firing"}',
    "alerts_null": b'{"alerts": null}',
    "alerts_an_object": b'{"alerts": {"0": {}}}',
    "an_entry_that_is_text": b'{"alerts": ["HighErrorRate"]}',
    "an_entry_without_labels": b'{"alerts": [{"status": "firing"}]}',
    "labels_a_list": b'{"alerts": [{"status": "firing", "labels": []}]}',
    "nested_lists": b'{"alerts": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "nested_lists_unclosed": b"[" * 1_000_000,
    "nested_objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "nested_just_too_deeply": b'{"alerts": [], "a": ' + b"[" * 64 + b"]" * 64 + b"}",
    "nested_behind_an_escaped_quote": b'{"a": "\\"", "alerts": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a_string_of_escapes_that_never_ends": b'{"alerts": [' + b"[" * 99 + b'"' + b'\\"' * 2_000_000,
    "status_twice": b'{"alerts": [{"labels": {}, "status": "firing", "status": "resolved"}]}',
    "fingerprint_twice": b'{"alerts": [{"labels": {}, "fingerprint": "a", "fingerprint": "b"}]}',
    "labels_twice": b'{"alerts": [{"labels": {"a": "1"}, "labels": {}}]}',
    "alerts_twice": b'{"alerts": [{"labels": {}}], "alerts": []}',
    "nan": b'{"alerts": [], "value": NaN}',
    "infinity": b'{"alerts": [], "value": -Infinity}',
    "a_float_without_end": b'{"alerts": [], "value": 1e999}',
    "an_integer_of_5000_digits": b'{"alerts": [], "truncatedAlerts": ' + b"9" * 5000 + b"}",
    "not_utf8": b'{"alerts": [{"labels": {"a": "\xff\xfe"}}]}',
    "utf16": '{"alerts": []}'.encode("utf-16"),
    "a_raw_control_character": b'{"alerts": [{"labels": {"a": "\x00"}}]}',
    "a_gzip_that_nobody_unpacked": b"\x1f\x8b\x08\x00\x00\x00",
    "a_form": b"payload=%7B%7D",
}


@pytest.mark.timeout(5)
@pytest.mark.parametrize("body", POISON.values(), ids=POISON.keys())
def test_poison_is_refused_with_a_sentence(body: bytes) -> None:
    with pytest.raises(MalformedPayload) as refused:
        parse(body)

    assert refused.value.sentence.endswith(".")
    assert len(refused.value.sentence) < 300


def test_brackets_inside_text_are_not_depth() -> None:
    assert one(annotations={"summary": "[" * 1000 + '\\"{'}).status == "firing"


def test_the_beginning_of_a_body_that_was_too_large_is_not_understood() -> None:
    with pytest.raises(MalformedPayload, match="too large"):
        parse(captured("single_firing"), {OVERSIZED: "20000000 bytes were sent"})


def test_a_huge_count_is_no_trap() -> None:
    assert parse(b'{"alerts": [], "truncatedAlerts": ' + b"9" * 400 + b"}") == []
