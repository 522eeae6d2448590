"""How a channel calls a provider over HTTP: few connections kept, guarded peers, and what each silence means."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from incidents.alerts import clean_line
from incidents.promises import Outcome
from ports import outgoing
from ports.clock import Clock
from ports.outgoing import ForbiddenAddress

CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
LONGEST_WAIT = timedelta(minutes=5)  # of a Retry-After: a page must not sleep for an hour on a provider's word
LONGEST_ANSWER = 512 * 1024  # Slack repeats the whole message in its answer
TRY_LATER = (408, 425, 429)


class Caller:
    """Calls one provider. Whatever the network does is an Outcome; only an answer is a response."""

    def __init__(self, name: str, *, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._making = threading.Lock()
        self._made: tuple[int, requests.Session] | None = None  # of which process: a child must not talk into ours

    def call(self, method: str, url: str, *, read: float = READ_SECONDS, **rest: Any) -> requests.Response | Outcome:
        """The provider's answer, to be closed by the caller; else what its silence means."""
        try:
            return self._session().request(
                method, url, timeout=(CONNECT_SECONDS, read), allow_redirects=False, stream=True, **rest
            )
        except ForbiddenAddress as error:
            return self.outcome("no", clean_line(str(error), 200), permanent=True)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            return self._unanswered(error)

    def refused(self, answer: requests.Response, said: str = "") -> Outcome:
        """What an answer that is no 2xx means: 4xx and redirects are final, all else is tried again."""
        code = answer.status_code
        detail = clean_line(f"HTTP {code} {said}".strip(), 200)
        if code == 504:  # a gateway gave up waiting: what is behind it may have sent the page
            return self.outcome("ambiguous", detail)
        retry_after = self._retry_after(answer.headers.get("Retry-After", "")) if code in (429, 503) else None
        permanent = code < 500 and code not in TRY_LATER  # redirects too: a page goes where the policy says
        return self.outcome("no", detail, permanent=permanent, retry_after=retry_after)

    def outcome(self, result: Any, detail: str, **rest: Any) -> Outcome:
        return Outcome(result, detail=detail, channel=self.name, **rest)

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        if self._made is not None:
            self._made[1].close()

    def _unanswered(self, error: Exception) -> Outcome:
        """Only what failed before the connection stood is a no: after that, the page may have arrived."""
        if isinstance(error, requests.exceptions.SSLError):
            return self.outcome("no", "the receiver's certificate is not trusted")
        if isinstance(error, requests.ConnectTimeout):
            return self.outcome("no", "the receiver did not take the connection in time")
        if isinstance(error, ValueError):
            return self.outcome("no", "the URL or a header can't be sent", permanent=True)
        cause = error.args[0] if error.args else None
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        if isinstance(reason, NewConnectionError | ConnectTimeoutError):
            return self.outcome("no", "the receiver was not reached")
        if isinstance(error, requests.ReadTimeout):
            return self.outcome("ambiguous", "the receiver did not answer in time")
        return self.outcome("ambiguous", f"the connection broke before an answer: {type(error).__name__}")

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
        with self._making:
            if self._made is None or self._made[0] != os.getpid():
                self._made = os.getpid(), outgoing.session()
            return self._made[1]


def is_web(url: str) -> bool:
    """Whether it is an http:// or https:// URL with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def web_base(url: str, name: str) -> str:
    """The setting `url` without its last slash. Raises ValueError for what can't be called."""
    if not is_web(url):
        raise ValueError(f"channel {name}: `url` must be http:// or https:// with a host")
    return url.rstrip("/")


def read_json(answer: requests.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; an empty one for whatever is wrong with it: its status has said the rest."""
    try:
        said = json.loads(_read(answer))
    except (ValueError, RecursionError, HTTPError, OSError):
        return {}
    return said if isinstance(said, dict) else {}


def read_text(answer: requests.Response) -> str:
    """The text of an answer; none for whatever is wrong with it."""
    try:
        return _read(answer).decode("utf-8", "replace")
    except (ValueError, HTTPError, OSError):
        return ""


def _read(answer: requests.Response) -> bytes:
    read, until = b"", time.monotonic() + READ_SECONDS
    while len(read) < LONGEST_ANSWER and time.monotonic() < until:
        part = answer.raw.read1(LONGEST_ANSWER, decode_content=True)
        if not part:
            break
        read += part
    return read
