"""The apprise channel: every other service, by the URL that apprise has for it. An extra, imported when it is used."""

from __future__ import annotations

import importlib
import logging
import re
import socket
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from incidents.alerts import clean_line, clean_text
from incidents.promises import Outcome
from ports import outgoing
from ports.clock import Clock
from worker.channels.channel import Can, Log, Message

INSTALL = "pip install 'firedoor[apprise]'"
CONNECT_SECONDS, READ_SECONDS = 3, 5  # of one call; some services need two
WHOLE_SECONDS = 12.0  # of one message, whatever the service does; a promise's lease is longer
TITLE, TEXT = 250, 4000
CODE = re.compile(r"error=(\d{3})\b")
SCHEME = re.compile(r"[a-z0-9]+://.")
RINGS = re.compile(r"@(?=(?:everyone|here|channel|all)\b)|<(?=[!@#]|https?:)|\](?=\()", re.IGNORECASE)
UNKNOWN = "the contact's address is no URL that apprise knows"
TRY_LATER = (408, 425, 429)
ASSET = {"app_id": "Firedoor", "app_desc": "Firedoor", "app_url": "", "image_url_mask": "", "image_url_logo": ""}


class AppriseChannel:
    """No settings. The contact's address is an apprise URL, which holds its own secrets: it is never shown."""

    kind: ClassVar[str] = "apprise"
    can: ClassVar[Can] = Can(
        wakes=False,
        receipt=False,
        acknowledge=False,
        update=False,
        evidence="sent, not proven: apprise says that the service took it",
        timeout=timedelta(seconds=WHOLE_SECONDS),
        limits="title 250, text 4,000 characters; the service's own",
        permanent="a URL that apprise does not know; 3xx, 4xx where apprise says the code",
        transient="everything else; apprise hides `Retry-After`",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        self._apprise = _loaded(name)
        self._asset = self._apprise.AppriseAsset(**ASSET, allow_templates=False)
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        """One service a message. Whatever apprise raises, an unreadable URL too, ends here."""
        if not SCHEME.match(address):
            return self._outcome("no", UNKNOWN, permanent=True)
        if why := _forbidden(address):
            return self._outcome("no", why, permanent=True)
        try:
            service = self._apprise.Apprise.instantiate(_timed(address), asset=self._asset)
            if service is None:
                return self._outcome("no", UNKNOWN, permanent=True)
            one = self._apprise.Apprise(asset=self._asset)
            one.add(service)
            result = one.notify(
                title=_rings_nobody(clean_line(message.subject, TITLE)),
                body=_rings_nobody(clean_text(message.text, TEXT)),
                body_format="text",
                notify_type="failure" if message.facts.get("purpose") == "page" else "info",
                timeout=WHOLE_SECONDS - 1,
            )
            return self._meant(result.status.name, " ".join(str(line) for line in result.logs()))
        except Exception as error:  # one of 170 services: whether the message left, nobody can tell
            return self._outcome("ambiguous", f"apprise failed: {type(error).__name__}")

    def _meant(self, status: str, told: str) -> Outcome:
        """What the result says. Of a failure only its log knows the code; without one it may have left."""
        if status == "SUCCESS":
            return self._outcome("yes", "taken")
        if status == "NOMATCH":
            return self._outcome("no", "the URL leads to no service", permanent=True)
        code = CODE.search(told)
        if code is None:
            return self._outcome("ambiguous", f"apprise says {status.lower()}, and not why")
        number = int(code[1])
        permanent = 300 <= number < 500 and number not in TRY_LATER
        return self._outcome("ambiguous" if number == 504 else "no", f"HTTP {number}", permanent=permanent)

    def _outcome(self, result: Any, detail: str, **rest: Any) -> Outcome:
        return Outcome(result, detail=detail, channel=self.name, **rest)


def _rings_nobody(text: str) -> str:
    """Chats read `@everyone`, `<!channel>` and `[here](https://…)` in plain text too: a blank makes them text."""
    return RINGS.sub(r"\g<0> ", text)


def _loaded(name: str) -> Any:
    """The package with all its services. Its log names URLs with what is secret in them: it goes no further than here.

    Raises ValueError with what to do where the extra is not installed.
    """
    its_log = logging.getLogger("apprise")
    its_log.propagate = False
    if not any(isinstance(one, logging.NullHandler) for one in its_log.handlers):
        its_log.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of its services imports what Python 3.13 no longer has
        try:
            apprise = importlib.import_module("apprise")
        except ImportError:
            raise ValueError(f"channel {name}: the package apprise is not installed: {INSTALL}") from None
        apprise.Apprise.instantiate("json://localhost")  # loads them
    return apprise


def _forbidden(url: str) -> str:
    """An address written as a number is looked at. Names are not: apprise resolves them itself, and in many of its URLs
    what stands there is a secret, which must not be asked a name server for."""
    host = url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
    bare = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    try:
        number = bare if ":" in bare else socket.inet_ntoa(socket.inet_aton(bare))
        why = outgoing.is_forbidden(number)
    except (OSError, ValueError):
        return ""
    return f"the address {why}" if why else ""


def _timed(url: str) -> str:
    """With our time-outs, unless the URL has its own."""
    if "cto=" in url or "rto=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}cto={CONNECT_SECONDS}&rto={READ_SECONDS}"
