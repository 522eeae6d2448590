"""A provider that hangs: the threads of a process stay free for the others, and it is tried on (T14)."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from incidents.promises import NotNow, Outcome
from ports.clock import SettableClock
from ports.database import Database
from tests.fixtures.waiting import eventually
from tests.races.engine import Engine, Ledger, make, states
from worker.keeping import Keeper
from worker.rooms import Rooms

HUNG = [f"hung{n}" for n in range(40)]
WELL = [f"well{n}" for n in range(12)]


def test_forty_pages_to_a_hung_provider_leave_threads_for_the_others(
    database: Database, clock: SettableClock, tmp_path: Path
) -> None:
    rooms, over = Rooms(slow=0.05), threading.Event()
    under_way: list[str] = []

    def send(_: Any, row: Row[Any], attempt: int) -> Outcome | NotNow:
        with rooms.place(row.target or "") as is_free:
            if not is_free:
                return NotNow("no room", timedelta(seconds=1))
            if row.target == "hung":
                under_way.append(row.key)
                over.wait(20)
        return Outcome("yes", channel=row.target)

    engine = Engine(database, clock, Ledger(tmp_path / "ledger"), act=send, threads=Keeper.threads)  # type: ignore[arg-type]
    keeper = engine.keeper()
    make(database, *HUNG, target="hung")
    make(database, *WELL, target="well")
    drain = threading.Thread(target=keeper.drain, args=["page"])
    drain.start()

    try:
        eventually(lambda: {states(database)[key] for key in WELL} == {"kept"}, timeout=5)
        assert len(under_way) <= rooms.most
    finally:
        over.set()
        drain.join()

    def all_left() -> bool:
        clock.forward(timedelta(seconds=2))
        keeper.drain("page")
        return set(states(database).values()) == {"kept"}

    eventually(all_left)
    keeper.close()


def test_a_channel_that_hung_has_little_room_until_it_answers_quickly_again() -> None:
    rooms = Rooms(most=3, few=1, slow=0.02)

    with rooms.place("push"):
        threading.Event().wait(0.03)
        with rooms.place("push") as second, rooms.place("mail") as other:
            assert (second, other) == (False, True)
    with rooms.place("push") as probe, rooms.place("push") as more:
        assert (probe, more) == (True, False)
    with rooms.place("push") as first, rooms.place("push") as second, rooms.place("push") as third:
        assert (first, second, third) == (True, True, True)


def test_one_answer_that_is_lost_leaves_the_channel_its_room() -> None:
    rooms = Rooms(most=4, few=2, slow=0.02)

    with rooms.place("push"):
        threading.Event().wait(0.03)
        with rooms.place("push") as second, rooms.place("push") as third, rooms.place("push") as fourth:
            assert (second, third, fourth) == (True, True, True)
    with rooms.place("push") as first, rooms.place("push") as second, rooms.place("push") as third:
        assert (first, second, third) == (True, True, True)
