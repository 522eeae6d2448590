"""What every source's parser needs: JSON without its traps, text, times and links as a sender may write them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

from incidents.errors import MalformedPayload

OVERSIZED = "Firedoor-Oversized"  # a header of ours among the stored ones: the body is only the beginning
DEPTH = 64
LINK_LIMIT = 8000
# A key that says which alert is meant or how it is must not be there twice: the parsers of this world disagree on
# which of the two counts, and one of them may say "resolved".
SAID_ONCE = frozenset({"status", "fingerprint", "labels", "alerts", "action", "issue_id"})

# Possessive, and a string that never ends reaches to the end: one pass, whatever the bytes.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


def read_json(body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON value of a body, or MalformedPayload with a sentence that says why it can't be understood."""
    if OVERSIZED in headers:
        raise MalformedPayload(f"The body is too large ({headers[OVERSIZED]}); its beginning is kept.")
    _refuse_depth(body)
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as fault:
        raise MalformedPayload(f"The body is not UTF-8: byte {fault.start} can't be read.") from fault
    except json.JSONDecodeError as fault:
        raise MalformedPayload(
            f"The body is not JSON: {fault.msg}, line {fault.lineno} column {fault.colno}."
        ) from fault
    except RecursionError as fault:
        raise MalformedPayload("The body is nested too deeply.") from fault
    except ValueError as fault:  # an integer of more digits than Python reads
        raise MalformedPayload("A number of the body is too long.") from fault


def text(value: Any) -> str:
    """A value as text, whatever the sender wrote. Strings stay as they are; they are cleaned where they are shown."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def texts(value: Any) -> dict[str, str]:
    """An object as text by name; anything else is no text at all."""
    return {name: text(item) for name, item in value.items()} if isinstance(value, dict) else {}


def time_of(value: Any) -> datetime | None:
    """An RFC 3339 time in UTC, to the microsecond. Year 1 is how Go writes "no time"."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value.strip().upper())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1 else None


def number(value: Any) -> float | None:
    """A plain finite number, else nothing."""
    digits = text(value).strip()
    if len(digits) > 64 or not _NUMBER.fullmatch(digits):
        return None
    found = float(digits)
    return found if math.isfinite(found) else None


def link(value: Any) -> str:
    """An address that may be shown as a link: http or https, whole, and with nothing that hides where it leads.

    A name or a password before the host does: https://bank.example@evil.example, and it may be a real one.
    """
    if not isinstance(value, str) or len(value) > LINK_LIMIT or not value.isprintable() or " " in value:
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    plain = parts.scheme in ("http", "https") and parts.netloc and "@" not in parts.netloc
    return value if plain else ""


def _refuse_depth(body: bytes) -> None:
    """Before the parser's own recursion: a deep body must not cost the process its stack."""
    if body.count(b"[") + body.count(b"{") <= DEPTH:
        return
    depth = 0
    for bracket in _STRING.sub(b"", body).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            raise MalformedPayload(f"The body is nested more than {DEPTH} levels deep.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        for name in SAID_ONCE & made.keys():
            if names.count(name) > 1:
                raise MalformedPayload(f"The body says `{name}` twice in one object.")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedPayload(f"The body holds {name}, which is no JSON.")


def _finite(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise MalformedPayload("A number of the body is too large.")
    return found
