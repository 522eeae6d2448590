"""What Slack shows of a message: a header, sections that fit, and nothing in it that rings everybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from incidents.alerts import clean_line, clean_text
from worker.channels.channel import Message

HEADER, SECTION, SECTIONS, TEXT = 150, 2900, 10, 3900  # characters; Slack cuts or refuses what is longer


def content(message: Message, *, in_a_room: bool) -> dict[str, Any]:
    """The blocks, and the text that a notification shows."""
    text = message.text
    if (
        in_a_room and message.link
    ):  # an acknowledging link is one person's: whoever pressed it in a room would answer as them
        text = text.replace(message.link, str(message.facts.get("url") or ""))
    subject = clean_line(message.subject, HEADER) or message.thread
    header = {"type": "header", "text": {"type": "plain_text", "text": subject, "emoji": False}}
    sections = [{"type": "section", "text": {"type": "mrkdwn", "text": part}} for part in _sections(text)]
    return {"text": escaped(subject), "blocks": [header, *sections]}


def _sections(text: str) -> Iterator[str]:
    """The text in parts that Slack takes, cut at a line's end where one is in reach."""
    left = escaped(clean_text(text, SECTION * SECTIONS)).strip()
    for _ in range(SECTIONS):
        if not left:
            return
        at = len(left) if len(left) <= SECTION else max(left.rfind("\n", 0, SECTION), 0) or SECTION
        yield left[:at]
        left = left[at:].strip("\n")


def escaped(text: str) -> str:
    """`<!channel>` in an alert must not ring everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
