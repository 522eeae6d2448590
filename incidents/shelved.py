"""The library as people look at it: whose, how fresh, whether armed, how often it was used (U30). Nothing writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from incidents import tables
from incidents.book import Book
from incidents.library import check_library, claimed_twice
from incidents.units import iso

t = tables


def shelved(session: Connection, *, book: Book, now: datetime) -> list[dict[str, Any]]:
    """Every runbook, those with faults first, then the armed ones, each with what is wrong with it."""
    used = _used(session)
    policy = book.policy
    lint: dict[str, list[str]] = {}
    found = check_library(
        book.runbooks, roles=policy.roles_known, services=set(policy.services), teams=set(policy.teams),
        severities=set(policy.severities),
    )  # fmt: skip
    for fault in [*found, *claimed_twice(book.runbooks)]:
        lint.setdefault(fault.file, []).append(f"line {fault.line}: {fault.what}")
    rows = []
    for one in book.runbooks.all:
        review = one.review_warning(now.date())
        times, last = used.get(one.name, (0, None))
        rows.append(
            {
                "name": one.name,
                "title": one.title,
                "owner": one.owner,
                "service": one.service,
                "severity": one.severity,
                "reviewed": one.reviewed.isoformat() if one.reviewed else None,
                "review_due": review is not None,
                "state": "faulty" if one.faults else "armed" if one.armed else "fallback" if one.fallback else "draft",
                "unarmed": one.unarmed,
                "faults": [f"line {fault.line}: {fault.what}" for fault in one.faults],
                "warnings": [f"line {fault.line}: {fault.what}" for fault in one.warnings] + lint.get(one.file, []),
                "used": times,
                "used_at": iso(last),
            }
        )
    order = ("faulty", "armed", "draft", "fallback")
    return sorted(rows, key=lambda row: (order.index(row["state"]), row["title"].lower()))


def _used(session: Connection) -> dict[str, tuple[int, datetime]]:
    i = t.incident.c
    counted = select(i.runbook, func.count(), func.max(i.declared_at)).where(i.runbook.is_not(None)).group_by(i.runbook)
    return {row[0]: (row[1], row[2]) for row in session.execute(counted)}
