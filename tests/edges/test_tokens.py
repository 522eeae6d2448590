"""Acknowledging links can't be made, changed or borrowed by anybody without the secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ports.tokens import Signer, hash_token, new_salt, new_token

SIGNER = Signer(b"0123456789abcdef0123456789abcdef")
ROW: dict[str, Any] = {
    "row_id": 1234567,
    "salt": "5a17",
    "person": "ada",
    "incident_id": 42,
    "promise_id": 7,
    "expires_at": datetime(2026, 11, 22, 14, 39, tzinfo=UTC),
}
TOKEN = SIGNER.sign(**ROW)


def test_a_token_proves_its_own_row() -> None:
    assert SIGNER.row_id(TOKEN) == 1234567
    assert SIGNER.genuine(TOKEN, **ROW)


def test_a_token_fits_an_sms_and_needs_no_escaping_even_for_the_largest_row() -> None:
    largest = SIGNER.sign(**{**ROW, "row_id": 2**53})

    assert len(largest) <= 32
    assert largest.replace("-", "").isalnum()
    assert SIGNER.row_id(largest) == 2**53


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("row_id", 1234568),
        ("salt", "5a18"),
        ("person", "ben"),
        ("incident_id", 43),
        ("promise_id", 8),
        ("expires_at", ROW["expires_at"] + timedelta(microseconds=1)),
    ],
)
def test_a_change_of_any_field_breaks_the_seal(field: str, other: object) -> None:
    assert not SIGNER.genuine(TOKEN, **{**ROW, field: other})


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_a_change_of_any_character_breaks_the_seal(place: int) -> None:
    other = "b" if TOKEN[place] != "b" else "c"

    assert not SIGNER.genuine(TOKEN[:place] + other + TOKEN[place + 1 :], **ROW)


def test_fields_that_read_the_same_when_joined_have_different_seals() -> None:
    one = SIGNER.sign(**{**ROW, "salt": "ab", "person": "c"})
    two = SIGNER.sign(**{**ROW, "salt": "a", "person": "bc"})

    assert one != two


def test_another_secret_makes_another_token() -> None:
    assert not Signer(b"another secret of some length").genuine(TOKEN, **ROW)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Signer(b"short")


@pytest.mark.parametrize(
    "token",
    ["", "-", "42", "1-short", TOKEN.upper(), TOKEN + "a", TOKEN + "\n", " " + TOKEN, "١-" + "a" * 20, "é", "\ud800"],
)
def test_what_was_never_a_token_names_no_row_and_is_not_genuine(token: str) -> None:
    assert SIGNER.row_id(token) is None
    assert not SIGNER.genuine(token, **ROW)


@given(st.text(max_size=40))
def test_no_text_at_all_raises(token: str) -> None:
    SIGNER.row_id(token)
    assert token == TOKEN or not SIGNER.genuine(token, **ROW)


def test_the_same_moment_in_another_zone_has_the_same_seal() -> None:
    from datetime import timezone

    elsewhere = ROW["expires_at"].astimezone(timezone(timedelta(hours=3)))

    assert SIGNER.genuine(TOKEN, **{**ROW, "expires_at": elsewhere})


def test_secrets_are_long_random_and_kept_as_their_hash() -> None:
    assert len(new_token()) >= 43
    assert new_token() != new_token()
    assert new_salt() != new_salt()
    assert hash_token("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
