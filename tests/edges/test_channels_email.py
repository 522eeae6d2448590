"""The email channel against a real SMTP server: what arrives, and what each kind of refusal and silence means."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.promises import Outcome
from ports.clock import SettableClock
from tests.edges.test_channels import Lines, a_message
from tests.fixtures.smtp import Mailbox
from tests.fixtures.waiting import free_port
from worker.channels import Channel, build
from worker.channels import email as email_channel
from worker.channels.email import read_url

CLOCK = SettableClock(datetime(2026, 11, 21, 14, 39, tzinfo=UTC))
ADA = "ada.lovelace@example.org"


def mailer(url: str, **more: str) -> Channel:
    given = {"url": url, "from": "Firedoor <pages@firedoor.example>", **more}
    return build("email", "email", given, log=Lines(), clock=CLOCK)


def facts(purpose: str = "page") -> dict[str, Any]:
    return {"purpose": purpose, "url": "https://o.io/incidents/INC-042", "since": "2026-11-21T14:37:00Z"}


def body_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_page_arrives_with_everything_a_reader_and_a_mail_program_need(smtp: Mailbox) -> None:
    page = a_message(text="Zürich ist aus\n.\nEnde\n", html="<p>Zürich</p>", facts=facts())

    outcome = mailer(smtp.url).send(page, f"Ada <{ADA}>")

    assert (outcome.result, outcome.delivered, outcome.channel) == ("yes", False, "email")
    [mail] = smtp.wait_for(1)
    assert mail["To"] == ADA
    assert mail["From"] == "Firedoor <pages@firedoor.example>"
    assert mail["Subject"] == "[P1] INC-042 checkout: 500s 12%"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Importance"] == "high"
    assert mail["X-Priority"].startswith("1")
    assert mail["Date"] == "Sat, 21 Nov 2026 14:39:00 +0000"
    assert "Zürich ist aus\n.\nEnde" in body_of(mail, "plain")
    assert body_of(mail, "html").strip() == "<p>Zürich</p>"
    assert smtp.envelopes[0].mail_from == "pages@firedoor.example"


def test_a_tell_is_not_urgent(smtp: Mailbox) -> None:
    mailer(smtp.url).send(a_message(facts=facts("tell")), ADA)

    [mail] = smtp.wait_for(1)
    assert mail["Importance"] is None
    assert mail["X-Priority"] is None


def test_a_repeat_is_recognisable_and_all_mails_of_an_incident_thread(smtp: Mailbox) -> None:
    channel = mailer(smtp.url)
    for attempt, key in ((1, "page:42:r1:ada:1"), (2, "page:42:r1:ada:1"), (1, "tell:42:r1:ada:1")):
        channel.send(a_message(key=key, attempt=attempt, facts=facts()), ADA)

    first, repeat, tell = smtp.wait_for(3)
    assert first["Message-ID"] == repeat["Message-ID"] != tell["Message-ID"]
    assert first["Message-ID"].endswith("@firedoor.example>")
    assert first["References"] == tell["References"] == tell["In-Reply-To"]
    assert first["References"] != first["Message-ID"]


def test_an_installation_begun_anew_does_not_repeat_message_ids(smtp: Mailbox) -> None:
    channel = mailer(smtp.url)
    channel.send(a_message(facts=facts()), ADA)
    channel.send(a_message(facts={**facts(), "since": "2026-12-01T08:00:00Z"}), ADA)

    one, other = smtp.wait_for(2)
    assert one["Message-ID"] != other["Message-ID"]


@pytest.mark.parametrize(
    ("at", "sentence", "permanent"),
    [
        ("RCPT", "451 4.3.0 come back later", False),
        ("RCPT", f"550 5.1.1 <{ADA}>: ada.lovelace is unknown here", True),
        ("DATA", "452 4.3.1 disk full", False),
        ("DATA", "554 5.6.0 not this text", True),
    ],
)
def test_a_refusal_is_a_no_for_good_only_by_a_5xx(smtp: Mailbox, at: str, sentence: str, permanent: bool) -> None:
    smtp.refuse(sentence, at=at)

    outcome = mailer(smtp.url).send(a_message(), ADA)

    assert (outcome.result, outcome.permanent) == ("no", permanent)
    assert outcome.detail.startswith(sentence[:3])
    assert "lovelace" not in outcome.detail
    assert smtp.messages == []


def test_a_hang_up_after_the_text_is_ambiguous(smtp: Mailbox) -> None:
    smtp.answers.drop = True

    outcome = mailer(smtp.url).send(a_message(), ADA)

    assert outcome.result == "ambiguous"
    assert len(smtp.wait_for(1)) == 1


def test_silence_after_the_text_is_ambiguous_and_ends_in_time(smtp: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_channel, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(email_channel, "WHOLE_SECONDS", 0.6)
    smtp.answers.delay = 2.0

    outcome, seconds = timed(mailer(smtp.url), ADA)

    assert outcome.result == "ambiguous"
    assert seconds < 1.5


def test_a_server_that_answers_byte_by_byte_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_channel, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(email_channel, "WHOLE_SECONDS", 1.2)

    with closing(Raw(greeting=b"220 hello\r\n", drip=b"250-slow")) as server:
        outcome, seconds = timed(mailer(f"smtp://127.0.0.1:{server.port}"), ADA)

    assert (outcome.result, outcome.permanent) == ("no", False)
    assert seconds < 2.5


@pytest.mark.parametrize("greeting", [b"", b"421 too busy\r\n", b"554 go away\r\n", b"\x00\xff\r\n"])
def test_a_server_that_does_not_greet_is_a_no_to_try_again(greeting: bytes) -> None:
    with closing(Raw(greeting=greeting)) as server:
        outcome = mailer(f"smtp://127.0.0.1:{server.port}").send(a_message(), ADA)

    assert (outcome.result, outcome.permanent) == ("no", False)


@pytest.mark.parametrize("host", ["127.0.0.1", "nobody.invalid"])
@pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+starttls"])
def test_nobody_there_is_a_no_to_try_again(scheme: str, host: str) -> None:
    outcome = mailer(f"{scheme}://{host}:{free_port()}").send(a_message(), ADA)

    assert (outcome.result, outcome.permanent) == ("no", False)


def test_starttls_and_login_work_where_the_certificate_is_trusted(start_smtp: Callable[..., Mailbox]) -> None:
    box = start_smtp(tls=True, user="fire door", password="p@ss/wörd:1")

    outcome = mailer(box.url, ca_file=str(box.certificate)).send(a_message(), ADA)

    assert outcome.result == "yes"
    assert len(box.wait_for(1)) == 1


@pytest.mark.expects_errors("SMTP session exception")  # the test's own server complains of our hanging up
def test_an_untrusted_certificate_is_a_no(start_smtp: Callable[..., Mailbox]) -> None:
    box = start_smtp(tls=True, user="firedoor", password="secret-word")

    outcome = mailer(box.url).send(a_message(), ADA)

    assert (outcome.result, outcome.permanent) == ("no", False)
    assert "certificate is not trusted" in outcome.detail
    assert box.messages == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_wrong_password_is_told_without_the_password_and_tried_again(start_smtp: Callable[..., Mailbox]) -> None:
    box = start_smtp(user="firedoor", password="right")
    url = f"smtp://firedoor:wrong-secret@127.0.0.1:{box.port}"

    outcome = mailer(url).send(a_message(), ADA)

    assert (outcome.result, outcome.permanent) == ("no", False)
    assert outcome.detail.startswith("535")
    assert "wrong-secret" not in outcome.detail


def test_starttls_that_is_demanded_but_not_offered_is_a_no(smtp: Mailbox) -> None:
    outcome = mailer(f"smtp+starttls://127.0.0.1:{smtp.port}").send(a_message(), ADA)

    assert outcome.result == "no"
    assert "STARTTLS" in outcome.detail
    assert smtp.messages == []


@pytest.mark.parametrize("address", ["", "ada", "ada@x, ben@x", "ädä@example.org", "Ada <>", "a@b\r\nRCPT TO:<c@d>"])
def test_an_address_that_is_not_one_mailbox_is_a_no_for_good(smtp: Mailbox, address: str) -> None:
    outcome = mailer(smtp.url).send(a_message(), address)

    assert (outcome.result, outcome.permanent) == ("no", True)


awkward = st.text(max_size=120) | st.text(alphabet="\r\n\x00\u202e\ud800a:", max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subject=awkward, text=awkward, html=awkward, thread=awkward)
def test_no_text_at_all_loses_the_page_or_adds_a_header(
    smtp: Mailbox, subject: str, text: str, html: str, thread: str
) -> None:
    before = len(smtp.messages)

    outcome = mailer(smtp.url).send(a_message(subject=subject, text=text, html=html, thread=thread), ADA)

    assert outcome.result == "yes"
    mail = smtp.wait_for(before + 1)[-1]
    assert mail["Bcc"] is None
    assert mail["To"] == ADA


def test_urls_are_read_with_their_usual_ports_and_escapes() -> None:
    assert read_url("smtp://mail.example").port == 25
    assert read_url("smtps://mail.example").port == 465
    assert read_url("smtp+starttls://mail.example").port == 587
    assert read_url("smtp://mail.example:25?starttls=yes").scheme == "smtp+starttls"
    assert read_url("smtp://u%40x:p%2Fq@mail.example").password == "p/q"
    assert read_url("smtp://[::1]:25").is_loopback
    assert not read_url("smtp://mail.example").is_loopback


class Raw:
    """A server that greets as told, then answers a byte every 0.1 s, or hangs up."""

    def __init__(self, *, greeting: bytes, drip: bytes = b"") -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._greeting, self._drip = greeting, drip
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            peer, _ = self._listening.accept()
        except OSError:
            return
        with peer:
            peer.sendall(self._greeting)
            for _ in range(100 if self._drip else 0):
                try:
                    peer.sendall(self._drip[:1])
                except OSError:
                    return
                time.sleep(0.1)

    def close(self) -> None:
        self._listening.close()
        self._thread.join()


def timed(channel: Channel, address: str) -> tuple[Outcome, float]:
    began = time.monotonic()
    outcome = channel.send(a_message(), address)
    return outcome, time.monotonic() - began


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    guards = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for guard in guards:
        guard.join(1.0)  # a cancelled one needs a moment to end
    assert not any(guard.is_alive() for guard in guards)
