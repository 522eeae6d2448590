"""S3: where a policy's addresses may lead. Sixty spellings, a name server that changes its mind, and redirects."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from incidents.promises import Outcome
from ports import outgoing
from ports.clock import SystemClock
from ports.outgoing import is_forbidden, read_networks
from worker.channels.apprise import _forbidden
from worker.channels.calling import Caller

NEVER = (
    "http://169.254.169.254/latest/meta-data/", "http://169.254.0.1/", "http://2852039166/", "http://0xa9fea9fe/",
    "http://0xa9.0xfe.0xa9.0xfe/", "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://169.16689662/",
    "http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/", "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::169.254.169.254]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/", "http://[fe80::1]/",
    "http://[fd00:ec2::254]/", "http://[fd20:ce::254]/", "http://[ff02::1]/", "http://[::]/", "http://0.0.0.0/",
    "http://0/", "http://0x0/", "http://000/", "http://0.1.2.3/", "http://[::ffff:0.0.0.0]/", "http://224.0.0.1/",
    "http://255.255.255.255/", "http://240.0.0.1/", "http://100.100.100.200/", "http://168.63.129.16/",
    "http://example.com@169.254.169.254/", "http://example.com%40x@169.254.169.254/", "http://169.254.169.254:80/",
    "https://169.254.169.254/", "http://169.254.169.254#@example.com/", "http://169.254.169.254?@example.com/",
)  # fmt: skip
INSIDE = (
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0x7f.1/", "http://0x7f000001/", "http://2130706433/",
    "http://017700000001/", "http://0177.0.0.1/", "http://127.255.255.254/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/", "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://x@127.0.0.1/",
    "http://10.0.0.1/", "http://10.1/", "http://0xa.1/", "http://172.16.0.1/", "http://172.31.255.255/",
    "http://192.168.0.1/", "http://192.168.1/", "http://100.64.0.1/", "http://198.18.0.1/", "http://[fc00::1]/",
    "http://[fd12:3456::1]/", "http://[::ffff:10.0.0.1]/", "http://192.0.2.1/", "http://[2001:db8::1]/",
)  # fmt: skip


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    yield
    outgoing.allow(None)


def call(url: str) -> Outcome:
    caller = Caller("phone", clock=SystemClock())
    answer = caller.call("GET", url)
    caller.close()
    if not isinstance(answer, Outcome):
        answer.close()
        return Outcome("yes", "answered")
    return answer


class Listener(HTTPServer):
    """Counts who came, and answers as it is told."""

    def __init__(self, host: str, port: int = 0, location: str = "") -> None:
        self.came: list[str] = []
        listener = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.came.append(self.headers["Host"])
                self.send_response(302 if location else 200)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__((host, port), Answering)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()


def test_there_are_sixty_spellings_and_more() -> None:
    assert len({*NEVER, *INSIDE}) >= 60


@pytest.mark.parametrize("url", NEVER)
def test_nothing_goes_to_metadata_or_link_local_whatever_is_allowed(url: str) -> None:
    outgoing.allow([ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")])

    outcome = call(url)

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert "nothing goes there" in outcome.detail


@pytest.mark.parametrize("url", INSIDE)
def test_nothing_goes_inside_where_only_the_internet_is_allowed(url: str) -> None:
    outgoing.allow([])

    outcome = call(url)

    assert (outcome.result, outcome.permanent) == ("no", True)
    assert "FIREDOOR_OUTGOING does not allow" in outcome.detail


def test_own_networks_are_allowed_unless_the_operator_says_otherwise() -> None:
    listener = Listener("127.0.0.1")
    url = f"http://127.0.0.1:{listener.server_port}/"

    assert call(url).result == "yes"
    outgoing.allow(read_networks("10.0.0.0/8, 127.0.0.1"))
    assert call(url).result == "yes"
    outgoing.allow(read_networks("10.0.0.0/8"))
    assert call(url).permanent
    listener.end()
    assert len(listener.came) == 2


def test_a_name_server_that_changes_its_mind_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked at is what is connected to: the second answer is never asked for."""
    good = Listener("127.0.0.2")
    bad = Listener("127.0.0.3", good.server_port)
    asked: list[str] = []
    real = socket.getaddrinfo

    def changing(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "rebinding.example.com":
            return real(host, *rest, **more)
        asked.append(host)
        return real("127.0.0.2" if len(asked) == 1 else "127.0.0.3", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    outgoing.allow([ipaddress.ip_network("127.0.0.2/32")])
    url = f"http://rebinding.example.com:{good.server_port}/"

    assert call(url).result == "yes"
    assert call(url).permanent, "now it says 127.0.0.3, which is not allowed"
    good.end()
    bad.end()
    assert good.came == [f"rebinding.example.com:{good.server_port}"], "under the name that the URL says"
    assert bad.came == []


def test_of_several_addresses_the_forbidden_ones_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener("127.0.0.2")
    real = socket.getaddrinfo

    def several(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "several.example.com":
            return real(host, *rest, **more)
        return [found for one in ("169.254.169.254", "127.0.0.3", "127.0.0.2") for found in real(one, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    outgoing.allow([ipaddress.ip_network("127.0.0.2/32")])

    assert call(f"http://several.example.com:{listener.server_port}/").result == "yes"
    listener.end()


def test_an_address_that_swallows_what_is_sent_to_it_keeps_nobody_from_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = Listener("127.0.0.2")
    real = socket.getaddrinfo
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.3", listener.server_port))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(3)]  # its queue is full: whoever comes next gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.3", listener.server_port))

        def several(host: Any, *rest: Any, **more: Any) -> Any:
            if host != "several.example.com":
                return real(host, *rest, **more)
            return [found for one in ("127.0.0.3", "127.0.0.2") for found in real(one, *rest, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", several)

        assert call(f"http://several.example.com:{listener.server_port}/").result == "yes"
        for one in waiting:
            one.close()
    listener.end()


def test_each_of_several_addresses_has_time_for_a_long_road(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that each is given is written down where the connection begins, as it is for every library's."""
    given: list[float | None] = []
    real = HTTPConnection._new_conn

    def connect(self: HTTPConnection) -> socket.socket:
        given.append(self.timeout if isinstance(self.timeout, int | float) else None)
        return real(self)

    def several(_host: Any, port: Any, *_rest: Any, **_more: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (11, 12, 13, 2)]

    listener = Listener("127.0.0.2")
    monkeypatch.setattr(HTTPConnection, "_new_conn", connect)
    real_lookup = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *rest, **more: (
            several(host, port) if host == "several.example.com" else real_lookup(host, port, *rest, **more)
        ),
    )

    assert call(f"http://several.example.com:{listener.server_port}/").result == "yes"
    assert len(given) == 4
    assert all(one is not None and one >= 1.5 for one in given)
    listener.end()


def test_no_redirect_is_followed() -> None:
    inside = Listener("127.0.0.1")
    outside = Listener("127.0.0.1", location=f"http://127.0.0.1:{inside.server_port}/secret")

    answer = Caller("phone", clock=SystemClock()).call("GET", f"http://127.0.0.1:{outside.server_port}/")

    assert not isinstance(answer, Outcome)
    assert answer.status_code == 302
    answer.close()
    inside.end()
    outside.end()
    assert inside.came == []


def test_a_name_that_nobody_knows_is_an_ordinary_no() -> None:
    outcome = call("http://nobody-knows-this.invalid/")

    assert (outcome.result, outcome.permanent) == ("no", False)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"]
)
def test_the_internet_is_allowed(address: str) -> None:
    outgoing.allow([])
    assert is_forbidden(address) == ""


def test_an_apprise_address_written_as_a_number_is_looked_at() -> None:
    for url in ("json://169.254.169.254/x", "json://user:x@0xa9fea9fe:80/", "jsons://[fe80::1]/", "xml://2852039166"):
        assert "nothing goes there" in _forbidden(url), url
    for url in ("slack://TokenA/TokenB/TokenC", "mailto://user:pass@example.com", "json://example.com:8080/x"):
        assert _forbidden(url) == "", url


@pytest.mark.parametrize(("text", "networks"), [("own-networks", None), ("none", []), ("10.0.0.0/8 ::1", 2)])
def test_the_setting_is_a_word_or_networks(text: str, networks: Any) -> None:
    found = read_networks(text)
    assert (found if networks != 2 else len(found or [])) == networks


def test_a_wrong_network_is_refused() -> None:
    with pytest.raises(ValueError, match="10"):
        read_networks("10.0.0.0/99")
