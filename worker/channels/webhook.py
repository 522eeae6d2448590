"""The webhook channel: one signed JSON POST to the URL that the policy names."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from incidents.alerts import clean_line
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.channel import Log, Message

CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
LONGEST_WAIT = timedelta(minutes=5)  # of a Retry-After: a page must not sleep for an hour on a provider's word
LONGEST_ANSWER = 64 * 1024
KEY_CHARACTERS = ":/@+,;= "  # beside letters and digits; a header takes no others safely
TRY_LATER = (408, 425, 429)
NEVER_CALLED = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")  # link-local, where clouds hand out credentials


class ForbiddenAddress(Exception):
    """The URL leads to an address that no page goes to."""


class WebhookChannel:
    """Settings: `secret` and `url`. Without a `url` the contact's address is the URL."""

    kind: ClassVar[str] = "webhook"
    wakes: ClassVar[bool] = True
    receipt: ClassVar[bool] = True
    evidence: ClassVar[str] = 'delivered, when the answer says `{"delivered": true}`; else sent, not proven'
    timeout: ClassVar[timedelta] = timedelta(seconds=CONNECT_SECONDS + READ_SECONDS)
    limits: ClassVar[str] = "the receiver's: 429 or 503 with Retry-After is honoured, up to 5 minutes"

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        if not settings.get("secret"):
            raise ValueError(f"channel {name}: `secret` is missing; each POST is signed with it")
        self._secret = str(settings["secret"]).encode("utf-8")
        self._url = str(settings.get("url") or "")
        if self._url and not _is_web(self._url):
            raise ValueError(f"channel {name}: `url` must be http:// or https:// with a host")
        self._threads = threading.local()  # a session is not made for several threads
        self._clock = clock
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        url = self._url or address
        if not _is_web(url):
            return self._outcome("no", "the contact's address must be an http:// or https:// URL", permanent=True)
        body = _body(message, address if self._url else "")
        try:
            answer = self._session().post(
                url,
                data=body,
                headers=self._headers(message, body),
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            )
        except ForbiddenAddress as error:
            return self._outcome("no", str(error), permanent=True)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return self._unanswered(error)
        try:
            return self._answered(answer)
        finally:
            answer.close()

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "Firedoor",
            "Idempotency-Key": quote(message.key, safe=KEY_CHARACTERS),
            "X-Firedoor-Timestamp": timestamp,
            "X-Firedoor-Signature": signature(self._secret, timestamp, body),
        }

    def _answered(self, answer: requests.Response) -> Outcome:
        code = answer.status_code
        if 200 <= code < 300:
            said = _read(answer)
            ref = said.get("id")
            return self._outcome(
                "yes",
                f"HTTP {code}",
                delivered=said.get("delivered") is True,
                provider_ref=clean_line(str(ref)) if isinstance(ref, str | int) else None,
            )
        if code == 504:  # a gateway gave up waiting: what is behind it may have sent the page
            return self._outcome("ambiguous", "HTTP 504")
        retry_after = self._retry_after(answer.headers.get("Retry-After", "")) if code in (429, 503) else None
        permanent = code < 500 and code not in TRY_LATER  # redirects too: a signed page goes where the policy says
        return self._outcome("no", f"HTTP {code}", permanent=permanent, retry_after=retry_after)

    def _unanswered(self, error: Exception) -> Outcome:
        """Only what failed before the connection stood is a no: after that, the page may have arrived."""
        if isinstance(error, requests.exceptions.SSLError):
            return self._outcome("no", "the receiver's certificate is not trusted")
        if isinstance(error, requests.ConnectTimeout):
            return self._outcome("no", "the receiver did not take the connection in time")
        if isinstance(error, ValueError):
            return self._outcome("no", "the URL or a header can't be sent", permanent=True)
        cause = error.args[0] if error.args else None
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        if isinstance(reason, NewConnectionError | ConnectTimeoutError):
            return self._outcome("no", "the receiver was not reached")
        if isinstance(error, requests.ReadTimeout):
            return self._outcome("ambiguous", "the receiver did not answer in time")
        return self._outcome("ambiguous", f"the connection broke before an answer: {type(error).__name__}")

    def _retry_after(self, value: str) -> timedelta | None:
        """Seconds, or a date."""
        if value.isascii() and value.isdigit():
            return min(timedelta(seconds=min(int(value[:9]), 10**6)), LONGEST_WAIT)
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        aware: datetime = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(max(aware - self._clock.now(), timedelta(0)), LONGEST_WAIT)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._threads.session = requests.Session()
            session.trust_env = False  # no proxy, .netrc or password that the policy did not name
            for scheme in ("http://", "https://"):
                session.mount(scheme, _GuardedAdapter())
        return session

    def _outcome(self, result: Any, detail: str, **rest: Any) -> Outcome:
        return Outcome(result, detail=detail, channel=self.name, **rest)

    def close(self) -> None:
        """Close this thread's connections."""
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is not None:
            session.close()


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 over `<timestamp>.<body>`: what a receiver computes to know that it is us."""
    return "v1=" + hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _body(message: Message, to: str) -> bytes:
    said = {
        "version": 1,
        "purpose": str(message.facts.get("purpose", "")),
        "incident": message.thread,
        "key": message.key,
        "attempt": message.attempt,
        "to": to,
        "subject": message.subject,
        "short": message.short,
        "text": message.text,
        "link": message.link,
    }
    try:
        text = json.dumps({**said, "facts": dict(message.facts)}, ensure_ascii=False, allow_nan=False, default=str)
    except (ValueError, TypeError, RecursionError):  # a value that JSON can't say must not lose the page
        text = json.dumps(said, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace")  # lone surrogates become "?": strict receivers refuse them


def _read(answer: requests.Response) -> dict[str, Any]:
    """The JSON object of a positive answer. Whatever is wrong with it, the answer was a yes."""
    read, until = b"", time.monotonic() + READ_SECONDS
    try:
        while len(read) < LONGEST_ANSWER and time.monotonic() < until:
            part = answer.raw.read1(LONGEST_ANSWER, decode_content=True)
            if not part:
                break
            read += part
        said = json.loads(read)
    except (ValueError, RecursionError, HTTPError, OSError):
        return {}
    return said if isinstance(said, dict) else {}


# The peer is looked at after the connection stands and before a byte is sent: no spelling of an address, no redirect
# and no name server that answers differently the second time gets around that.


def _allowed(connection: HTTPConnection, connected: socket.socket) -> socket.socket:
    address = ipaddress.ip_address(str(connected.getpeername()[0]).partition("%")[0])
    plain = getattr(address, "ipv4_mapped", None) or address
    if any(plain in ipaddress.ip_network(network) for network in NEVER_CALLED):
        connected.close()
        raise ForbiddenAddress(f"{clean_line(connection.host, 80)} is a link-local address: no page goes there")
    return connected


class _GuardedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _allowed(self, super()._new_conn())


class _GuardedTLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _allowed(self, super()._new_conn())


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedTLSPool}
