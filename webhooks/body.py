"""The bytes of a request: read whole within bounds, inflated within bounds, and never interpreted."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import IO

LIMIT = 10 * 2**20  # a body up to here is taken whole, also after inflating
KEPT = 2**20  # of a larger one so much is kept, for a person to read
DRAINED = 256 * 2**20  # what a sender may still push while we let it finish, so that it gets to read our answer
CHUNK = 2**16


class BodyCutShort(Exception):
    """The connection ended before the body did."""


@dataclass(frozen=True, slots=True)
class Body:
    """What to store, and whether it is only the beginning of what was sent."""

    content: bytes
    oversized: str = ""  # in words for the record, empty where the body is whole
    inflated: bool = False


def read_body(stream: IO[bytes], *, length: int | None, encoding: str) -> Body:
    """Read a request's body; `length` is what its Content-Length says, None for one whose end the stream marks.

    Never a byte more than `length` is asked for: behind them lies the sender's next request, or a wait.
    """
    too_large = length is not None and length > LIMIT
    content = _read(stream, KEPT if too_large else LIMIT + 1 if length is None else length)
    if length is not None and not too_large and len(content) < length:
        raise BodyCutShort
    if len(content) > LIMIT or too_large:
        size = len(content) + _drain(stream, DRAINED if length is None else min(DRAINED, length - len(content)))
        return Body(content[:KEPT], oversized=f"{size} bytes were sent")
    if encoding in ("gzip", "x-gzip"):
        return _inflate(content)
    return Body(content)


def _read(stream: IO[bytes], limit: int) -> bytes:
    """Up to so many bytes. One `read` may return fewer than are still to come."""
    parts: list[bytes] = []
    missing = limit
    while missing and (part := stream.read(missing)):
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _drain(stream: IO[bytes], limit: int) -> int:
    drained = 0
    while drained < limit and (part := stream.read(min(CHUNK, limit - drained))):
        drained += len(part)
    return drained


def _inflate(content: bytes) -> Body:
    """Unpack gzip, but not a bomb. What can't be unpacked is kept as it came: a person must see it."""
    inflated = bytearray()
    rest = content
    try:
        while rest:  # a gzip file may have several members
            member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            inflated += member.decompress(rest, LIMIT + 1 - len(inflated))
            if len(inflated) > LIMIT:
                return Body(content[:KEPT], oversized=f"{len(content)} bytes inflate to more than {LIMIT}")
            if not member.eof:
                return Body(content)
            rest = member.unused_data
    except zlib.error:
        return Body(content)
    return Body(bytes(inflated), inflated=True)
