"""The one sandboxed Jinja environment: pages of the console and messages to people are rendered here, and only here.

Templates come from this folder alone; what senders write (labels, titles) is only ever a value, never compiled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from templates.fitting import SHORT, fitted, one_line, plain_ascii

LONGEST_FACT = 500
# What of a text is shown as more than text: `code`, a web address in plain ASCII, an incident's name.
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|‰|[kKMGT]?i?B|[nµm]?s|min|h|d)(?!\w))")
_MARKED = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|(?<!\w)(?P<link>https?://[^\s<>\"'`\\“”‘’«»]+)"
    r"|(?<![\w/.-])(?P<incident>INC-[0-9]{1,12})(?![\w-])"
)
_LINK = re.compile(r"https?://[A-Za-z0-9\[][!-?A-~]*(?:[/?#][!-~]*)?")  # no `@` before the path: it hides the host
LONGEST_LINK = 2000
_OPENS = {")": "(", "]": "[", "}": "{"}
ENTRY = {"line": "", "incident": "", "severity": "", "service": "", "what": "", "who_has_it": "", "needs_human": ""}
PURPOSES = (
    "page", "tell", "handed", "digest", "cleared", "stand_down", "leadership", "update", "canary", "bundle",
)  # fmt: skip

# Every fact a message template may name, and what it is where nobody gave it.
FACTS: dict[str, Any] = {
    "purpose": "page",
    "incident": "",
    "severity": "",
    "severity_label": "",
    "service": "",
    "team": "",
    "title": "",
    "what": "",
    "since": "",
    "age": "",
    "affected": "",
    "about": "",  # the alert rule's own words beside the title
    "sender_runbook": "",  # the `runbook_url` of its first alert that has one: a web address
    "first": "",
    "suspect": "",  # the newest change before it
    "runbook": None,
    "url": "",
    "link": "",  # the acknowledging link; without one, the incident's page
    "why_you": "",
    "also_told": [],
    "tried": [],
    "who_has_it": "",
    "from_line": "",
    "words": "",  # of the person who sends it, at its head
    "next_update": "",
    "cleared_at": "",
    "what_next": "",  # after standing down
    "who_was_on_it": [],
    "part_of": "",  # the incident that this one is probably part of
    "happened": "",  # what changed, where a tell is about a change
    "is_brief": False,  # for leadership and clients: impact, commander, next update
    "n": 1,
    "person": {"id": "", "name": ""},
    "round": 1,
    "alerts": [],
    "entries": [],
    "heading": "",
}


def render(name: str, /, **facts: Any) -> str:
    """The text of one template, `console/incident.html` or another. HTML is escaped; a missing fact is an error."""
    return ENVIRONMENT.get_template(name).render(**facts)


def message(facts: Mapping[str, Any], channel_kind: str) -> dict[str, Any]:
    """`subject`, `short`, `text`, `html` for one person, and `broken`.

    A broken template must not lose the page: then `broken` is true and the texts are plain and hard-built.
    """
    given = _completed(facts)
    try:
        template = _template(given, channel_kind)
        return {
            "subject": one_line(_block(template, "subject", given)),
            "short": fitted(lambda parts: _block(template, "short", {**given, **parts}), given),
            "text": _tidied(_block(template, "text", given)),
            "html": _html(given, channel_kind),
            "broken": False,
        }
    except Exception:  # whatever the template does, somebody must hear; the caller logs and counts `broken`
        return {**_hard_built(given), "broken": True}


def addressed(facts: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    """The facts with whole addresses: whoever reads them is not on our pages."""
    runbook = facts.get("runbook")
    if runbook and runbook.get("url"):
        runbook = {**runbook, "url": public_url + runbook["url"]}
    return {**facts, "url": public_url + facts["url"], "runbook": runbook}


def _completed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Every fact in its place, and each text one line: a sender's line break must not pose as a line of ours."""
    given = {**FACTS, **{name: fact for name, fact in facts.items() if fact is not None}}
    given |= {name: one_line(fact)[:LONGEST_FACT] for name, fact in given.items() if isinstance(fact, str)}
    given["link"] = given["link"] or given["url"]
    given["what"] = given["what"] or given["title"]
    given["entries"] = [
        {**ENTRY, **(entry if isinstance(entry, Mapping) else {"line": str(entry)})} for entry in given["entries"]
    ]
    if given["purpose"] == "tell" and (given["is_brief"] or given["from_line"]):
        given["purpose"] = "leadership"
    if given["purpose"] == "page" and given["entries"]:  # channels ring for it as for any page
        given["purpose"] = "bundle"
    if given["purpose"] not in PURPOSES:
        given["purpose"] = "tell"
    return given


def _template(facts: Mapping[str, Any], channel_kind: str) -> Template:
    """A channel's own wording where it has one, else everybody's."""
    name = f"{facts['purpose']}.j2"
    return ENVIRONMENT.select_template([f"messages/{channel_kind}/{name}", f"messages/any/{name}"])


def _block(template: Template, block: str, facts: Mapping[str, Any]) -> str:
    return "".join(template.blocks[block](template.new_context(dict(facts))))


def _html(facts: Mapping[str, Any], channel_kind: str) -> str:
    name = f"messages/{channel_kind}/{facts['purpose']}.html"
    return render(name, **facts) if channel_kind in HTML_CHANNELS else ""


def _tidied(text: str) -> str:
    """Lines without trailing blanks, and never two empty ones in a row: templates may leave them."""
    lines: list[str] = []
    for line in (line.rstrip() for line in text.strip().splitlines()):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines) + "\n"


def _hard_built(facts: Mapping[str, Any]) -> dict[str, str]:
    """What is left when a template is broken: the facts that matter, in the order that matters."""
    names = ("words", "what", "since", "affected", "first", "who_has_it", "why_you")
    head = one_line(f"{facts['severity']} {facts['incident']} {facts['service']}: {facts['title'] or facts['what']}")
    lines = [head, *(one_line(str(facts[name])) for name in names if facts[name])]
    lines += [one_line(entry["line"] or f"{entry['incident']} {entry['what']}") for entry in facts["entries"]]
    link = plain_ascii(str(facts["link"]))
    room = SHORT - len(link) - 1
    return {
        "subject": head,
        "short": f"{plain_ascii(head)[:room]} {link}" if room > 0 else plain_ascii(head)[:SHORT],
        "text": "\n".join([*lines, "", str(facts["link"])]) + "\n",
        "html": "",
    }


def moment(value: str | datetime | None) -> datetime | None:
    """A time from its ISO text; None stays None, and so does what is not a time."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if value else None
    except ValueError:
        return None


def utc_time(value: str | datetime | None) -> str:
    """ "14:37 UTC"."""
    at = moment(value)
    return f"{at:%H:%M} UTC" if at else ""


def utc_day(value: str | datetime | None) -> str:
    """ "21 Nov 2026, 14:37 UTC"."""
    at = moment(value)
    return f"{at.day} {at:%b %Y, %H:%M} UTC" if at else ""


def ago(value: str | datetime | None, now: str | datetime | None) -> str:
    """ "2 min ago", "in 3 min", "now"."""
    at, present = moment(value), moment(now)
    if at is None or present is None:
        return ""
    if abs(present - at) < timedelta(seconds=1):
        return "now"
    return f"{spoken(present - at)} ago" if at < present else f"in {spoken(at - present)}"


def spoken(span: timedelta | float | None) -> str:
    """ "2 h 15 min": the two largest units, as a person says it."""
    if span is None:
        return ""
    left = int(span.total_seconds() if isinstance(span, timedelta) else span)
    words: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count and not (unit == "s" and words):
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def sentence(text: str) -> str:
    """The text with one full stop at its end; a question keeps its mark, and nothing stays nothing."""
    bare = one_line(text).rstrip(" .,;:")
    return bare if not bare or bare[-1] in "?!" else f"{bare}."


def unbroken(text: str) -> str:
    """A number and its unit stay on one line: `97 %`, `12 min`."""
    return _BEFORE_UNIT.sub("\u00a0", text or "")


def coded(text: str) -> Markup:
    """Text for a page, in which `this` is code, and addresses and incidents are links; all of it is escaped."""
    text = text or ""
    shown, end = Markup(), 0
    for found in _MARKED.finditer(text):
        shown += escape(text[end : found.start()]) + _marked(found)
        end = found.end()
    return shown + escape(text[end:])


def _marked(found: re.Match[str]) -> Markup:
    if found["code"]:
        return Markup("<code>{}</code>").format(found["code"])
    if found["incident"]:
        return Markup('<a href="/i/{0}">{0}</a>').format(found["incident"])
    url = _without_what_follows(found["link"])
    if len(url) > LONGEST_LINK or not _LINK.fullmatch(url):
        return escape(found["link"])
    link = Markup('<a href="{0}" rel="noopener noreferrer">{0}</a>').format(url)
    return link + escape(found["link"][len(url) :])


def _without_what_follows(url: str) -> str:
    """The address without the sentence's own marks at its end; a bracket that it opened itself stays."""
    while url and (url[-1] in ".,;:!?…" or (url[-1] in ")]}" and url.count(url[-1]) > url.count(_OPENS[url[-1]]))):
        url = url[:-1]
    return url


def names(people: Iterable[str]) -> str:
    """ "Ada, Ben and Cy"."""
    listed = [one_line(person) for person in people]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}" if listed else ""


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: bool(name and name.endswith((".html", ".html.j2"))),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = (ago, utc_time, utc_day, spoken, coded, unbroken, names, one_line, sentence)
    environment.filters.update({one.__name__: one for one in filters})
    return environment


ENVIRONMENT = _environment()
HTML_CHANNELS = ("email",)
