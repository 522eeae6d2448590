"""The email channel: one mail to one person over SMTP, threaded by incident, recognisable when repeated."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from incidents.alerts import clean_line, clean_text
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.channel import Can, Log, Message

CONNECT_SECONDS = 5.0
WHOLE_SECONDS = 10.0  # of one mail, whatever the server does; a promise's lease is twice as long
GOODBYE_SECONDS = 1.0
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
URGENT = ("page",)
ONE_MAILBOX = re.compile(r"[!-~]+@[A-Za-z0-9.-]+|[!-~]+@\[[0-9A-Fa-f.:]+\]")


@dataclass(frozen=True)
class Server:
    """Where and how to hand mail over, read from the URL."""

    scheme: str
    host: str
    port: int
    user: str
    password: str

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False


class NoAnswer(Exception):
    """The server was not reached, or refused before it had anything to take: nothing can have left."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class EmailChannel:
    """Settings: `url` (smtp://, smtp+starttls://, smtps://), `from`, and optionally `ca_file`."""

    kind: ClassVar[str] = "email"
    can: ClassVar[Can] = Can(
        wakes=False,
        receipt=False,
        acknowledge=False,
        update=False,
        evidence="sent, not proven: the mail server took it",
        timeout=timedelta(seconds=WHOLE_SECONDS),
        limits="one address a contact; text 60,000 characters; the mail server's own",
        permanent="5xx to sender, recipient or text",
        transient="4xx, a refused login, a server that is not reached",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        self._server = read_url(str(settings.get("url") or ""), name)
        sender, at = parseaddr(str(settings.get("from") or "")), "firedoor@localhost"
        self._sender = Address(display_name=clean_line(sender[0]) or "Firedoor", addr_spec=sender[1] or at)
        self._ca_file = str(settings["ca_file"]) if settings.get("ca_file") else None
        self._clock = clock
        self._log = log

    def send(self, message: Message, address: str) -> Outcome:
        recipient = parseaddr(address)[1]
        if not ONE_MAILBOX.fullmatch(recipient) or not address.isprintable() or "," in address or "=?" in address:
            return self._outcome("no", "the contact needs one e-mail address in ASCII", permanent=True)
        body = self._composed(message, recipient).as_bytes()
        try:
            with self._connected() as server:
                return self._deliver(server, body, recipient)
        except NoAnswer as no:
            return self._outcome("no", str(no), permanent=no.permanent)

    def _deliver(self, server: smtplib.SMTP, body: bytes, recipient: str) -> Outcome:
        """Envelope, then text. From the first byte of the text on, silence no longer means "not taken"."""
        try:
            for refused in self._envelope(server, recipient):
                return refused
        except (OSError, smtplib.SMTPException) as error:
            return self._outcome("no", f"the mail server hung up before the text: {_kind_of(error)}")
        try:
            server.send(re.sub(rb"(?m)^\.", b"..", body) + b".\r\n")
            code, reply = server.getreply()
        except (OSError, smtplib.SMTPException) as error:
            return self._outcome("ambiguous", f"no answer after the text was sent: {_kind_of(error)}")
        if 200 <= code < 300:
            return self._outcome("yes", _said(code, reply, recipient), ref=_said(code, reply, recipient)[:120])
        if 400 <= code < 600:
            return self._outcome("no", _said(code, reply, recipient), permanent=code >= 500)
        return self._outcome("ambiguous", "the mail server's answer to the text can't be read")

    def _envelope(self, server: smtplib.SMTP, recipient: str) -> Iterator[Outcome]:
        """Yields an outcome for the first command that is refused."""
        commands = (f"MAIL FROM:<{self._sender.addr_spec}>", f"RCPT TO:<{recipient}>", "DATA")
        for command, wanted in zip(commands, (200, 200, 300), strict=True):
            code, reply = server.docmd(command)
            if not wanted <= code < wanted + 100:
                permanent = 500 <= code < 600
                yield self._outcome("no", _said(code, reply, recipient), permanent=permanent)

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """A server that greeted us, speaks TLS where it must, and took our login; cut off when the time is over."""
        server: smtplib.SMTP | None = None
        try:
            server = self._open()
            guard = threading.Timer(WHOLE_SECONDS - CONNECT_SECONDS, _cut, [server])
            guard.daemon = True
            guard.start()
        except smtplib.SMTPResponseException as error:
            raise NoAnswer(_said(error.smtp_code, error.smtp_error)) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NoAnswer(f"the mail server was not reached: {_kind_of(error)}") from None
        try:
            self._greet(server)
            yield server
        finally:
            guard.cancel()
            _say_goodbye(server)

    def _open(self) -> smtplib.SMTP:
        # our own name is given: smtplib would ask the DNS for it, and wait
        at, greeting = (self._server.host, self._server.port), self._sender.domain or "localhost"
        if self._server.scheme == "smtps":
            context = ssl.create_default_context(cafile=self._ca_file)
            return smtplib.SMTP_SSL(*at, local_hostname=greeting, timeout=CONNECT_SECONDS, context=context)
        return smtplib.SMTP(*at, local_hostname=greeting, timeout=CONNECT_SECONDS)

    def _greet(self, server: smtplib.SMTP) -> None:
        """What fails here is the server's state, not the mail's: never permanent, so that a mended login counts."""
        try:
            server.ehlo_or_helo_if_needed()
            self._encrypt(server)
            self._log_in(server)
        except smtplib.SMTPResponseException as error:
            raise NoAnswer(_said(error.smtp_code, error.smtp_error)) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NoAnswer(f"the mail server refused the connection: {_kind_of(error)}") from None

    def _log_in(self, server: smtplib.SMTP) -> None:
        user, password = self._server.user, self._server.password
        if user.isascii() and password.isascii():
            if user:
                server.login(user, password)
            return
        # smtplib's own login knows ASCII alone
        plain = base64.b64encode(f"\0{user}\0{password}".encode("utf-8", "replace")).decode("ascii")
        code, reply = server.docmd("AUTH", f"PLAIN {plain}")
        if code not in (235, 503):
            raise smtplib.SMTPAuthenticationError(code, reply)

    def _encrypt(self, server: smtplib.SMTP) -> None:
        if self._server.scheme == "smtps":
            return
        must = self._server.scheme == "smtp+starttls"
        if self._server.is_loopback and not must:
            return
        if not server.has_extn("starttls"):
            if must or self._server.password:
                raise NoAnswer("the mail server offers no STARTTLS, and the URL's password is not sent in clear")
            return
        context = ssl.create_default_context(cafile=self._ca_file)
        if not must and not self._server.password:
            # smtp:// without a password would also go in clear: encrypting to an unproven server is better than that
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        server.starttls(context=context)
        server.ehlo()

    def _composed(self, message: Message, recipient: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = _no_encoded_word(clean_line(message.subject))
        mail["From"] = self._sender
        mail["To"] = recipient
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = self._message_id(message.key, message)
        thread = self._message_id(message.thread, message)
        mail["In-Reply-To"] = thread
        mail["References"] = thread
        mail["Auto-Submitted"] = "auto-generated"
        if message.facts.get("purpose") in URGENT:
            mail["X-Priority"] = "1 (Highest)"
            mail["Importance"] = "high"
        mail.set_content(clean_text(message.text, 60_000), cte="quoted-printable")
        if message.html:
            mail.add_alternative(clean_text(message.html, 200_000), subtype="html", cte="quoted-printable")
        return mail

    def _message_id(self, what: str, message: Message) -> str:
        """The same for every attempt. The incident's URL and start are in it: mail systems drop a Message-ID they have
        seen before: a second installation, or one begun anew, counts its incidents from 1 as well."""
        seed = f"{what}|{message.facts.get('url', '')}|{message.facts.get('since', '')}"
        digest = hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:32]
        return f"<{digest}@{self._sender.domain or 'localhost'}>"

    def _outcome(self, result: Any, detail: str, *, permanent: bool = False, ref: str | None = None) -> Outcome:
        return Outcome(result, detail=detail, permanent=permanent, provider_ref=ref, channel=self.name)


def read_url(url: str, name: str = "email") -> Server:
    """`smtp://user:password@host:port`, `smtps://…`, `smtp+starttls://…` (also `smtp://…?starttls=yes`)."""
    parts = urlsplit(url)
    scheme = parts.scheme
    if scheme == "smtp" and parse_qs(parts.query).get("starttls", ["no"])[0] in ("yes", "true", "1"):
        scheme = "smtp+starttls"
    if scheme not in PORTS or not parts.hostname:
        raise ValueError(f"channel {name}: `url` must be smtp://, smtp+starttls:// or smtps:// with a host")
    try:
        port = parts.port or PORTS[scheme]
    except ValueError:
        raise ValueError(f"channel {name}: the port in `url` must be a number up to 65535") from None
    return Server(scheme, parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""))


def _no_encoded_word(line: str) -> str:
    """`=?utf-8?q?x=0D=0ABcc:…?=` is one line, and Python's own mail library would decode it into several headers."""
    return line.replace("=?", "= ?")


def _said(code: int, reply: bytes | str, recipient: str = "") -> str:
    """The server's answer without anybody's local part: servers repeat the address in it."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    text = re.sub(r"[^\s<>@:;,\"']+@", "…@", text)
    if local := recipient.partition("@")[0]:
        text = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "…", text, flags=re.IGNORECASE)
    return clean_line(f"{code} {text}")


def _kind_of(error: Exception) -> str:
    """What went wrong, in words that hold no address and no password."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, socket.gaierror):
        return "its name is unknown"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "it does not offer the login or STARTTLS that the URL asks for"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return clean_line(error.strerror)
    return type(error).__name__


def _cut(server: smtplib.SMTP) -> None:
    """End a conversation that drags on, byte by byte: below TLS, so that the waiting reader wakes up."""
    if server.sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(server.sock, socket.SHUT_RDWR)


def _say_goodbye(server: smtplib.SMTP) -> None:
    with suppress(OSError, smtplib.SMTPException):
        if server.sock is not None:
            server.sock.settimeout(GOODBYE_SECONDS)
            server.docmd("QUIT")
    server.close()
