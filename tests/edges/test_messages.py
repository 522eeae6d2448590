"""What people read: each kind of message answers its questions, and nothing that a sender writes loses a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader, TemplateError, UndefinedError

from templates import render as rendering
from templates.fitting import one_line, plain_ascii
from templates.render import (
    ENVIRONMENT,
    PURPOSES,
    ago,
    coded,
    message,
    names,
    render,
    sentence,
    spoken,
    utc_day,
    utc_time,
)

LINK = "https://firedoor.example/ack/1a-abcdefghijklmnopqrst"
FACTS: dict[str, Any] = {
    "purpose": "page",
    "incident": "INC-042",
    "severity": "P1",
    "severity_label": "partial degradation",
    "service": "checkout",
    "team": "payments",
    "title": "CheckoutErrorRate",
    "what": "500s 12% (was 0.3%)",
    "since": "2026-11-21T14:37:00Z",
    "age": "2 min",
    "affected": "Payments failing",
    "first": "flag off checkout_v2",
    "runbook": {"name": "checkout", "title": "Checkout error rate", "url": "https://firedoor.example/r"},
    "url": "https://firedoor.example/incidents/INC-042",
    "link": LINK,
    "why_you": "you are on call for payments until 08:00",
    "also_told": ["Ben", "Cy"],
    "tried": [],
    "who_has_it": "",
    "from_line": "",
    "n": 1,
    "person": {"id": "ada", "name": "Ada"},
    "round": 1,
    "alerts": [{"title": "CheckoutErrorRate", "labels": {"service": "checkout"}}],
    "entries": [],
}


def said(channel: str = "email", **facts: Any) -> dict[str, Any]:
    return message({**FACTS, **facts}, channel)


def in_order(text: str, *phrases: str) -> bool:
    places = [text.index(phrase) for phrase in phrases]
    return places == sorted(places)


def test_a_page_answers_what_since_whom_what_first_and_one_link_in_this_order() -> None:
    page = said()

    answers = ("500s 12% (was 0.3%)", "14:37 UTC (2 min)", "Payments failing", "flag off checkout_v2", LINK)
    assert in_order(page["text"], *answers, "you are on call for payments", "Ben and Cy")
    assert page["text"].count("http") == 1
    assert page["html"].count("href=") == 1
    assert all(answer in page["html"] for answer in answers)
    assert page["subject"] == "[P1] INC-042 checkout: 500s 12% (was 0.3%)"
    assert not page["broken"]


def test_the_short_form_reads_as_a_person_would_say_it() -> None:
    assert said()["short"] == (
        f"P1 INC-042 checkout: 500s 12% (was 0.3%), 2m. Payments failing. FIRST: flag off checkout_v2. Ack {LINK}"
    )


def test_a_repeated_page_says_so_and_an_escalated_one_says_what_was_tried() -> None:
    page = said(n=2, tried=["flag off checkout_v2: failed"])

    assert page["subject"].startswith("(repeat) ")
    assert page["short"].startswith("(repeat) ")
    assert page["text"].startswith("(repeat")
    assert "- flag off checkout_v2: failed" in page["text"]
    assert "flag off checkout_v2: failed" in page["html"]


def test_a_tell_says_who_has_it_and_asks_for_nothing() -> None:
    tell = said(purpose="tell", who_has_it="Ada has it since 14:39")

    assert "Ada has it since 14:39" in tell["text"]
    assert "Ada has it since 14:39" in tell["short"]
    assert "You need to do nothing" in tell["text"]
    assert "You need to do nothing" in tell["html"]


def test_a_page_that_became_a_tell_begins_with_who_has_it() -> None:
    handed = said(purpose="handed", who_has_it="Ada has it since 14:39")

    assert handed["text"].startswith("Ada has it since 14:39. There is nothing to do for you.")
    assert handed["subject"] == "[P1] INC-042 checkout: Ada has it since 14:39"
    assert "Ada has it since 14:39" in handed["html"]


def test_leadership_hears_from_the_commander_and_no_technical_detail() -> None:
    told = said(
        purpose="tell",
        from_line="On behalf of the commander, Ada",
        next_update="2026-11-21T15:07:00Z",
        who_has_it="Ada has it since 14:39",
    )

    for form in ("text", "html"):
        assert "On behalf of the commander, Ada" in told[form]
        assert "15:07 UTC" in told[form]
        assert "Payments failing" in told[form]
        assert "500s" not in told[form]
        assert "flag off" not in told[form]
    assert "500s" not in told["subject"] + told["short"]


def test_the_words_of_whoever_sends_it_stand_at_the_head_and_what_does_not_fit_is_seen_to_be_cut() -> None:
    words = "Card payments do not work in Europe; elsewhere they do, and invoices are late everywhere"
    told = said(purpose="tell", from_line="from the commander, Ada", words=words, affected="Europe")

    assert told["text"].startswith(f"{words}\n\n")
    assert "Affected: Europe" in told["text"]
    assert words in told["html"]
    assert ": Card payments do not work in Europe" in told["short"]
    assert f".. {LINK}" in told["short"]


def test_a_cleared_incident_says_when() -> None:
    cleared = said(purpose="cleared", cleared_at="2026-11-21T03:04:00Z")

    assert "cleared by itself at 03:04 UTC" in cleared["text"]
    assert "cleared by itself at 03:04 UTC" in cleared["short"]
    assert "cleared by itself at 03:04 UTC" in cleared["html"]


def test_standing_down_says_who_was_on_it_and_what_happens_next() -> None:
    over = said(purpose="stand_down", who_was_on_it=["Ada", "Ben"], what_next="the postmortem is due on 23 Nov")

    assert in_order(over["text"], "stood down", "Ada and Ben", "the postmortem is due on 23 Nov")
    assert "the postmortem is due on 23 Nov" in over["html"]


def test_a_digest_lists_its_entries_as_lines_or_with_more_facts() -> None:
    digest = said(purpose="digest", entries=["P3 INC-040 search: slow", {"line": "P2 INC-041 <mail>: late"}])

    assert "- P3 INC-040 search: slow\n- P2 INC-041 <mail>: late\n" in digest["text"]
    assert "P2 INC-041 &lt;mail&gt;: late" in digest["html"]


def test_a_digest_composes_the_entry_of_an_incident() -> None:
    entry = {**FACTS, "who_has_it": "", "needs_human": "nobody answered"}

    digest = said(purpose="digest", entries=[entry])

    assert "- P1 INC-042 checkout: 500s 12% (was 0.3%). Needs a human: nobody answered.\n" in digest["text"]
    assert "Needs a human" in digest["html"]


def test_a_tell_about_a_change_says_what_changed() -> None:
    raised = "Its severity is P0 now: it was raised."

    for brief in (False, True):
        tell = said(purpose="tell", happened=raised, is_brief=brief)
        assert raised in tell["text"]
        assert raised in tell["html"]
        assert ("500s" in tell["text"]) is not brief


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_can_be_said_when_hardly_anything_is_known(purpose: str) -> None:
    bare = message({"purpose": purpose, "incident": "INC-001", "severity": "P2", "url": "http://x/i/INC-001"}, "email")

    assert not bare["broken"]
    assert "http://x/i/INC-001" in bare["text"]
    assert len(bare["short"]) <= 160
    assert "  " not in bare["short"]
    assert "\n" not in bare["subject"]
    assert " :" not in bare["short"] + bare["subject"] + bare["html"], "a service that nobody knows leaves no gap"


@pytest.mark.parametrize("channel", ["log", "webhook", "sms"])
def test_channels_without_html_get_none(channel: str) -> None:
    assert said(channel)["html"] == ""
    assert said(channel)["text"] == said("email")["text"]


nasty = st.text(max_size=300) | st.sampled_from(
    ["{{ 7*7 }}", "\r\nBcc: x@y", "<script>", "\ud800", "\x00", "—" * 200, "\u202e", "é" * 200, "漢字" * 100, "x" * 400]
)
levers = st.lists(st.from_regex(r"[a-z_]{1,24}", fullmatch=True), min_size=1, max_size=20).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(
    what=nasty,
    affected=nasty,
    service=nasty,
    severity=st.sampled_from(["P0", "P1", "SEV-1", "critical"]),
    first=levers,
    seq=st.integers(1, 10**9),
    n=st.integers(1, 9),
    link=st.from_regex(r"https://[a-z.]{4,46}/ack/[0-9a-z]{1,8}-[a-z2-7]{20}", fullmatch=True),
)
def test_the_short_form_always_fits_and_keeps_the_link_and_the_lever(
    what: str, affected: str, service: str, severity: str, first: str, seq: int, n: int, link: str
) -> None:
    page = said(
        what=what, affected=affected, service=service, severity=severity, first=first,
        incident=f"INC-{seq}", link=link, n=n, age="23 h 59 min",
    )  # fmt: skip

    short = page["short"]
    assert not page["broken"]
    assert len(short) <= 160
    assert short.isascii()
    assert short.isprintable()
    assert short.endswith(f"Ack {link}")
    assert f"FIRST: {first.split(' ')[0]}" in short
    assert "\n" not in page["subject"]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_fits_with_the_longest_values(purpose: str) -> None:
    longest = {name: "w" * 3 + " long" * 90 for name, fact in FACTS.items() if isinstance(fact, str)}
    facts = {**longest, "purpose": purpose, "link": LINK, "since": FACTS["since"], "heading": "h" * 300}

    short = said(**facts)["short"]

    assert len(short) <= 160
    assert LINK in short


def test_a_link_too_long_for_the_short_form_is_left_out_whole_never_cut() -> None:
    page = said(link="https://firedoor.example/" + "a" * 200)

    assert len(page["short"]) <= 160
    assert "https" not in page["short"]
    assert "console" in page["short"]
    assert "a" * 200 in page["text"]


@pytest.mark.parametrize("label", ["{{ 7*7 }}", "{% for x in range(10) %}a{% endfor %}", "{{ ''.__class__ }}"])
def test_what_senders_write_is_never_compiled(label: str) -> None:
    page = said(what=label, title=label, affected=label, first=label)

    assert label in page["text"]
    assert label in page["subject"]


def test_what_senders_write_can_not_become_markup_or_a_line_of_ours() -> None:
    page = said(what='<script>alert("x")</script>', affected="all\nTake it: https://evil.example", tried=["a\nb"])

    assert "<script>" not in page["html"]
    assert "all Take it: https://evil.example" in page["text"]
    assert "- a b" in page["text"]


def test_the_sandbox_refuses_the_ways_out() -> None:
    with pytest.raises(TemplateError):
        ENVIRONMENT.from_string("{{ x.__class__.__mro__ }}").render(x="")


def test_a_broken_template_does_not_lose_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ENVIRONMENT.overlay(loader=DictLoader({"messages/any/page.j2": "{% block subject %}{{ nothing }}"}))
    monkeypatch.setattr(rendering, "ENVIRONMENT", broken)

    page = said()

    assert page["broken"]
    assert page["subject"] == "P1 INC-042 checkout: CheckoutErrorRate"
    assert page["short"] == f"P1 INC-042 checkout: CheckoutErrorRate {LINK}"
    for fact in ("500s 12%", "Payments failing", "flag off checkout_v2", LINK):
        assert fact in page["text"]


def test_a_fact_of_the_wrong_shape_does_not_lose_the_page() -> None:
    page = said(alerts=[17], n="twice")

    assert page["broken"]
    assert LINK in page["short"]
    assert LINK in page["text"]


def test_a_page_of_the_console_is_escaped_and_a_missing_fact_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = {"console/hello.html": "<p>{{ name }}, {{ since | ago(now) }}</p>"}
    monkeypatch.setattr(rendering, "ENVIRONMENT", ENVIRONMENT.overlay(loader=DictLoader(console)))

    hello = render("console/hello.html", name="<Ada>", since="2026-11-21T14:37:00Z", now="2026-11-21T14:39:00Z")

    assert hello == "<p>&lt;Ada&gt;, 2 min ago</p>"
    with pytest.raises(UndefinedError):
        render("console/hello.html", name="Ada")


def test_times_are_said_as_people_say_them() -> None:
    assert utc_time("2026-11-21T14:37:00+03:00") == "11:37 UTC"
    assert utc_day("2026-11-21T14:37:00Z") == "21 Nov 2026, 14:37 UTC"
    assert utc_time(None) == utc_time("") == utc_time("soon") == ""
    assert ago("2026-11-21T14:37:00Z", "2026-11-21T16:52:10Z") == "2 h 15 min ago"
    assert ago("2026-11-21T14:37:00Z", "2026-11-21T14:34:00Z") == "in 3 min"
    assert ago("2026-11-21T14:37:00Z", "2026-11-21T14:37:00Z") == "now"
    assert [spoken(seconds) for seconds in (0, 59, 60, 3_661, 90_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 1 min",
        "1 d 1 h",
    ]
    assert [names([]), names(["Ada"]), names(["Ada", "Ben", "Cy"])] == ["", "Ada", "Ada, Ben and Cy"]
    assert [sentence(text) for text in ("", "Down", "Down. ", "Down;", "Down?")] == [
        "",
        "Down.",
        "Down.",
        "Down.",
        "Down?",
    ]


def test_text_becomes_plain_ascii_where_only_that_is_carried() -> None:
    assert plain_ascii("Zürich – café… “x” → 漢字漢字漢字") == 'Zurich - cafe... "x" -> ???'
    assert one_line("a\r\nb\u202ec\x00d\ud800") == "a b c d"


def test_no_template_has_a_link_or_a_picture_from_elsewhere() -> None:
    for template in (Path(rendering.__file__).parent / "messages").rglob("*.*"):
        assert "://" not in template.read_text(), template


A_LINK = '<a href="{0}" rel="noopener noreferrer">{0}</a>'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Run `kubectl get pods` now", "Run <code>kubectl get pods</code> now"),
        ("`<script>` & `a`", "<code>&lt;script&gt;</code> &amp; <code>a</code>"),
        ("<b>`x`</b>", "&lt;b&gt;<code>x</code>&lt;/b&gt;"),
        ("one ` alone", "one ` alone"),
        ("``", "``"),
        ("`two\nlines`", "`two\nlines`"),
        ("INC-042, as in INC-7.", '<a href="/i/INC-042">INC-042</a>, as in <a href="/i/INC-7">INC-7</a>.'),
        ("VINC-1 INC-2x a/INC-3 `INC-4`", "VINC-1 INC-2x a/INC-3 <code>INC-4</code>"),
        ("(see https://a.example/x?y=1&z=2).", f"(see {A_LINK.format('https://a.example/x?y=1&amp;z=2')})."),
        ("https://a.example/f_(x), or", f"{A_LINK.format('https://a.example/f_(x)')}, or"),
        ("“https://a.example/x”…", f"“{A_LINK.format('https://a.example/x')}”…"),
        ("http://[::1]:80/?!", f"{A_LINK.format('http://[::1]:80/')}?!"),
        ('https://a.example/"onmouseover=x', f"{A_LINK.format('https://a.example/')}&#34;onmouseover=x"),
        (
            "javascript:alert(1) data:text/html,x ftp://a.example",
            "javascript:alert(1) data:text/html,x ftp://a.example",
        ),
        ("https://bank.example@evil.example/", "https://bank.example@evil.example/"),
        ("https://a.example/\u202egpj.exe", "https://a.example/\u202egpj.exe"),
        ("https://", "https://"),
        ("", ""),
    ],
)
def test_code_addresses_and_incidents_of_a_text_are_shown_as_such_and_nothing_else_is_markup(
    text: str, shown: str
) -> None:
    assert coded(text) == shown
