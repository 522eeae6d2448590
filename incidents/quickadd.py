"""What a person types into the timeline: `14:42 text` puts it at that time, `/finding text` says what kind it is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from incidents.errors import Malformed

NOTE = "note"
KINDS = (NOTE, "finding", "hypothesis", "decision", "tried")
TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s+(?=\S)")
COMMAND = re.compile(r"/(\w+)\s+(?=\S)")
AHEAD = timedelta(minutes=2)  # clocks differ; what is further ahead was yesterday


class Entry(NamedTuple):
    """What it is, when it was (None: now), and the text that is left."""

    kind: str
    at: datetime | None
    text: str


def read_entry(typed: str, *, zone: tzinfo, now: datetime) -> Entry:
    """Time and command in either order; whatever is neither stays text, such as `/var/log is full`."""
    kind, at, text = NOTE, None, typed.strip()
    for _ in range(2):
        if at is None and (found := TIME.match(text)):
            at, text = _last(int(found[1]), int(found[2]), zone, now), text[found.end() :]
        elif kind == NOTE and (found := COMMAND.match(text)) and found[1].lower() in KINDS:
            kind, text = found[1].lower(), text[found.end() :]
    if not text.strip() or (text.startswith("/") and text[1:].lower() in KINDS):
        raise Malformed("field.text", "There is no text after the command. Nothing was changed.")
    return Entry(kind, at, text)


def _last(hour: int, minute: int, zone: tzinfo, now: datetime) -> datetime:
    """The last time that clocks in this zone showed it."""
    here = now.astimezone(zone)
    moment = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment > here + AHEAD:
        moment -= timedelta(days=1)
    return min(moment.astimezone(now.tzinfo), now)
