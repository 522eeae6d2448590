"""The forms: each press goes through the verbs' one door, and what is refused keeps what was typed."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from console.frame import Frame
from console.pages import alert_answer, declare_page, incident_answer
from incidents import verbs
from incidents.errors import NotFound, Refused
from incidents.verbs import Done
from ports.database import Work

DECLARED = ("title", "service", "severity", "summary")


def deeds(frame: Frame) -> Blueprint:
    """Everything that a POST does."""
    blueprint = Blueprint("deeds", __name__)

    @blueprint.post("/i/<name>/<verb>")
    def press(name: str, verb: str) -> Response:
        if verb not in verbs.VERBS or verb == "step":
            raise NotFound(f"There is no verb “{verb}”. Nothing was done.")
        return perform(frame, name, verb, fields_of(verbs.VERBS[verb].fields))

    @blueprint.post("/i/<name>/steps/<int(max=100000):n>")
    def step(name: str, n: int) -> Response:
        return perform(frame, name, "step", {**fields_of(("outcome", "reason")), "n": str(n)})

    @blueprint.post("/alerts/<int(max=9223372036854775807):alert_id>/open")
    def open_alert(alert_id: int) -> Response:
        severity = request.form.get("severity") or None
        book, by = frame.book(), frame.actor()
        try:
            done = _do(frame, lambda work: verbs.open_alert(
                work.session, alert_id, severity=severity, by=by, book=book, now=work.now
            ))  # fmt: skip
        except Refused as refused:
            with frame.database.read() as work:
                return alert_answer(frame, work, alert_id, status=refused.status, refusal=refused.sentence)
        return frame.go(f"/i/{done.name}", done.said)

    @blueprint.post("/declare")
    def declare() -> Response:
        typed = {name: request.form.get(name, "").strip() for name in DECLARED}
        book, by = frame.book(), frame.actor()
        try:
            done = _do(frame, lambda work: verbs.declare(
                work.session, title=typed["title"], service=typed["service"] or None, severity=typed["severity"],
                summary=typed["summary"], by=by, book=book, now=work.now,
            ))  # fmt: skip
        except Refused as refused:
            now = frame.database.clock.now()
            return declare_page(frame, now, typed, status=refused.status, refusal=refused.sentence)
        return frame.go(f"/i/{done.name}", done.said)

    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


def perform(frame: Frame, name: str, verb: str, fields: dict[str, str]) -> Response:
    """One verb on one incident; then its page, with what was done or why it was not."""
    book, by = frame.book(), frame.actor()
    version = request.form.get("version", "")
    seen = int(version) if version.isdecimal() and len(version) < 12 else None
    try:
        done = _do(frame, lambda work: verbs.perform(
            work.session, verb, name, by=by, fields=fields, version=seen, book=book, now=work.now
        ))  # fmt: skip
    except Refused as refused:
        typed = fields.get("text", "") or fields.get("note", "") or fields.get("reason", "")
        with frame.database.read() as work:
            return incident_answer(frame, work, name, status=refused.status, refusal=refused.sentence, typed=typed)
    return frame.go(f"/i/{done.name}", done.said)


def fields_of(names: tuple[str, ...]) -> dict[str, str]:
    """The fields that were filled in; browsers send an empty text for the others."""
    return {name: request.form[name] for name in names if request.form.get(name, "").strip()}


def _do(frame: Frame, verb: Callable[[Work], Done]) -> Done:
    def act(work: Work) -> Done:
        done = verb(work)
        work.ring(done.bells)
        return done

    return frame.database.perform(act)
