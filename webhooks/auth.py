"""Is it the sender? One of a source's live secrets, shown as a token, or used to sign the very bytes of the body.

What a sender proves itself by is a property of its kind. A token is looked at before anything is read; a signature
needs the whole body, so whoever signs gets a `Witness`, which sees every byte as it is read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
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

NOT_SHOWN = (
    "The header {header} is missing, or it is not this source's secret. Nothing was stored."
    " `firedoor doctor` says which sources have one."
)
SIGNED, VERSION, SIGNING_KEY = "webhook-signature", "v1,", b"whsec_"


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
    prefix: str = ""  # what stands before the hex, such as `sha256=`

    def __call__(self, headers: Headers, secrets: Sequence[bytes]) -> Witness:
        presented = headers.get(self.header, "").strip().lower()
        if not presented.startswith(self.prefix) or presented == self.prefix or not any(secrets):
            raise NotAuthentic(UNSIGNED.format(header=self.header))
        stamped = headers.get(self.timestamp) if self.timestamp else None
        before = b"" if stamped is None else f"{stamped}:".encode("latin-1", "replace")
        made = [hmac.new(secret, before, sha256) for secret in secrets if secret]
        return Signed(self.header, [presented.removeprefix(self.prefix)], made, _in_hex)


@dataclass(frozen=True, slots=True)
class BySignatureOrToken:
    """For senders that can do both: a signature is looked at where there is one."""

    signature: BySignature

    def __call__(self, headers: Headers, secrets: Sequence[bytes]) -> Witness | None:
        return self.signature(headers, secrets) if self.signature.header in headers else by_token(headers, secrets)


@dataclass(frozen=True, slots=True)
class BySigningToken:
    """By Standard Webhooks, where one of the secrets is such a key (`whsec_…`); else the secret in clear, in a header.

    The age of a signature is not looked at: what is sent again has its old number, and is the row that is here.
    """

    token: str  # the header that carries the secret in clear

    def __call__(self, headers: Headers, secrets: Sequence[bytes]) -> Witness | None:
        keys = [key for secret in secrets if (key := _signing_key(secret))]
        presented = [one[len(VERSION) :] for one in headers.get(SIGNED, "").split() if one.startswith(VERSION)]
        if keys and presented:
            before = f"{headers.get('webhook-id', '')}.{headers.get('webhook-timestamp', '')}."
            made = [hmac.new(key, before.encode("latin-1", "replace"), sha256) for key in keys]
            return Signed(SIGNED, presented, made, _in_base64)
        shown = headers.get(self.token, "").encode("latin-1", "backslashreplace")
        if not _is_one_of(shown, secrets):
            raise NotAuthentic(NOT_SHOWN.format(header=self.token))
        return None


class Signed:
    """The witness of a signed body: it never holds the body, so it can judge one that is too large to keep."""

    def __init__(
        self, header: str, presented: Sequence[str], made: Sequence[hmac.HMAC], written: Callable[[bytes], bytes]
    ) -> None:
        self._header, self._made, self._written = header, made, written
        self._presented = [one.encode("latin-1", "replace") for one in presented]
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
        expected = [self._written(made.digest()) for made in self._made]
        matches = [hmac.compare_digest(shown, one) for shown in self._presented for one in expected]
        if not any(matches):
            raise NotAuthentic(UNSIGNED.format(header=self._header))


def authenticate(authorization: str | None, secrets: Sequence[bytes]) -> None:
    """Refuse whoever does not present one of the secrets. Two may be live at once, so that they can be rotated."""
    if not _is_one_of(_presented(authorization or ""), secrets):
        raise NotAuthentic(REFUSAL)


def _is_one_of(shown: bytes, secrets: Sequence[bytes]) -> bool:
    presented = sha256(shown).digest()
    # Bytes, because compare_digest raises for text beyond ASCII; digests, because its time tells of unequal lengths;
    # every secret, because stopping at the first that fits tells which one it was. An empty secret is none.
    matches = [hmac.compare_digest(presented, sha256(secret).digest()) for secret in secrets if secret]
    return any(matches)


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


def _signing_key(secret: bytes) -> bytes:
    """The key of a signing token; empty for any other secret."""
    if not secret.startswith(SIGNING_KEY):
        return b""
    try:
        return base64.b64decode(secret.removeprefix(SIGNING_KEY), validate=True)
    except binascii.Error:
        return b""


def _in_hex(digest: bytes) -> bytes:
    return digest.hex().encode()


def _in_base64(digest: bytes) -> bytes:
    return base64.b64encode(digest)
