"""The body of a delivery as text for a person: the beginning of it, and nothing in it that steers who looks at it."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass

LIMIT = 16 * 1024  # bytes of a body that are shown
LONGEST = 4 * LIMIT  # characters of JSON that is laid out: a few brackets, nested deep, would become megabytes
KEPT = frozenset("\n\t")
UNDECODABLE = range(0xDC80, 0xDD00)  # where Python's `surrogateescape` puts a byte that is not UTF-8
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
OPENING, CLOSING = ("{", "["), ("}", "]")


@dataclass(frozen=True, slots=True)
class Readable:
    """Text of printable characters, spaces, tabs and ends of lines alone."""

    text: str
    cut: bool  # there is more of the body than this
    laid_out: bool  # it is JSON, and the white space between its parts is ours
    escaped: int  # how many bytes and characters are written as an escape instead


def readable(body: bytes, size: int) -> Readable:
    """`body` is the beginning of what came, or all of it; `size` is how many bytes came."""
    cut = size > LIMIT
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")  # a character that the cut halves is left out
    text = decoder.decode(body[:LIMIT], final=not cut)
    lines = None if cut else _laid_out(text)
    shown = [one if one in KEPT or one.isprintable() else _escape(one) for one in lines or text]
    return Readable("".join(shown), cut, lines is not None, sum(len(one) > 1 for one in shown))


def _escape(character: str) -> str:
    """`\\x9b` is a byte, `\\u009b` a character: whoever mends a sender needs to know which of both came."""
    code = ord(character)
    if code in UNDECODABLE:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _laid_out(text: str) -> str | None:
    """JSON with a line for each of its parts, each as it was written: a key that is there twice stays there twice.

    None where it is no JSON, or would become too long.
    """
    try:
        text.encode()
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    pieces: list[str] = []
    depth, length, before = 0, 0, ""
    for token in TOKEN.findall(text):
        depth -= token in CLOSING
        pieces += [_space(before, token, depth), token]
        length += len(pieces[-2]) + len(token)
        if length > LONGEST:
            return None
        depth += token in OPENING
        before = token
    return "".join(pieces)


def _space(before: str, token: str, depth: int) -> str:
    """What stands between two parts: a line begins after each opening and comma, and before each closing."""
    if token in CLOSING:
        return "" if before in OPENING else f"\n{'  ' * depth}"
    if before in OPENING or before == ",":
        return f"\n{'  ' * depth}"
    return " " if before == ":" else ""
