"""What Slack shows of a message: a header, sections that fit, and nothing in it that rings everybody."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from incidents.alerts import clean_line, clean_text
from worker.channels.channel import Message

HEADER, SECTION, SECTIONS, TEXT = 150, 2900, 10, 3900  # characters; Slack cuts or refuses what is longer
MOST = 45  # sections with their links: Slack takes 50 blocks


def content(message: Message, *, in_a_room: bool) -> dict[str, Any]:
    """The blocks, and the text that a notification shows."""
    text, url = message.text, str(message.facts.get("url") or "")
    if (
        in_a_room and message.link
    ):  # an acknowledging link is one person's: whoever pressed it in a room would answer as them
        text = text.replace(message.link, url)
    subject = clean_line(message.subject, HEADER) or message.thread
    header = {"type": "header", "text": _plain(subject)}
    own = tuple(link for link in (message.link, url) if link)
    return {"text": escaped(subject), "blocks": [header, *_sections(text, own)]}


def _sections(text: str, own: tuple[str, ...]) -> list[dict[str, Any]]:
    """Plain text, in which Slack finds no mention, no link and no bold; only a line that ends in a link of ours has it
    to press."""
    lines = clean_text(text, SECTION * SECTIONS).splitlines()
    sections: list[dict[str, Any]] = []
    for leads, run in groupby(lines, key=lambda line: bool(own) and line.endswith(own)):
        if leads:
            sections += [{"type": "section", "text": _pressable(line, own)} for line in run]
        else:
            sections += [{"type": "section", "text": _plain(part)} for part in _parts("\n".join(run))]
    return sections[:MOST]


def _parts(text: str) -> Iterator[str]:
    """The text in parts that Slack takes, cut at a line's end where one is in reach."""
    left = text.strip("\n")
    while left:
        at = len(left) if len(left) <= SECTION else max(left.rfind("\n", 0, SECTION), 0) or SECTION
        yield left[:at]
        left = left[at:].strip("\n")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _pressable(line: str, own: tuple[str, ...]) -> dict[str, Any]:
    """`verbatim`: else Slack would look for more to press, and for whom to ring, in what stands before the link."""
    link = max((one for one in own if line.endswith(one)), key=len)
    before = escaped(line.removesuffix(link)[: SECTION // 6])
    return {"type": "mrkdwn", "text": f"{before}<{link}>", "verbatim": True}


def escaped(text: str) -> str:
    """`<!channel>` in an alert must not ring everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
