"""Two merges at once, A into B and B into A: one is done, the other is refused, and nobody waits for ever."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import select

from incidents import tables, verbs
from incidents.errors import Refused
from ports.database import Work
from tests.fixtures.desk import Desk

PAIRS = 12


def test_two_merges_of_the_same_two_incidents_at_once(desk: Desk) -> None:
    names = [desk.api("POST", "/incidents", expect=201, title=f"No {n}", severity="P3")["id"] for n in range(2 * PAIRS)]
    pairs = list(zip(names[::2], names[1::2], strict=True))
    outcomes: list[Any] = []
    wrong: list[BaseException] = []
    start = threading.Barrier(2)

    def merge_all(*, back: bool) -> None:
        by = verbs.Actor("ada", "Ada", "api")
        for one, other in pairs:
            source, into = (other, one) if back else (one, other)

            def press(work: Work, source: str = source, into: str = into) -> verbs.Done:
                book, fields = desk.house.book(), {"into": into}
                return verbs.perform(work.session, "merge", source, by=by, fields=fields, book=book, now=work.now)

            start.wait(30)
            try:
                desk.house.database.perform(press)
                outcomes.append("done")
            except Refused as no:
                outcomes.append(no.code)
            except BaseException as error:
                wrong.append(error)

    jobs = [threading.Thread(target=merge_all, kwargs={"back": back}) for back in (False, True)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)

    assert wrong == []
    assert outcomes.count("done") == PAIRS
    assert set(outcomes) <= {"done", "merge.over", "merge.closed"}
    i = tables.incident
    with desk.house.database.read() as work:
        rows = work.session.execute(select(i.c.id, i.c.status, i.c.merged_into).order_by(i.c.id)).all()
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        assert sorted((one.status, other.status)) == ["active", "closed"]
        assert (one.merged_into, other.merged_into) in ((other.id, None), (None, one.id))
    desk.news()
