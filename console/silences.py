"""The pages of silences: what is quiet now, the form that asks for quiet, what a silence muted, and lifting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from console.deeds import do
from console.frame import Frame
from incidents import lists, silencing
from incidents.calendar import to_utc
from incidents.errors import NotFound
from incidents.units import number_of
from ports.database import Work

SPANS = ("30m", "1h", "2h", "4h", "8h", "24h", "3d", "7d", "30d")
MOST_ENDED = 20
NAMED = ("alertname", "service", "env", "instance")  # prefilled of an alert; a person strikes out what is too narrow
TYPED = ("matchers", "for", "reason", "starts_at")


def silences(frame: Frame) -> Blueprint:
    """`/silences`, and one page for each of them."""
    blueprint = Blueprint("silences", __name__)
    frame.serve(
        blueprint,
        {
            "GET /silences": all_of_them,
            "GET /silences/<int(max=9223372036854775807):silence_id>": one,
            "POST /silences": ask,
            "POST /silences/<int(max=9223372036854775807):silence_id>/lift": lift,
        },
    )
    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


def all_of_them(frame: Frame) -> Response:
    with frame.database.read() as work:
        return list_page(frame, work, typed=_prefilled(work, request.args.get("alert", "")))


def one(frame: Frame, silence_id: int) -> Response:
    with frame.database.read() as work:
        return silence_page(frame, work, silence_id)


def ask(frame: Frame) -> Response:
    typed = {name: request.form.get(name, "").strip() for name in TYPED}
    begins = _begin(typed["starts_at"], frame.zone())
    return do(
        frame, "silence", fields={**typed, "matchers": typed["matchers"].splitlines(), "starts_at": begins},
        refused=lambda work, no: list_page(frame, work, typed=typed, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def lift(frame: Frame, silence_id: int) -> Response:
    return do(
        frame, "lift_silence", silence_id, fields={},
        refused=lambda work, no: silence_page(frame, work, silence_id, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def list_page(frame: Frame, work: Work, *, typed: dict[str, str], status: int = 200, refusal: str = "") -> Response:
    """What is quiet now, the form, the policy's windows, and what ended lately. What was typed is kept."""
    book, now = frame.book(), work.now
    live = lists.silence_list(work.session, filters={"state": "live"}, limit=200, book=book, now=now)
    planned = lists.silence_list(work.session, filters={"state": "planned"}, limit=200, book=book, now=now)
    ended = lists.silence_list(work.session, filters={"state": "ended"}, limit=MOST_ENDED, book=book, now=now)
    return frame.show(
        "console/silences.html",
        now=now,
        status=status,
        refusal=refusal,
        typed=typed,
        spans=SPANS,
        quiet=_to_lift(frame, live["items"]),
        planned=_to_lift(frame, planned["items"]),
        windows=live["windows"],
        ended=ended["items"],
    )


def silence_page(frame: Frame, work: Work, silence_id: int, *, status: int = 200, refusal: str = "") -> Response:
    facts = lists.silence_facts(work.session, silence_id, book=frame.book(), now=work.now)
    silence = _to_lift(frame, [facts])[0]
    return frame.show("console/silence.html", now=work.now, status=status, refusal=refusal, silence=silence)


def _to_lift(frame: Frame, found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Silences, each with what the account lacks to lift it."""
    book, by = frame.book(), frame.actor()
    return [{**one, "lacks": silencing.lack(by, one["matchers"], one["teams"], book)} for one in found]


def _prefilled(work: Work, alert: str) -> dict[str, str]:
    """The form as one alert would have it: its name and where it comes from."""
    empty = {"matchers": "", "for": "2h", "reason": "", "starts_at": ""}
    number = number_of(alert)
    if number is None:
        return empty
    try:
        labels: dict[str, Any] = lists.alert_facts(work.session, number)["labels"]
    except NotFound:
        return empty
    named = [(name, labels[name]) for name in NAMED if labels.get(name)]
    return {**empty, "matchers": "\n".join(f"{name}={_quoted(value)}" for name, value in named)}


def _begin(typed: str, zone: ZoneInfo) -> str:
    """A form says a time as a clock on the wall does, and that clock hangs where the page's times are read."""
    try:
        read = datetime.fromisoformat(typed)
        return to_utc(read.date(), read.time(), zone).isoformat()
    except (ValueError, OverflowError):
        return typed  # refused by the door, as any door's would be


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
