"""Is it the sender? One of a source's live secrets, as a bearer token or as the password of basic auth."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import sha256

from incidents.errors import NotAuthentic

REFUSAL = (
    "The Authorization header is missing or wrong. Nothing was stored. Send this source's own token as"
    " `Authorization: Bearer <token>`, or as the password of basic auth; `firedoor doctor` says which tokens are set."
)


def authenticate(authorization: str | None, secrets: Sequence[bytes]) -> None:
    """Refuse whoever does not present one of the secrets. Two may be live at once, so that they can be rotated."""
    presented = sha256(_presented(authorization or "")).digest()
    # Bytes, because compare_digest raises for text beyond ASCII; digests, because its time tells of unequal lengths;
    # every secret, because stopping at the first that fits tells which one it was. An empty secret is none.
    matches = [hmac.compare_digest(presented, sha256(secret).digest()) for secret in secrets if secret]
    if not any(matches):
        raise NotAuthentic(REFUSAL)


def _presented(authorization: str) -> bytes:
    """The secret that a header carries. WSGI hands header bytes over as Latin-1 text."""
    scheme, _, rest = authorization.encode("latin-1", "backslashreplace").strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        return _password(rest.strip())
    return b""


def _password(encoded: bytes) -> bytes:
    """Everything after the first colon: a password may hold colons, a user's name may not."""
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
