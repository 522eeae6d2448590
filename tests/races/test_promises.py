"""Promises under two hands: guarded writes decide, and a loser changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from incidents import claims, promises
from incidents.promises import Bell, Outcome, Wanted
from incidents.tables import attempt, person_token, promise
from ports.clock import SettableClock
from ports.database import Database

LEASE = timedelta(seconds=20)


def wanted(key: str, database: Database, *, in_: int = 0, **more: object) -> Wanted:
    return Wanted("page", key, database.clock.now() + timedelta(seconds=in_), **more)  # type: ignore[arg-type]


def make(database: Database, *rows: Wanted) -> list[Bell]:
    with database.work() as work:
        return promises.make(work.session, rows, now=work.now)


def claim_one(database: Database, **how: object):  # type: ignore[no-untyped-def]
    with database.work() as work:
        rows = claims.claim(work.session, now=work.now, lease=LEASE, **how)  # type: ignore[arg-type]
    return rows[0] if rows else None


def state_of(database: Database, promise_id: int = 1) -> str:
    with database.read() as work:
        return str(work.session.execute(select(promise.c.state).where(promise.c.id == promise_id)).scalar_one())


def attempts(database: Database) -> list[tuple[int, str | None]]:
    with database.read() as work:
        rows = work.session.execute(select(attempt.c.fence, attempt.c.outcome).order_by(attempt.c.id)).all()
        return [(row.fence, row.outcome) for row in rows]


def settle(database: Database, row: object, outcome: Outcome) -> str | None:
    with database.work() as work:
        return claims.settle(work.session, row, outcome, now=work.now)  # type: ignore[arg-type]


def test_a_promise_made_twice_is_one_row_and_one_bell(database: Database) -> None:
    assert [bell.lane for bell in make(database, wanted("a", database), wanted("b", database, in_=60))] == ["page"]
    assert make(database, wanted("a", database), wanted("b", database, in_=60)) == []


def test_many_promises_are_made_in_one_go(database: Database) -> None:
    bells = make(database, *(wanted(f"k{n}", database, lane="act") for n in range(700)))

    assert len(set(bells)) == 700


def rows_read(database: Database, promise_id: int) -> int:
    """What a claim of this one costs: rows of `promise` on PostgreSQL, on SQLite steps of its machine, in hundreds."""
    with database.work() as work:
        steps: list[int] = []
        if database.dialect == "sqlite":
            connection = work.session.connection.driver_connection
            connection.set_progress_handler(lambda: steps.append(1), 100)  # type: ignore[union-attr]
        found = claims.claim(work.session, now=work.now, lease=LEASE, lane="page", among=[promise_id])
        assert [row.id for row in found] == [promise_id]
        if database.dialect == "sqlite":
            connection.set_progress_handler(None, 0)  # type: ignore[union-attr]
            return len(steps)
        read = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'promise'")
        return int(work.session.execute(read).scalar_one())


def test_a_claim_reads_the_row_that_it_takes_and_not_all_that_are_due(database: Database) -> None:
    rows = [wanted(f"k{n}", database, in_=60) for n in range(2000)]
    [bell] = make(database, *rows, wanted("now", database))

    assert rows_read(database, bell.id) < 50


def test_a_held_promise_rings_no_bell_and_is_not_claimed(database: Database) -> None:
    assert make(database, wanted("a", database, held=True)) == []
    assert claim_one(database, lane="page") is None


def test_the_oldest_due_row_is_claimed_first_and_only_once(database: Database, clock: SettableClock) -> None:
    make(database, wanted("young", database, in_=5), wanted("old", database, in_=1), wanted("late", database, in_=60))
    clock.forward(timedelta(seconds=10))

    assert [claim_one(database, lane="page").key for _ in range(2)] == ["old", "young"]
    assert claim_one(database, lane="page") is None
    assert attempts(database) == [(1, None), (1, None)]


def test_a_claim_of_one_row_leaves_the_others(database: Database) -> None:
    make(database, wanted("a", database), wanted("b", database))

    assert claim_one(database, promise_id=2).key == "b"
    assert claim_one(database, promise_id=2) is None
    assert claim_one(database, promise_id=99) is None


@pytest.mark.parametrize(
    ("outcome", "state", "seconds"),
    [
        (Outcome("yes", provider_ref="x1"), "kept", None),
        (Outcome("no"), "due", 1),
        (Outcome("no", retry_after=timedelta(seconds=90)), "due", 90),
        (Outcome("no", permanent=True), "failed", None),
        (Outcome("ambiguous"), "due", 2),
    ],
)
def test_an_outcome_moves_the_row(database: Database, outcome: Outcome, state: str, seconds: int | None) -> None:
    make(database, wanted("a", database))
    row = claim_one(database, lane="page")

    assert settle(database, row, outcome) == state
    assert state_of(database) == state
    assert attempts(database) == [(1, outcome.result)]
    with database.read() as work:
        if seconds is not None:
            assert promises.next_due_at(work.session) == work.now + timedelta(seconds=seconds)


def test_the_back_off_grows_to_thirty_seconds(database: Database, clock: SettableClock) -> None:
    make(database, wanted("a", database))
    waits = []
    for _ in range(8):
        settle(database, claim_one(database, lane="page"), Outcome("no"))
        with database.read() as work:
            next_due_at = promises.next_due_at(work.session)
        assert next_due_at
        waits.append((next_due_at - clock.now()).total_seconds())
        clock.set(next_due_at)

    assert waits == [1, 2, 5, 10, 20, 30, 30, 30]


def test_an_ambiguous_page_is_sent_at_most_three_times_in_a_minute(database: Database, clock: SettableClock) -> None:
    make(database, wanted("a", database))
    began, sends = clock.now(), 0
    while clock.now() - began < timedelta(minutes=1):
        settle(database, claim_one(database, lane="page"), Outcome("ambiguous"))
        sends += 1
        with database.read() as work:
            next_due_at = promises.next_due_at(work.session)
        assert next_due_at
        clock.set(next_due_at)

    assert sends == 3


def test_an_ambiguous_dangerous_row_is_parked_and_only_a_person_moves_it(database: Database) -> None:
    make(database, wanted("a", database, dangerous=True, lane="act"))
    assert settle(database, claim_one(database, lane="act"), Outcome("ambiguous")) == "parked"
    assert claim_one(database, lane="act") is None

    with database.work() as work:
        assert promises.unpark(work.session, 1, to="due", by="ada", now=work.now) == [Bell("act", 1)]
        assert promises.unpark(work.session, 1, to="kept", by="ada", now=work.now) == []

    assert claim_one(database, lane="act").fence == 2


def test_a_try_past_its_last_moment_fails(database: Database, clock: SettableClock) -> None:
    make(database, wanted("a", database, not_after=clock.now() + timedelta(milliseconds=500)))

    assert settle(database, claim_one(database, lane="page"), Outcome("no")) == "failed"


def test_a_lost_fence_changes_nothing(database: Database, clock: SettableClock) -> None:
    make(database, wanted("a", database))
    slow = claim_one(database, lane="page")
    clock.forward(LEASE)
    with database.work() as work:
        assert claims.free_expired(work.session, now=work.now) == ([Bell("page", 1)], [])
    quick = claim_one(database, lane="page")

    assert settle(database, slow, Outcome("yes")) is None
    with database.work() as work:
        assert not claims.end(work.session, slow, "cancelled", why="late", now=work.now)
        assert not claims.release(work.session, slow, now=work.now)
    assert state_of(database) == "claimed"
    assert attempts(database) == [(1, "ambiguous"), (2, None)]
    assert settle(database, quick, Outcome("yes")) == "kept"
    assert settle(database, quick, Outcome("no")) is None


def test_an_expired_lease_parks_what_is_dangerous_unless_it_was_seen_done(
    database: Database, clock: SettableClock
) -> None:
    make(database, *(wanted(key, database, dangerous=True, lane="act") for key in ("done", "unknown")))
    with database.work() as work:
        claims.claim(work.session, now=work.now, lease=LEASE, lane="act", limit=2)
    clock.forward(LEASE)

    with database.work() as work:
        assert len(claims.expired(work.session, now=work.now)) == 2
        bells, parked = claims.free_expired(work.session, now=work.now, done=[1])
    assert bells == []
    assert [row.key for row in parked] == ["unknown"]
    assert [state_of(database, n) for n in (1, 2)] == ["kept", "parked"]


def test_a_lease_of_next_year_is_no_lease(database: Database) -> None:
    make(database, wanted("a", database))
    row = claim_one(database, lane="page")
    with database.work() as work:
        far = work.now + timedelta(days=365)
        work.session.execute(update(promise).where(promise.c.id == row.id).values(lease_until=far))

    with database.work() as work:
        assert claims.free_expired(work.session, now=work.now)[0] == [Bell("page", 1)]


def test_a_row_that_is_put_back_was_not_tried(database: Database) -> None:
    make(database, wanted("a", database))
    row = claim_one(database, lane="page")

    with database.work() as work:
        assert claims.release(work.session, row, now=work.now)
    assert attempts(database) == []
    again = claim_one(database, lane="page")
    assert (again.attempts, again.fence) == (1, 2)


def test_a_cancel_takes_what_is_due_and_leaves_what_is_claimed(database: Database) -> None:
    make(database, wanted("a", database, target="ada"), wanted("b", database, target="ada"))
    claim_one(database, promise_id=1)

    with database.work() as work:
        assert promises.cancel(work.session, promise.c.key.in_(("a", "b")), why="acknowledged", now=work.now) == 1
    assert [state_of(database, n) for n in (1, 2)] == ["claimed", "cancelled"]


def test_what_was_rung_lately_is_not_rung_again(database: Database, clock: SettableClock) -> None:
    make(database, wanted("a", database), wanted("b", database, in_=1, lane="act"))

    def due() -> list[int]:
        with database.work() as work:
            rows = promises.due(work.session, now=work.now)
            promises.rung(work.session, [row.id for row in rows], now=work.now)
            return [row.id for row in rows]

    assert due() == []
    clock.forward(timedelta(seconds=1))
    assert due() == [2]
    clock.forward(timedelta(seconds=1))
    assert due() == [1]
    clock.forward(timedelta(seconds=1))
    assert due() == [2]


def test_a_link_is_granted_once(database: Database) -> None:
    make(database, wanted("a", database, target="ada"), wanted("b", database))
    with database.work() as work:
        rows = claims.claim(work.session, now=work.now, lease=LEASE, lane="page", limit=2)
        for salt in ("one", "two"):
            claims.grant_links(work.session, rows, lambda row, salt=salt: salt, now=work.now)  # type: ignore[misc]
        assert work.session.execute(select(person_token.c.salt)).all() == []  # none of them belongs to an incident
