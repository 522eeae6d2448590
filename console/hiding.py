"""Hides what a policy file says in clear and nobody needs to read: a page is no place for a secret."""

from __future__ import annotations

import re

HIDDEN = "•••••• (hidden)"
# Keys whose values prove something. A reference such as env:NAME proves nothing and is shown.
NAMED = "secret|token|password|passphrase|api_key|key|client_secret|authorization|url|address"
_KEY = re.compile(rf"^(?P<before>.*?\b(?:{NAMED})[\"']?\s*:)(?P<after>.*)$", re.IGNORECASE)
_REFERENCE = re.compile(r"(env|file|systemd|credential):[\w./-]+")
_PLAIN_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+")
_URL = re.compile(r"(?P<host>https?://[\w.-]+(:\d+)?/?)(?P<path>.*)")  # the path of a receiver is often its secret
INSTEAD = rf"\1{HIDDEN}@"
_USERINFO = re.compile(r"(://)[^/\s@]+@")


def without_secrets(text: str) -> list[str]:
    """The lines of the file, each secret value replaced. It reads lines, not YAML: a faulty file hides no less."""
    lines, deeper_than = [], None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if deeper_than is not None and (indent > deeper_than or not line.strip()):
            lines.append(f"{line[:indent]}{HIDDEN}" if line.strip() else line)
            continue
        shown, opens = _hidden(line)
        deeper_than = indent if opens else None
        lines.append(shown)
    return lines


def _hidden(line: str) -> tuple[str, bool]:
    """The line without its secrets, and whether the value of a secret key goes on below it."""
    found = None if line.lstrip().startswith("#") else _KEY.match(line)
    if found is None:
        return _USERINFO.sub(INSTEAD, line), False
    value, rest = _value(found["after"])
    if not value or value[0] in "|>":
        return line, found["after"].strip()[:1] in ("|", ">")
    shown = _shown(value)
    lead = found["after"][: len(found["after"]) - len(found["after"].lstrip())]
    tail, opens = _hidden(rest) if rest else ("", False)
    before = _USERINFO.sub(INSTEAD, found["before"])
    return f"{before}{lead}{shown}{tail}", opens


def _value(after: str) -> tuple[str, str]:
    """The value of a key, and the rest of a line that says more keys: `{token: x, room: y}`."""
    bare = after.lstrip()
    if bare[:1] in ("'", '"'):
        end = bare.find(bare[0], 1)
        return (bare[: end + 1], bare[end + 1 :]) if end > 0 else (bare, "")
    end = min((at for at in (bare.find(", "), bare.find("}"), bare.find(" #")) if at >= 0), default=len(bare))
    return bare[:end].rstrip(), bare[end:]


def _shown(value: str) -> str:
    bare = value.strip("'\" ")
    if _REFERENCE.fullmatch(bare) or _PLAIN_ADDRESS.fullmatch(bare):
        return value
    url = _URL.fullmatch(bare)
    return f"{url['host']}{HIDDEN if url['path'] else ''}" if url else HIDDEN
