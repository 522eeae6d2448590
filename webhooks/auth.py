"""Is it the sender? One of a source's live secrets, shown as a token, or used to sign the very bytes of the body.

What a sender proves itself by is a property of its kind. A token is looked at before anything is read; a signature
needs the whole body, so whoever signs gets a `Witness`, which sees every byte as it is read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Protocol, cast

from werkzeug.datastructures import Headers

from incidents.errors import NotAuthentic

REFUSAL = (
    "The Authorization header is missing or wrong. Nothing was stored. Send this source's own token as"
    " `Authorization: Bearer <token>`, or as the password of basic auth; `firedoor doctor` says which tokens are set."
)
UNSIGNED = (
    "The signature in the header {header} is missing, or this source's secret did not make it. Nothing was stored."
    " The secret that the sender signs with must be this source's; `firedoor doctor` says which sources have one."
)


class Witness(Protocol):
    """Sees a body while it is read, and refuses it afterwards if nobody who may signed it."""

    def watching(self, stream: IO[bytes]) -> IO[bytes]: ...
    def confirm(self) -> None: ...


class Authenticate(Protocol):
    """How a kind of sender proves itself: refused at once, let in at once (None), or by what the body will be."""

    def __call__(self, headers: Headers, secrets: Sequence[bytes]) -> Witness | None: ...


def by_token(headers: Headers, secrets: Sequence[bytes]) -> Witness | None:
    """A bearer token, or the password of basic auth."""
    authenticate(headers.get("Authorization"), secrets)
    return None


@dataclass(frozen=True, slots=True)
class BySignature:
    """HMAC-SHA256 over the body, in hex, in a header of its own; with a timestamp before it where one is sent."""

    header: str
    timestamp: str = ""  # the header that holds it, for senders that sign `<timestamp>:<body>`

    def __call__(self, headers: Headers, secrets: Sequence[bytes]) -> Witness:
        presented = headers.get(self.header, "").strip().lower()
        if not presented or not any(secrets):
            raise NotAuthentic(UNSIGNED.format(header=self.header))
        stamped = headers.get(self.timestamp) if self.timestamp else None
        before = b"" if stamped is None else f"{stamped}:".encode("latin-1", "replace")
        return Signed(self.header, presented.encode("latin-1", "replace"), before, secrets)


@dataclass(frozen=True, slots=True)
class BySignatureOrToken:
    """For senders that can do both: a signature is looked at where there is one."""

    signature: BySignature

    def __call__(self, headers: Headers, secrets: Sequence[bytes]) -> Witness | None:
        return self.signature(headers, secrets) if self.signature.header in headers else by_token(headers, secrets)


class Signed:
    """The witness of a signed body: it never holds the body, so it can judge one that is too large to keep."""

    def __init__(self, header: str, presented: bytes, before: bytes, secrets: Sequence[bytes]) -> None:
        self._header, self._presented = header, presented
        self._made = [hmac.new(secret, before, sha256) for secret in secrets if secret]
        self._stream: IO[bytes] | None = None

    def watching(self, stream: IO[bytes]) -> IO[bytes]:
        self._stream = stream
        return cast("IO[bytes]", self)  # whoever reads a body asks for nothing but `read`

    def read(self, size: int = -1) -> bytes:
        assert self._stream is not None
        part = self._stream.read(size)
        for made in self._made:
            made.update(part)
        return part

    def confirm(self) -> None:
        # Every secret, because stopping at the first that fits tells which one it was.
        matches = [hmac.compare_digest(self._presented, made.hexdigest().encode()) for made in self._made]
        if not any(matches):
            raise NotAuthentic(UNSIGNED.format(header=self._header))


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
