"""Reads a request of the JSON API: who asks, what the fields say, and every fault of them at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import Request, g
from sqlalchemy import Connection

from console.fields import Field
from console.problems import FieldFaults, NotReadable, WrongType
from incidents import accounts
from incidents.apitokens import SEEN_EVERY
from incidents.book import Book
from incidents.errors import NotAuthentic, NotFound
from incidents.verbs import Actor
from ports.tokens import hash_token

GREATEST = 2**63 - 1  # of a BIGINT
MOST_TEXTS = 100  # of a list in a body
KEY = re.compile(r"[\x21-\x7e]{1,200}")
SURROGATE = re.compile(r"[\ud800-\udfff]")


def actor(session: Connection, request: Request, *, book: Book, now: datetime) -> Actor:
    """The person behind the bearer token. Cookies are never looked at, so no other site's form can act here."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthentic(
            "No bearer token came with the request. Nothing was done. "
            "Send `Authorization: Bearer TOKEN`; `firedoor tokens new PERSON` makes one."
        )
    holder = accounts.behind(session, "api", hash_token(token.strip()), now=now)
    if holder is None:
        raise NotAuthentic(
            "This bearer token is unknown or has expired. Nothing was done. `firedoor tokens new PERSON` makes one."
        )
    if holder.person is not None and holder.person not in book.policy.people:
        raise NotAuthentic(
            f"This bearer token belongs to {holder.person}, who is no longer in the policy. Nothing was done. "
            "Ask for a token of your own."
        )
    if holder.seen_at is None or holder.seen_at < now - SEEN_EVERY:
        g.used_token = hash_token(token.strip())  # noted after the answer, so that reading waits for no write
    via = "cli" if request.headers.get("User-Agent", "").startswith("firedoor-cli/") else "api"
    return holder.actor(book, via)


def check_path(path: Mapping[str, Any]) -> None:
    """What no database could hold names nothing that there is."""
    for value in path.values():
        if isinstance(value, int) and value > GREATEST:
            raise NotFound(f"There is nothing with the number {str(value)[:30]}. Nothing was done.")
        if isinstance(value, str) and ("\0" in value or SURROGATE.search(value)):
            raise NotFound("There is no incident of that name. Nothing was done.")


def body(request: Request) -> dict[str, Any]:
    """The JSON object of the body; an empty body is an empty object."""
    raw = request.get_data(cache=True)
    if not raw.strip():
        return {}
    if not request.is_json:
        raise WrongType()
    try:
        value = json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise NotReadable("The body is nested too deep to be read. Nothing was done.") from error
    except ValueError as error:
        raise NotReadable(f"The body is not JSON ({error}). Nothing was done; mend it and send it again.") from error
    if not isinstance(value, dict):
        raise FieldFaults([("body", "must be a JSON object")])
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def fields(given: Mapping[str, Any], known: Iterable[Field]) -> dict[str, Any]:
    """The fields that a verb takes, or every fault at once."""
    known = list(known)
    names = {one.name for one in known}
    faults = [(name, f"is not a field here; accepted: {_listed(names)}") for name in given if name not in names]
    values: dict[str, Any] = {}
    for one in known:
        value = given.get(one.name)
        fault = "is missing" if one.required and value in (None, "") else _fault(one, value)
        if fault:
            faults.append((one.name, fault))
        elif value is not None:
            values[one.name] = value
    if faults:
        raise FieldFaults([(_printable(name), what) for name, what in faults])
    return values


def query(request: Request, known: Sequence[Field]) -> dict[str, Any]:
    """The query string's fields, numbers and times read."""
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        one = next((field for field in known if field.name == name), None)
        text = values[-1]
        if one is not None and not text:
            continue  # `?status=` is how a form says nothing
        is_number = one is not None and one.kind == "integer" and re.fullmatch(r"[0-9]{1,18}", text)
        given[name] = int(text) if is_number else text
    values_read = fields(given, known)
    times = {field.name for field in known if field.form == "date-time"}
    return {name: moment(value) if name in times else value for name, value in values_read.items()}


def version(request: Request, given: Mapping[str, Any]) -> int | None:
    """The version that the caller read: `version` in the body, else If-Match."""
    if given.get("version") is not None:
        return int(given["version"])
    header = request.headers.get("If-Match", "").strip()
    if header in ("", "*"):
        return None
    number = header.strip('"').partition(".")[0]  # what follows the version says only whether anything is new to read
    if not re.fullmatch(r"\d{1,18}", number, re.ASCII):
        raise FieldFaults([("If-Match", 'must be the ETag of the incident, such as "7.4f2a1c9b7d3e"')])
    return int(number)


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        raise FieldFaults([("Idempotency-Key", "must be 1 to 200 printable characters without spaces")])
    return key


def _fault(one: Field, value: Any) -> str | None:
    """What is wrong with one value, if anything."""
    if value is None:
        return None
    if one.kind == "integer":
        return _integer_fault(one, value)
    if one.kind == "array":
        return _array_fault(one, value)
    if one.kind == "numbers":
        return _numbers_fault(one, value)
    if not isinstance(value, str):
        return "must be a text"
    if one.one_of and value not in one.one_of:
        return f"must be one of {_listed(one.one_of)}"
    if one.pattern and not re.fullmatch(one.pattern, value):
        return "is not one that this list gave"
    if len(value) > one.longest:
        return f"is longer than {one.longest} characters"
    if "\0" in value or SURROGATE.search(value):
        return "has characters that can't be stored (NUL or half of a surrogate pair)"
    if one.form == "date-time" and moment(value) is None:
        return "must be a time with its zone, such as 2026-01-05T14:30:00Z"
    return None


def _array_fault(one: Field, value: Any) -> str | None:
    if not isinstance(value, list) or len(value) > MOST_TEXTS:
        return f"must be a list of at most {MOST_TEXTS} texts"
    text = replace(one, kind="string")
    return next((fault for fault in (_fault(text, each) or _null_fault(each) for each in value) if fault), None)


def _null_fault(value: Any) -> str | None:
    return "must be a list of texts" if value is None else None


def _numbers_fault(one: Field, value: Any) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= 1000:
        return "must be a list of 1 to 1000 whole numbers"
    return next((fault for item in value if (fault := _integer_fault(one, item))), None)


def _integer_fault(one: Field, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return "must be a whole number"
    if one.name == "limit":
        return None if 1 <= value <= 200 else "must be from 1 to 200"
    return None if 0 <= value <= GREATEST else "is out of range"


def moment(value: str) -> datetime | None:
    """A time with its zone, in UTC; None for anything else."""
    try:
        read = datetime.fromisoformat(value)
        return None if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"


def _printable(name: str) -> str:
    return SURROGATE.sub("\ufffd", name).replace("\0", "\ufffd")[:100]
