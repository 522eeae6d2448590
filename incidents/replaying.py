"""Deliveries as a person deals with them: what could not be read is listed, looked at, and taken in once more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, LargeBinary, func, literal_column, select, update

from incidents import auditlog, permissions, rawbody
from incidents.errors import NotFound, Refused
from incidents.press import Actor
from incidents.promises import Bell
from incidents.tables import inbox

PUT_ASIDE = ("unreadable", "ignored")
IS_PUT_ASIDE = inbox.c.state.in_([literal_column(f"'{one}'") for one in PUT_ASIDE])  # as its index spells it


def put_aside(session: Connection, *, limit: int = 50, cursor: str | None = None) -> dict[str, Any]:
    """Deliveries that wait for a person, the newest first, each with why. Their bytes are for `delivery` to show."""
    i = inbox.c
    before = [i.id < int(cursor)] if cursor else []
    asked = (
        select(i.id, i.source, i.received_at, i.state, i.error, func.length(i.body).label("size"))
        .where(IS_PUT_ASIDE, *before)
        .order_by(i.id.desc())
        .limit(limit + 1)
    )
    rows = session.execute(asked).all()
    shown = rows[:limit]
    return {
        "items": [
            {
                "id": row.id,
                "source": row.source,
                "received_at": _iso(row.received_at),
                "state": row.state,
                "why": row.error or "",
                "bytes": row.size,
            }
            for row in shown
        ],
        "next": str(shown[-1].id) if len(rows) > limit else None,
    }


def delivery(session: Connection, number: int, *, by: Actor) -> dict[str, Any]:
    """One delivery, whatever became of it, with the beginning of its body as text. Raises NotAllowed or NotFound.

    Its headers are shown nowhere: one of them may prove who the sender is.
    """
    permissions.allows(by, "read_delivery")
    i = inbox.c
    asked = select(
        i.id, i.source, i.received_at, i.state, i.error, i.attempts, func.length(i.body).label("size"),
        func.substr(i.body, 1, rawbody.LIMIT, type_=LargeBinary).label("beginning"),
    )  # fmt: skip
    row = session.execute(asked.where(i.id == number)).first()
    if row is None:
        raise NotFound(
            f"There is no delivery {number} in the inbox: none had that number, or its time was over and it was "
            "deleted. Nothing can be shown. What was made of it is in the alerts and the timeline."
        )
    body = rawbody.readable(bytes(row.beginning or b""), row.size)  # of nothing the beginning is NULL in SQLite
    return {
        "id": row.id,
        "source": row.source,
        "received_at": _iso(row.received_at),
        "state": row.state,
        "why": row.error or "",
        "attempts": row.attempts,
        "bytes": row.size,
        "body": body.text,
        "cut": body.cut,
        "laid_out": body.laid_out,
        "escaped": body.escaped,
        "can_replay": row.state in PUT_ASIDE,
        "links": {"self": f"/api/v1/inbox/{row.id}", "console": f"/inbox/{row.id}"},
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def replay(session: Connection, delivery: int, *, by: Actor, now: datetime) -> list[Bell]:
    """Guarded by the state: a delivery that was taken in is never taken in again. Raises NotFound or Refused."""
    permissions.allows(by, "replay")
    i = inbox.c
    again = (
        update(inbox)
        .where(i.id == delivery, i.state.in_(PUT_ASIDE))
        .values(state="new", error=None, attempts=0, lease_until=None)
    )
    if session.execute(again).rowcount != 1:
        _refuse(session.execute(select(i.state).where(i.id == delivery)).scalar(), delivery)
    on = f"delivery {delivery}"
    auditlog.write(session, at=now, actor=by.login or by.person, door=by.via, what="replay", on=on)
    return [Bell("intake", delivery)]


def _refuse(state: str | None, delivery: int) -> None:
    if state is None:
        raise NotFound(f"There is no delivery {delivery} in the inbox. Nothing was replayed.")
    if state == "new":
        raise Refused(
            "replay.waiting",
            f"Delivery {delivery} waits to be taken in. Nothing was replayed, and nothing needs to be.",
        )
    raise Refused(
        "replay.taken",
        f"Delivery {delivery} was taken in already. Nothing was replayed: old news would undo newer news.",
    )
