"""Tokens: signed acknowledging links, and random secrets of which only the hash is stored."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"([0-9a-z]{1,11})-([a-z2-7]{20})")
_SEAL_LENGTH = 20  # base32 characters: 100 bits, and a link that fits an SMS
_SHORTEST_SECRET = 16


class Signer:
    """Seals the row of an acknowledging link: whose it is, for which page, until when.

    The token names its row and proves it. A row without its secret opens nothing, nor does a token without its row.
    Whether it has expired is for the caller, who knows `now`.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _SHORTEST_SECRET:
            raise ValueError(f"the secret key has {len(secret)} bytes; it needs at least {_SHORTEST_SECRET}")
        self._secret = secret

    def sign(self, row_id: int, salt: str, person: str, incident_id: int, promise_id: int, expires_at: datetime) -> str:
        """The token of one row: at most 32 characters that need no escaping in a URL."""
        expires = (expires_at - _EPOCH) // timedelta(microseconds=1)
        # JSON keeps the fields apart: ("ab", "c") must never seal like ("a", "bc")
        fields = json.dumps(["acknowledge", 1, row_id, salt, person, incident_id, promise_id, expires])
        seal = hmac.new(self._secret, fields.encode("ascii"), hashlib.sha256).digest()
        return f"{_base36(row_id)}-{base64.b32encode(seal).decode('ascii')[:_SEAL_LENGTH].lower()}"

    def row_id(self, token: str) -> int | None:
        """Which row the token claims to be, or None for what was never one of our tokens."""
        parts = _TOKEN.fullmatch(token)
        return int(parts[1], 36) if parts else None

    def genuine(
        self,
        token: str,
        row_id: int,
        salt: str,
        person: str,
        incident_id: int,
        promise_id: int,
        expires_at: datetime,
    ) -> bool:
        """Whether we made this token for exactly these fields; takes the same time whatever is wrong."""
        wanted = self.sign(row_id, salt, person, incident_id, promise_id, expires_at)
        # bytes: compare_digest raises on text that is not ASCII
        return hmac.compare_digest(wanted.encode("ascii"), token.encode("utf-8", "surrogatepass"))


def new_token(nbytes: int = 32) -> str:
    """A secret nobody can guess: sign-ins, sessions, API tokens. Shown once, stored as its hash."""
    return secrets.token_urlsafe(nbytes)


def new_salt() -> str:
    return secrets.token_hex(16)


def hash_token(token: str) -> str:
    """What the tables keep of a secret. A fast hash is enough: these secrets are random, not chosen by people."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _base36(number: int) -> str:
    if number < 0:
        raise ValueError(f"a row id is never negative: {number}")
    digits = _DIGITS[number % 36]
    while number := number // 36:
        digits = _DIGITS[number % 36] + digits
    return digits
