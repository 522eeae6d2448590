"""The audit's chain: lines are written without a lock, sealed in one order, and every edit of them shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from incidents import auditlog
from incidents.tables import audit, counter
from ports.clock import SettableClock
from ports.database import Database, Work

NOW = datetime(2026, 11, 21, 14, 37, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, SettableClock(NOW))
    yield database
    database.close()


def write(work: Work, n: int) -> None:
    auditlog.write(
        work.session, at=work.now, actor="ada", door="api", what="note", on=f"INC-{n:03}", why="é, \0 and more",
        facts={"n": n},
    )  # fmt: skip


def seal_all(database: Database) -> None:
    while database.alone(lambda work: auditlog.seal(work.session)) is not None:
        pass


def verify(database: Database, *, later: timedelta = timedelta(0)) -> auditlog.Chain:
    with database.read() as work:
        return auditlog.verify(work.session, now=NOW + later)


def five_lines(database: Database) -> None:
    for n in range(1, 6):
        database.alone(lambda work, n=n: write(work, n))
    seal_all(database)


def test_an_untouched_chain_holds_and_grows(database: Database) -> None:
    assert verify(database) == auditlog.Chain(0, auditlog.FIRST, 0)
    five_lines(database)
    first = verify(database)
    database.alone(lambda work: write(work, 6))
    seal_all(database)

    assert (first.lines, first.broken) == (5, "")
    assert (verify(database).lines, verify(database).broken) == (6, "")
    assert verify(database).head != first.head


@pytest.mark.parametrize(
    "changed",
    [{"actor": "ben"}, {"why": ""}, {"at": NOW - timedelta(seconds=1)}, {"facts": {"n": 4}}, {"door": "console"},
     {"what": "resolve"}, {"subject": "INC-009"}, {"hash": "f" * 64}],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_an_edited_line_is_named(database: Database, changed: dict[str, Any]) -> None:
    five_lines(database)
    database.alone(lambda work: work.session.execute(update(audit).where(audit.c.seq == 3).values(**changed)))

    assert verify(database).broken.startswith("line 3 (")


def test_a_line_taken_out_of_the_middle_or_of_the_end_is_missed(database: Database) -> None:
    five_lines(database)
    database.alone(lambda work: work.session.execute(delete(audit).where(audit.c.seq == 5)))
    assert verify(database).broken.startswith("line 5 is missing at the end")

    database.alone(lambda work: work.session.execute(delete(audit).where(audit.c.seq == 2)))
    assert verify(database).broken.startswith("line 2 is missing")


def test_a_line_that_was_put_in_or_swapped_shows(database: Database) -> None:
    five_lines(database)

    def swap(work: Work) -> None:
        for seq, other in ((2, -1), (3, 2), (-1, 3)):
            work.session.execute(update(audit).where(audit.c.seq == seq).values(seq=other))

    database.alone(swap)

    assert verify(database).broken.startswith("line 2 (")


def test_writers_at_once_and_sealers_at_once_make_one_chain(database: Database) -> None:
    """Twelve threads write and three seal, each in transactions of its own: no line is lost, linked twice or forked."""
    stop = threading.Event()
    faults: list[BaseException] = []

    def guarded(act: Any) -> None:
        try:
            act()
        except BaseException as error:
            faults.append(error)

    def writing(k: int) -> None:
        for n in range(10):
            database.alone(lambda work, n=n: write(work, 100 * k + n))

    def sealing() -> None:
        while not stop.is_set():
            database.alone(lambda work: auditlog.seal(work.session))

    sealers = [threading.Thread(target=guarded, args=(sealing,)) for _ in range(3)]
    writers = [threading.Thread(target=guarded, args=(lambda k=k: writing(k),)) for k in range(12)]
    for thread in (*sealers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in sealers:
        thread.join()
    seal_all(database)

    assert faults == []
    assert (verify(database).lines, verify(database).broken) == (120, "")


def test_a_line_committed_late_with_a_lower_id_is_sealed_after_the_others(database: Database) -> None:
    """PostgreSQL gives ids before it commits: the chain follows the order of sealing, never that of ids."""
    if database.dialect != "postgresql":
        return  # SQLite has one writer: ids are committed in their order
    with database.work() as late:
        write(late, 1)
        database.alone(lambda work: write(work, 2))
        seal_all(database)
    seal_all(database)

    with database.read() as work:
        rows = work.session.execute(select(audit.c.subject).order_by(audit.c.seq)).scalars().all()
    assert rows == ["INC-002", "INC-001"]
    assert verify(database).broken == ""


def test_lines_that_nobody_seals_are_counted_after_minutes(database: Database) -> None:
    database.alone(lambda work: write(work, 1))

    assert verify(database).waiting == 0
    assert verify(database, later=timedelta(minutes=6)).waiting == 1
    with database.read() as work:
        assert work.session.execute(select(counter.c.value).where(counter.c.name == auditlog.SEALED)).scalar() is None
