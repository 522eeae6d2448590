"""The forms: each press goes through the one door, and what is refused keeps what was typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, g, request

from console.frame import Frame
from console.pages import alert_answer, declare_page, incident_answer, shadow_page
from console.putaside import put_aside_page
from console.remembered import of_form
from incidents import door, verbs
from incidents.conflict import both_sides
from incidents.errors import NotFound, Refused, VersionConflict
from incidents.once import Answer, answer_once
from incidents.units import number_of
from ports.database import Work

DECLARED = ("title", "service", "severity", "summary")
WHERE = {
    "incident": "/i/{}",
    "silence": "/silences/{}",
    "delivery": "/inbox",
    "place": "/shadow",
    "installation": "/",
}  # where the page is that shows what was done


def deeds(frame: Frame) -> Blueprint:
    """Everything that a POST does."""
    blueprint = Blueprint("deeds", __name__)
    frame.serve(
        blueprint,
        {
            "POST /i/<name>/<verb>": press,
            "POST /i/<name>/steps/<int(max=100000):n>": step,
            "POST /alerts/<int(max=9223372036854775807):alert_id>/open": open_alert,
            "POST /declare": declare,
            "POST /shadow/golive": golive,
            "POST /resume": resume,
            "POST /inbox/<int(max=9223372036854775807):delivery>/replay": replay,
        },
    )
    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


def press(frame: Frame, name: str, verb: str) -> Response:
    if verb not in verbs.VERBS or verb == "step":
        raise NotFound(f"There is no verb “{verb}”. Nothing was done.")
    return press_verb(frame, name, verb, fields_of((*verbs.VERBS[verb].fields, "note")))


def step(frame: Frame, name: str, n: int) -> Response:
    return press_verb(frame, name, "step", {**fields_of(("outcome", "reason")), "n": str(n)})


def open_alert(frame: Frame, alert_id: int) -> Response:
    return do(
        frame, "open_alert", alert_id, fields=fields_of(("severity",)),
        refused=lambda work, no: alert_answer(frame, work, alert_id, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def declare(frame: Frame) -> Response:
    typed = {name: request.form.get(name, "").strip() for name in DECLARED}
    return do(
        frame, "declare", fields=typed,
        refused=lambda work, no: declare_page(frame, work.now, typed, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def golive(frame: Frame) -> Response:
    return do(
        frame, "golive", fields=fields_of(("name",)),
        refused=lambda work, no: shadow_page(frame, work, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def resume(frame: Frame) -> Response:
    return do(
        frame, "resume", fields=fields_of(("reason",)),
        refused=lambda work, no: put_aside_page(frame, work, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def replay(frame: Frame, delivery: int) -> Response:
    return do(
        frame, "replay", delivery, fields={},
        refused=lambda work, no: put_aside_page(frame, work, status=no.status, refusal=no.sentence),
    )  # fmt: skip


def press_verb(frame: Frame, name: str, verb: str, fields: dict[str, Any]) -> Response:
    """One verb on one incident; then its page, with what was done or why it was not."""
    typed = fields.get("text", "") or fields.get("note", "") or fields.get("reason", "")
    return do(
        frame, verb, name, fields=fields, version=_version(),
        refused=lambda work, no: incident_answer(
            frame, work, name, status=no.status, refusal=no.sentence, typed=typed
        ),
    )  # fmt: skip


def do(
    frame: Frame,
    verb: str,
    on: str | int = "",
    *,
    fields: Mapping[str, Any],
    version: int | None = None,
    refused: Callable[[Work, Refused], Response],
) -> Response:
    """A form through the one door, once however often its button is tapped; then the page that shows what it did."""
    book, by = frame.book(), frame.actor()
    once = of_form(request, g.signed_in.csrf)

    def act(work: Work) -> Answer:
        done = door.perform(work, verb, on, by=by, fields=fields, version=version, book=book)
        return Answer(303, {"go": WHERE[done.of].format(done.name), "said": done.said})

    try:
        answer = frame.database.perform_once(lambda work: answer_once(work, once, lambda: act(work)))
    except Refused as no:
        with frame.database.read() as work:
            if isinstance(no, VersionConflict):
                g.conflict = both_sides(work.session, no, verb=verb, fields=fields, book=book)
            return refused(work, no)
    return frame.go(answer.content["go"], answer.content["said"])


def _version() -> int | None:
    return number_of(request.form.get("version", ""))


def fields_of(names: tuple[str, ...]) -> dict[str, Any]:
    """The fields that were filled in; browsers send an empty text for the others."""
    return {name: request.form[name] for name in names if request.form.get(name, "").strip()}
