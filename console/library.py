"""The runbook library: whose, how fresh, armed or not; and “would this fire?” with a payload pasted in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nh3
from flask import Blueprint, Response, request
from markdown_it import MarkdownIt
from markupsafe import Markup

from console.frame import Frame
from incidents import shelved, silences, simulation
from incidents.errors import FiredoorError, NotFound
from ports.database import Work

MOST_PASTED = 200_000  # characters
MOST_ALERTS = 20  # of one payload, shown


def library(frame: Frame, blueprint: Blueprint) -> None:
    frame.serve(
        blueprint,
        {"GET /runbooks": runbooks, "POST /runbooks": would_this_fire, "GET /runbooks/<name>": runbook},
    )


def runbooks(frame: Frame) -> Response:
    with frame.database.read() as work:
        return library_page(frame, work)


def would_this_fire(frame: Frame) -> Response:
    payload, source = request.form.get("payload", "")[:MOST_PASTED], request.form.get("source", "")
    with frame.database.read() as work:
        try:
            found = _simulated(frame, work, source, payload)
        except FiredoorError as wrong:
            return library_page(frame, work, payload, source, status=422, refusal=wrong.sentence)
        return library_page(frame, work, payload, source, found=found)


def runbook(frame: Frame, name: str) -> Response:
    found = frame.book().runbooks.get(name)
    if found is None:
        raise NotFound(f"There is no runbook “{name}” in the library now.")
    return frame.show(
        "console/runbook.html",
        now=frame.database.clock.now(),
        runbook=found,
        when=[silences.written((clause,)) for clause in found.when],
        steps=found.worklist(),
        prose=as_html(found.body.lstrip().removeprefix(f"# {found.title}\n")),  # the page has it on top
    )


def library_page(
    frame: Frame,
    work: Work,
    payload: str = "",
    source: str = "alertmanager",
    *,
    found: Sequence[dict[str, Any]] | None = None,
    status: int = 200,
    refusal: str = "",
) -> Response:
    """All runbooks, and the tester with its answer beside what was pasted."""
    book = frame.book()
    return frame.show(
        "console/runbooks.html",
        now=work.now,
        status=status,
        refusal=refusal,
        runbooks=shelved.shelved(work.session, book=book, now=work.now),
        sources=sorted(book.policy.sources),
        source=source,
        payload=payload,
        found=found,
    )


def _simulated(frame: Frame, work: Work, source: str, payload: str) -> list[dict[str, Any]]:
    """What each alert of the payload would do now. Nothing is stored, whatever it says."""
    book = frame.book()
    if source not in book.policy.sources:
        raise NotFound("The policy has no such source. Nothing was tried.")
    quiet = silences.in_force(work.session, book=book, now=work.now)
    alerts = frame.parse(source, payload.encode("utf-8", "replace"))
    return [simulation.simulate(one, book=book, now=work.now, quiet=quiet) for one in alerts[:MOST_ALERTS]]


def as_html(markdown: str) -> Markup:
    """A runbook's prose: no HTML of its own, and whatever is left is cleaned once more."""
    return Markup(nh3.clean(MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown[:200_000])))  # noqa: S704
