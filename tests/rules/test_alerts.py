"""What a delivery changes of an alert, the sender's own fingerprint, and lines that are safe to show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from incidents.alerts import change_of, clean_line, clean_text, fingerprint

NOW = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)
LATELY, LONG_AGO = NOW - timedelta(seconds=59), NOW - timedelta(seconds=60)
LATER = NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("status", "resolved_at", "held_until", "says", "what"),
    [
        (None, None, None, "firing", "fired"),
        (None, None, None, "resolved", "nothing"),
        ("firing", None, None, "firing", "repeated"),
        ("firing", LATELY, None, "firing", "repeated"),
        ("firing", None, None, "resolved", "resolved"),
        ("resolved", LATELY, None, "firing", "held"),
        ("resolved", LONG_AGO, None, "firing", "fired"),
        ("resolved", LONG_AGO, None, "resolved", "nothing"),
        ("resolved", LATELY, LATER, "firing", "nothing"),
        ("resolved", LATELY, LATER, "resolved", "resolved"),
    ],
)
def test_what_a_delivery_means(
    status: str | None, resolved_at: datetime | None, held_until: datetime | None, says: str, what: str
) -> None:
    assert change_of(status, resolved_at, held_until, says=says, now=NOW) == what


def test_the_fingerprint_is_the_one_of_alertmanager_and_knows_labels_alone() -> None:
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "12", "b": ""})
    assert fingerprint({"a": "\ud800"}) != fingerprint({"a": ""})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Disk  full\r\nSubject: no", "Disk full Subject: no"),
        ("a\x00b\x1b[31m", "a b [31m"),
        ("right\u202eleft\ufeff", "right left"),
        ("lone \ud800 half", "lone half"),
        ("  ", ""),
        ("Größe 日本", "Größe 日本"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_a_line_is_safe_in_a_header_a_log_and_a_terminal(text: str, line: str) -> None:
    assert clean_line(text) == line
    clean_line(text).encode()


def test_a_text_keeps_its_lines() -> None:
    assert clean_text("one\r\ntwo\rthree\x00") == "one\ntwo\nthree"
    assert clean_text("abcdef", 4) == "abc…"
