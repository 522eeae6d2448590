"""Who would be paged now, who fills which role, what wakes them; and the severity table with its audiences."""

from __future__ import annotations

from flask import Blueprint, Response, request

from console.facts import role_words
from console.frame import Frame
from incidents import roster
from incidents.policy import DEFAULT_TEAM


def people(frame: Frame, blueprint: Blueprint) -> None:
    frame.serve(blueprint, {"GET /people": roles, "GET /severities": table})


def roles(frame: Frame) -> Response:
    book, now = frame.book(), frame.database.clock.now()
    return frame.show(
        "console/people.html",
        now=now,
        services=roster.by_service(book, now),
        codes=[(code, row.label) for code, row in book.policy.severities.items()],
        teams=roster.teams(book, now),
        known=roster.people(book, now),
        gaps=roster.gaps(book, now),
        role_words=role_words,
    )


def table(frame: Frame) -> Response:
    book, now = frame.book(), frame.database.clock.now()
    asked = request.args.get("team", DEFAULT_TEAM)
    team = asked if asked in book.policy.teams else DEFAULT_TEAM
    return frame.show(
        "console/severities.html",
        now=now,
        team=team,
        teams=[(name, one.name or name) for name, one in book.policy.teams.items()],
        rows=[
            {"code": code, "row": row, "hears": roster.audiences(book, team, row, now)}
            for code, row in book.policy.severities.items()
        ],
        digest=book.policy.digest,
        role_words=role_words,
    )
