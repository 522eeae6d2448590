"""What every pipeline's reader needs: parts that may be missing, short lines, a version for people, a key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from incidents.alerts import clean_line
from webhooks.sources.reading import text

SHORT = 8  # of a commit's hash, for people
KEY_LIMIT = 150  # characters of a number that stays as it is

_TAG = re.compile(r"v?[0-9][0-9A-Za-z.+_-]*")
_HASH = re.compile(r"[0-9a-f]{40,64}")


def part(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object of the body; an empty one where there is none."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def line(value: Any) -> str:
    return clean_line(text(value))


def version_of(name: str, commit: str) -> str:
    """What runs now, for people: a tag that looks like a version, else the beginning of the commit."""
    if _TAG.fullmatch(name) and not _HASH.fullmatch(name):
        return name
    return commit[:SHORT] if _HASH.fullmatch(commit) else commit


def key_of(*parts: Any) -> str:
    """One text of all parts that can be a key in every database; empty where a part is missing."""
    known = [text(one).strip() for one in parts]
    if not all(known):
        return ""
    key = "/".join(known)
    if key.isascii() and key.isprintable() and len(key) <= KEY_LIMIT:
        return key
    return sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()
