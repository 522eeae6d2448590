"""What needs a human now, worst first: the first thing that a person who comes in should see (U27). Nothing writes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from incidents import lifecycle, tables
from incidents.book import Book
from incidents.policykeys import LIVE

t = tables


def open_now(session: Connection, *, book: Book) -> dict[str, Any]:
    """How many incidents are open and the worst severity among them; "" while there is none. Shadow does not count."""
    i = t.incident.c
    counted = select(i.severity, func.count()).where(i.status.in_(lifecycle.LIVE), i.mode == LIVE).group_by(i.severity)
    found = {row[0]: row[1] for row in session.execute(counted)}
    return {"count": sum(found.values()), "worst": book.policy.worst(found) if found else ""}
