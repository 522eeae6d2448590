"""Addresses as settings name them: whether one is a URL, where the web process is, and what is another machine."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def mail_host(public_url: str) -> str:
    host = urlsplit(public_url).hostname or "localhost"
    return host if re.search("[a-z]", host) and ":" not in host else "localhost"


def is_elsewhere(url: str | None, public_url: str) -> bool:
    """Another Firedoor than the one of this home: it must not be shown this one's own token."""
    return url is not None and url != public_url and urlsplit(url).hostname not in LOOPBACK
