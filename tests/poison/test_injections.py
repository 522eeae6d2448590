"""Five hundred injections are text at every exit: pages, messages, headers, log lines, exports, a terminal (T30).

At each exit the same is sent with a harmless word and with the injection: all but the words must be alike.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import structlog
from requests.adapters import BaseAdapter

import firedoor
from firedoor import screen
from firedoor.logs import set_up_logs
from firedoor.shadowing import csv_lines
from incidents.alerts import clean_line, clean_text
from ports import outgoing
from ports.clock import SettableClock
from templates.fitting import one_line
from templates.render import LONGEST_FACT, PURPOSES, coded, message
from tests.edges.test_channels import Lines
from tests.fixtures.desk import DATABASE_DOWN, Desk
from tests.fixtures.signingin import signed_in
from tests.poison.injections import BASES, injections
from worker.channels import Message, build
from worker.channels.apprise import RINGS, _rings_nobody

ALL = injections()
HARMLESS = "word"
LINK = "https://firedoor.example/ack/1a-abcdefghijklmnopqrst"
URL = "https://firedoor.example/i/INC-042"
CLOCK = SettableClock(datetime(2026, 11, 21, 14, 39, tzinfo=UTC))
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")


def test_there_are_five_hundred_of_them() -> None:
    assert len(set(ALL)) >= 500
    assert {len(bases) >= 10 for bases in BASES.values()} == {True}


# --- what is said ---


def facts(text: str, purpose: str = "page") -> dict[str, Any]:
    """A message that holds the text wherever an alert's words can come to stand."""
    told: dict[str, Any] = {
        "purpose": purpose, "incident": "INC-042", "severity": "P1", "url": URL, "link": LINK, "age": "2 min",
        "since": "2026-11-21T14:37:00Z", "person": {"id": "ada", "name": "Ada"}, "next_update": None,
        "runbook": {"name": "checkout", "title": text, "url": URL}, "tried": [text],
        "alerts": [{"title": text, "labels": {"note": text}}], "also_told": [text], "who_was_on_it": [text],
        "entries": [] if purpose == "page" else [{"line": text}],
    }  # fmt: skip
    words = ("service", "team", "title", "what", "affected", "about", "first", "suspect", "why_you", "part_of")
    return {**told, **dict.fromkeys((*words, "who_has_it", "happened", "heading", "what_next"), text)}


def said(text: str, purpose: str = "page") -> Message:
    """The same as a channel gets it."""
    given = facts(text, purpose)
    told = message(given, "email")
    assert told.pop("broken") is False, text
    return Message(**told, link=LINK, key="page:42:r1:ada:1", thread="INC-042", facts=given)


@pytest.fixture(scope="module")
def messages() -> dict[str, Message]:
    return {text: said(text) for text in (HARMLESS, *ALL)}


class Skeleton(HTMLParser):
    """A page without its words: each tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[Any] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.tags.append("declaration")


def test_no_line_and_no_tag_of_a_message_is_theirs_and_no_template_runs(messages: Mapping[str, Message]) -> None:
    bare = messages[HARMLESS]
    for text, one in messages.items():
        shown = one_line(one_line(text)[:LONGEST_FACT])
        assert one.text.count("\n") == bare.text.count("\n"), text
        assert shown in one.text, text
        assert not STEERS.search(one.text + one.subject + one.short), text
        assert len(one.short) <= 160, text
        assert Skeleton(one.html).tags == Skeleton(bare.html).tags, text


@pytest.mark.parametrize("purpose", [one for one in PURPOSES if one != "page"])
def test_nor_in_messages_of_other_purposes(purpose: str) -> None:
    bare = Skeleton(said(HARMLESS, purpose).html).tags
    for text in ALL[:: len(PURPOSES) + 1]:
        assert Skeleton(said(text, purpose).html).tags == bare, text


def test_what_pages_mark_up_of_a_text_is_code_the_web_and_our_own_incidents() -> None:
    inert = {"code": [], "a": ["href"]}
    for text in ALL:
        for place in ("{}", "https://evil.example/{}", "https://{}", "INC-001{}", "`{}`", "javascript:{}"):
            for one in Skeleton(coded(place.replace("{}", text))).tags:
                if isinstance(one, tuple):
                    tag, given = one[0], dict(one[1])
                    href = given.get("href") or ""
                    assert [name for name in given if name != "rel"] == inert.get(tag), (place, text)
                    assert tag == "code" or re.match(r"https?://|/i/INC-\d+$", href), (place, text)
                    assert not href.startswith("http") or given["rel"] == "noopener noreferrer", (place, text)
                else:
                    assert one in ("/a", "/code"), (place, text)


# --- what leaves ---


class Wire(BaseAdapter):
    """Keeps each request as it would leave, and takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_how: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code = 200
        answer.raw = io.BytesIO(b"")
        answer.raw.read1 = lambda *_how, **_more: b""  # type: ignore[attr-defined]
        return answer

    def close(self) -> None: ...


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()

    def session() -> requests.Session:
        one = requests.Session()
        one.trust_env = False
        one.mount("https://", made)
        return one

    monkeypatch.setattr(outgoing, "session", session)
    return made


def slack_shape(body: bytes) -> Any:
    told = json.loads(body)
    assert not re.search("[<>]", told["text"]), told["text"]
    blocks = [block["text"] for block in told["blocks"]]
    assert {tuple(sorted(one)) for one in blocks} <= {("emoji", "text", "type"), ("text", "type", "verbatim")}
    pressable = [one["text"] for one in blocks if one["type"] == "mrkdwn"]
    links = [re.sub("^[^<>]*", "", one) for one in pressable]
    return sorted(told), links, [block["type"] for block in told["blocks"]]


def json_shape(body: bytes) -> Any:
    """Its keys, and what is ours in it."""
    told = json.loads(body)
    own = ("topic", "priority", "click", "actions", "purpose", "incident", "key", "to", "link", "event_action")
    return sorted(told), {name: told.get(name) for name in own}, len(told.get("tags", []))


def pagerduty_shape(body: bytes) -> Any:
    told = json.loads(body)
    return json_shape(body), sorted(told["payload"]), [link["href"] for link in told["links"]]


def form_shape(body: bytes | str) -> Any:
    text = body.decode() if isinstance(body, bytes) else body
    return [(name, value if name not in ("title", "message") else "") for name, value in parse_qsl(text, True, True)]


EXITS: Mapping[str, tuple[dict[str, str], str, Callable[[bytes], Any]]] = {
    "slack": ({"token": "xoxb-x", "room": "C0WAR"}, "U0ADA", slack_shape),
    "slack_webhook": ({}, "https://hooks.example/x", slack_shape),
    "webhook": ({"secret": "s" * 40}, "https://hooks.example/x", json_shape),
    "ntfy": ({"url": "https://ntfy.example"}, "ada", json_shape),
    "pagerduty": ({"token": "r" * 32}, "", pagerduty_shape),
    "pushover": ({"token": "a" * 30}, "u" * 30, form_shape),
}


@pytest.mark.parametrize("kind", EXITS)
def test_what_a_provider_gets_differs_in_words_alone(kind: str, wire: Wire, messages: Mapping[str, Message]) -> None:
    settings, address, shape = EXITS[kind]
    channel = build(kind, kind, settings, log=Lines(), clock=CLOCK)
    for one in messages.values():
        channel.send(one, address)

    assert len(wire.sent) == len(messages)
    bare, *others = [(sorted(one.headers.items()), shape(one.body)) for one in map(_named, wire.sent)]  # type: ignore[arg-type]
    for text, other in zip(list(messages)[1:], others, strict=True):
        assert other == bare, text


def _named(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without what must differ: the length, and the signature over the body."""
    for name in ("Content-Length", "X-Firedoor-Signature"):
        request.headers.pop(name, None)
    return request


def test_a_mail_gets_no_header_no_part_and_no_line_of_theirs(messages: Mapping[str, Message]) -> None:
    channel: Any = build(
        "email", "email", {"url": "smtp://127.0.0.1", "from": "Firedoor <f@firedoor.example>"}, log=Lines(), clock=CLOCK
    )
    shapes = {}
    for n, (text, whole) in enumerate(messages.items()):
        one = whole if n % 25 == 0 else replace(whole, text="", html="<p></p>")  # the headers of each, some bodies
        mail = message_from_bytes(channel._composed(one, "ada@example.org").as_bytes())
        parts = [part.get_content_type() for part in mail.walk()]
        own = [(name, value) for name, value in mail.items() if name not in ("Subject", "Content-Type")]
        shapes[text] = mail.keys(), own, parts
        subject = str(make_header(decode_header(mail["Subject"])))
        assert "".join(subject.split()) == "".join(clean_line(one.subject).replace("=?", "= ?").split()), text
    for text, shape in shapes.items():
        assert shape == shapes[HARMLESS], text


def test_a_chat_behind_apprise_rings_nobody_and_has_no_link_with_another_name() -> None:
    for text in ALL:
        assert not RINGS.search(_rings_nobody(text)), text
    assert _rings_nobody("@everyone ada@allianz.de") == "@ everyone ada@allianz.de"


# --- what is written down ---


class Terminal(io.StringIO):
    """A stream that says it is somebody's screen."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def logging_to() -> Iterator[Callable[[io.StringIO], Any]]:
    import logging

    root = logging.getLogger()
    before = root.handlers[:], root.level, structlog.get_config()

    def begin(stream: io.StringIO) -> Any:
        set_up_logs("test", stream=stream)
        return structlog.get_logger("injections"), logging.getLogger("some.library")

    yield begin
    root.handlers[:], level, config = before
    root.setLevel(level)
    structlog.configure(**config)


@pytest.mark.expects_errors("some.library")
@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_a_log_line_is_one_line_and_steers_no_terminal(make: Any, logging_to: Callable[[io.StringIO], Any]) -> None:
    stream = make()
    ours, library = logging_to(stream)
    shown = {}
    for text in (HARMLESS, *ALL):
        stream.seek(0)
        stream.truncate()
        ours.info("page.sent", short=text, facts={"note": text})
        library.warning("refused %s", text)
        line = stream.getvalue()
        shown[text] = line.count("\n"), line.count("\x1b["), bool(STEERS.search(line.replace("\x1b[", "")))
    assert set(shown.values()) == {shown[HARMLESS]}
    assert shown[HARMLESS][0] == 2
    assert not shown[HARMLESS][2]


def test_no_cell_of_the_export_begins_a_formula() -> None:
    page = {"at": None, "local": "", "night": "", "if_unanswered": False, "how": "page"}
    for text in ALL:
        one = {"id": "INC-1", "severity": "P1", "service": text, "team": text, "title": text, "opened_at": None}
        lines = list(csv_lines({"opened": [{**one, "pages": [{**page, "name": text}]}]}))
        heading, row = csv.reader(io.StringIO("\n".join(lines)))
        assert len(row) == len(heading), text
        assert not any(re.match(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell) for cell in row), text


def test_what_the_command_line_prints_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(("what", "where"), [(text, text) for text in ALL])
    for text in ALL:
        screen.say(text)
    screen.as_json({"said": ALL})

    shown = capsys.readouterr().out
    assert not STEERS.search(shown)
    assert json.loads(shown[shown.rindex('{\n  "said"') :])["said"] == ALL


def test_no_program_is_started_with_what_somebody_wrote() -> None:
    """Only Valkey is, by a list of words that is fixed but for the port; and nothing anywhere starts a shell."""
    root = Path(firedoor.__file__).resolve().parents[1]
    folders = ("firedoor", "ports", "webhooks", "incidents", "worker", "console", "templates", "migrations")
    starts = set()
    for path in (one for folder in folders for one in (root / folder).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"shell=True|(?<![\w.])(eval|exec)\(|os\.(system|popen)\(", source), path
        if re.search(r"\b(subprocess\.\w+|os\.(exec|spawn|posix_spawn)\w*|pty\.\w+)\(", source):
            starts.add(path.relative_to(root).as_posix())
    assert starts <= {"firedoor/valkey.py"}


# --- the whole way ---


def test_all_of_them_go_the_whole_way_and_stay_text(desk: Desk, tmp_path: Path) -> None:
    wanted = [text for text in ALL if clean_line(text)]
    body = desk.payload([("firing", {**DATABASE_DOWN, "instance": f"host-{n}"}) for n in range(len(wanted))])
    for alert, text in zip(body["alerts"], wanted, strict=True):
        alert["labels"] |= {"note": text, "queue": text}
        alert["annotations"] |= {"summary": text, "impact": text, "description": text, "runbook_url": text}
        alert["generatorURL"] = text
    desk.post(json.dumps(body).encode())
    desk.settle()
    notes = [text for text in wanted if text == clean_text(text)]
    for at in range(0, len(notes), 150):
        desk.does("notes", text="\n".join(notes[at : at + 150]))
    desk.does("decline", reason="\n".join(BASES["shell"]))
    desk.does("severity", severity="P2", reason="\n".join(BASES["html"]))
    desk.forward(minutes=10)
    told = desk.news()

    kept = "\n".join(desk.timeline())
    assert all(text in kept for text in notes)
    asked = signed_in(desk)
    for path in ("/i/INC-001?all", "/", "/alerts", "/alerts/1", "/search?q=owned", "/audit", "/wall"):
        page = asked.get(path)
        assert page.status_code == 200, path
        _is_inert(page.get_data(as_text=True), path)
    for one in told:
        assert not STEERS.search(one.text + one.short), one
        assert one.text.count("/ack/") <= 1, one
    assert not Path("/tmp/owned").exists()


FORBIDDEN = ("img", "iframe", "object", "embed", "base", "style", "video", "audio", "marquee", "math", "source")


def _is_inert(page: str, path: str) -> None:
    found = Skeleton(page)
    for tag in found.tags:
        if not isinstance(tag, tuple):
            assert tag.startswith("/") or tag == "declaration" or re.fullmatch("<!--/[a-z]+", tag), (path, tag)
            continue
        name, attributes = tag
        assert name not in FORBIDDEN, (path, tag)
        for attribute, value in attributes:
            assert not attribute.startswith("on"), (path, tag)
            if attribute in ("href", "src", "action", "formaction"):
                assert re.match(r"[/?#]|https?://|$", value or ""), (path, tag)
        if name == "meta":  # the wallboard looks again by itself, and goes nowhere else
            assert "url" not in (dict(attributes).get("content") or "").lower(), (path, tag)
        if name == "script":
            assert dict(attributes).get("src", "").startswith("/"), (path, tag)
    assert not re.search(r"\b49\b", page.partition("<main")[0]), path
    assert "49" not in re.findall(r"disk full: (\d+)", " ".join(found.words)), path
