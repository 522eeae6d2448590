"""The webhook channel against a real HTTP server: what is signed and sent, and what each answer or silence means."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ports import outgoing
from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.waiting import free_port
from worker.channels import webhook
from worker.channels.webhook import WebhookChannel

NOW = datetime(2026, 11, 21, 14, 39, tzinfo=UTC)
SECRET = "a webhook secret"


@dataclass
class Provider:
    """What it answers, and what it was sent."""

    url: str = ""
    code: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_up: bool = False
    before_answer: Callable[[], object] = lambda: None
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)


@pytest.fixture
def provider() -> Iterator[Provider]:
    provided = Provider()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            provided.requests.append((dict(self.headers), body))
            provided.peers.add(self.client_address)
            provided.before_answer()
            if provided.hang_up:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(provided.code)
            for name, value in provided.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(provided.body)))
            self.end_headers()
            self.wfile.write(provided.body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    provided.url = f"http://127.0.0.1:{server.server_port}/pages?token=hidden"
    yield provided
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def opened() -> Iterator[Callable[..., WebhookChannel]]:
    made: list[WebhookChannel] = []

    def open_(url: str = "", secret: str = SECRET) -> WebhookChannel:
        settings = {"url": url, "secret": secret}
        made.append(WebhookChannel("hook", settings, log=Lines(), clock=SettableClock(NOW)))
        return made[-1]

    yield open_
    for channel in made:
        channel.close()


Opened = Callable[..., WebhookChannel]


def test_a_page_is_signed_and_carries_its_key(provider: Provider, opened: Opened) -> None:
    outcome = opened(provider.url).send(a_message(attempt=2), "ada")

    assert (outcome.result, outcome.delivered, outcome.channel) == ("yes", False, "hook")
    [(headers, body)] = provider.requests
    stamp = headers["X-Firedoor-Timestamp"]
    assert stamp == str(int(NOW.timestamp()))
    expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Firedoor-Signature"] == f"v1={expected}"
    assert headers["Idempotency-Key"] == "page:42:r1:ada:1"
    said = json.loads(body)
    assert (said["incident"], said["attempt"], said["to"], said["link"]) == (
        "INC-042",
        2,
        "ada",
        "https://o.io/ack/1a",
    )
    assert said["facts"]["person"] == {"id": "ada", "name": "Ada"}


def test_without_a_url_in_the_policy_the_contacts_address_is_the_url(provider: Provider, opened: Opened) -> None:
    assert opened().send(a_message(), provider.url).result == "yes"


def test_the_answer_may_prove_delivery_and_name_its_own_id(provider: Provider, opened: Opened) -> None:
    provider.code, provider.body = 202, b'{"delivered": true, "id": "msg-17"}'

    outcome = opened(provider.url).send(a_message(), "")

    assert (outcome.result, outcome.delivered, outcome.provider_ref) == ("yes", True, "msg-17")


@pytest.mark.parametrize("body", [b"", b"ok", b"[1]", b'{"delivered": "yes"}', b"[" * 60_000, b"\xff", b"x" * 200_000])
def test_an_answer_that_can_not_be_read_is_still_a_yes_and_no_proof(
    provider: Provider, opened: Opened, body: bytes
) -> None:
    provider.body = body

    outcome = opened(provider.url).send(a_message(), "")

    assert (outcome.result, outcome.delivered, outcome.provider_ref) == ("yes", False, None)


@pytest.mark.parametrize(
    ("code", "result", "permanent"),
    [
        (204, "yes", False),
        (301, "no", True),
        (302, "no", True),
        (307, "no", True),
        (400, "no", True),
        (401, "no", True),
        (404, "no", True),
        (410, "no", True),
        (408, "no", False),
        (429, "no", False),
        (500, "no", False),
        (502, "no", False),
        (503, "no", False),
        (504, "ambiguous", False),
    ],
)
def test_each_status_has_its_class(provider: Provider, opened: Opened, code: int, result: str, permanent: bool) -> None:
    provider.code = code
    provider.headers = {"Location": provider.url} if 300 <= code < 400 else {}

    outcome = opened(provider.url).send(a_message(), "")

    assert (outcome.result, outcome.permanent, outcome.retry_after) == (result, permanent, None)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("999999999999", timedelta(minutes=5)),
        ("Sat, 21 Nov 2026 14:39:30 GMT", timedelta(seconds=30)),
        ("Sat, 21 Nov 2026 14:00:00 GMT", timedelta(0)),
        ("soon", None),
        ("-5", None),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured_up_to_five_minutes(
    provider: Provider, opened: Opened, code: int, value: str, wait: timedelta | None
) -> None:
    provider.code, provider.headers = code, {"Retry-After": value}

    outcome = opened(provider.url).send(a_message(), "")

    assert (outcome.result, outcome.permanent, outcome.retry_after) == ("no", False, wait)


def test_a_hang_up_after_the_request_is_ambiguous(provider: Provider, opened: Opened) -> None:
    provider.hang_up = True

    assert opened(provider.url).send(a_message(), "").result == "ambiguous"
    assert len(provider.requests) == 1


def test_silence_after_the_request_is_ambiguous(
    provider: Provider, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "READ_SECONDS", 0.2)
    given_up = threading.Event()
    provider.before_answer = lambda: given_up.wait(10)

    assert opened(provider.url).send(a_message(), "").result == "ambiguous"
    given_up.set()


@pytest.mark.parametrize("where", ["http://127.0.0.1:{port}/", "https://127.0.0.1:{port}/", "http://nobody.invalid/"])
def test_nobody_there_is_a_no_to_try_again(opened: Opened, where: str) -> None:
    outcome = opened(where.format(port=free_port())).send(a_message(), "")

    assert (outcome.result, outcome.permanent) == ("no", False)


def test_a_receiver_that_speaks_no_tls_is_a_no(provider: Provider, opened: Opened) -> None:
    outcome = opened(provider.url.replace("http:", "https:")).send(a_message(), "")

    assert outcome.result == "no"
    assert provider.requests == []


@pytest.mark.parametrize(
    "url", ["", "ada", "file:///etc/passwd", "ftp://x/", "gopher://x", "http://", "http://[", "//x", "http://x:port/"]
)
def test_only_web_addresses_are_called(opened: Opened, url: str) -> None:
    outcome = opened().send(a_message(), url)

    assert (outcome.result, outcome.permanent) == ("no", True)


@pytest.mark.parametrize(
    "peer", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "fe80::1", "fd00:ec2::254"]
)
def test_a_connection_that_ended_at_a_link_local_address_carries_nothing(
    provider: Provider, opened: Opened, peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "getpeername", lambda _: (peer, 80))

    outcome = opened(provider.url).send(a_message(), "")

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert "link-local" in outcome.detail
    assert provider.requests == []


def test_details_never_hold_the_url(provider: Provider, opened: Opened) -> None:
    provider.hang_up = True
    hung_up = opened(provider.url).send(a_message(), "")
    unreached = opened(f"http://u:secret@127.0.0.1:{free_port()}/hidden").send(a_message(), "")

    assert "hidden" not in hung_up.detail + unreached.detail
    assert "secret" not in hung_up.detail + unreached.detail


@pytest.mark.parametrize(
    "facts", [{"value": float("nan")}, {"when": NOW}, {1: "a", "b": 2}, {"text": "\ud800\x00"}, {("a",): 1}]
)
def test_no_fact_loses_the_page(provider: Provider, opened: Opened, facts: dict[Any, Any]) -> None:
    message = a_message(facts=facts, text="\ud800", key="page:ädä\r\nX: y")

    assert opened(provider.url).send(message, "\ud800").result == "yes"
    [(headers, body)] = provider.requests
    assert json.loads(body)["incident"] == "INC-042"
    assert "X" not in headers


def test_a_connection_is_kept_for_whichever_thread_sends_next(provider: Provider, opened: Opened) -> None:
    channel = opened(provider.url)
    provider.body = b"{}"

    def twice() -> None:
        for _ in range(2):
            assert channel.send(a_message(), "").result == "yes"

    twice()
    in_threads(1, twice)

    assert len(provider.requests) == 4
    assert len(provider.peers) == 1


def test_after_a_burst_few_connections_stay_open(provider: Provider, opened: Opened) -> None:
    channel = opened(provider.url)
    provider.body = b"{}"
    together = threading.Barrier(12)
    provider.before_answer = together.wait  # nobody is answered before all twelve have asked

    in_threads(12, lambda: channel.send(a_message(), ""))

    assert len(provider.peers) == 12
    assert open_connections_to(urlsplit(provider.url).port or 0) == outgoing.KEPT


def in_threads(many: int, what: Callable[[], object]) -> None:
    threads = [threading.Thread(target=what) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def open_connections_to(port: int) -> int:
    """Counted by the kernel: connections of this machine to the port that both sides hold open."""
    established, rows = "01", Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    fields = [row.split() for row in rows]
    return sum(one[2].endswith(f":{port:04X}") and one[3] == established for one in fields)
