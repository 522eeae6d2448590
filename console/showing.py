"""How a page says times: pure functions that templates call. Times come in as ISO texts of the facts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from markupsafe import Markup, escape

_TICKED = re.compile(r"`([^`]{1,200})`")


def spoken(span: timedelta) -> str:
    """`45 s`, `12 min`, `2 h 15 min`, `3 d`: two units at most, cut rather than rounded."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def read_time(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def time_words(now: datetime, zone: tzinfo) -> dict[str, Callable[..., Any]]:
    """The functions that every template has for times, bound to this page's `now` and time zone."""

    def at(value: str | datetime) -> str:
        moment = read_time(value).astimezone(zone)
        here = now.astimezone(zone)
        if moment.date() == here.date():
            return f"{moment:%H:%M}"
        if moment.year == here.year:
            return f"{moment:%a} {moment.day} {moment:%b %H:%M}"
        return f"{moment.day} {moment:%b %Y %H:%M}"

    def full(value: str | datetime) -> str:
        """`15:02 (UTC+3) / 12:02Z`; where both are the same, `12:02Z`."""
        moment = read_time(value)
        zulu = f"{moment.astimezone(UTC):%H:%M}Z"
        return (
            f"{at(value)} (UTC{offset_words(moment, zone)}) / {zulu}" if offset_words(moment, zone) else f"{at(value)}Z"
        )

    def ago(value: str | datetime) -> str:
        return spoken(now - read_time(value))

    def until(value: str | datetime) -> str:
        left = read_time(value) - now
        return f"in {spoken(left)}" if left >= timedelta(0) else f"{spoken(-left)} late"

    def is_past(value: str | datetime) -> bool:
        return read_time(value) < now

    def took(began: str | datetime, ended: str | datetime) -> str:
        return spoken(read_time(ended) - read_time(began))

    return {"at": at, "full": full, "ago": ago, "until": until, "is_past": is_past, "took": took, "took_words": spoken}


def offset_words(moment: datetime, zone: tzinfo) -> str:
    """`+3`, `-3:30`; "" where it is UTC's own."""
    minutes = int((moment.astimezone(zone).utcoffset() or timedelta()).total_seconds()) // 60
    if minutes == 0:
        return ""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


def ticked(text: object) -> Markup:
    """A sentence whose `names` are set as code; whatever else is in it stays text."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped before


def is_web_link(url: object) -> bool:
    """Only http and https may become a link: labels and annotations are written by strangers."""
    return isinstance(url, str) and url.lower().startswith(("https://", "http://"))
