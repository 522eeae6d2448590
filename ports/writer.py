"""The group-commit writer of the web process: one thread writes for all requests, so many answers share one fsync.

It rests after each COMMIT, because a process that asks for SQLite's write lock without a pause starves the others.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar

from ports.database import Database, StoreDown, Work, is_store_down, store_errors

T = TypeVar("T")
Item = TypeVar("Item")

REST = 0.001
BELLS_REST = 0.05  # a worker that was just woken drains its lane: bells within so long are one bell
MOST = 64  # verbs a COMMIT
ANSWER_WITHIN = 20.0
ALONE: Any = object()


class Turn:
    """One caller's verb, and what became of it. With an item the verb answers for several callers' items at once."""

    __slots__ = ("answer", "bells", "done", "error", "given_up", "item", "verb")

    def __init__(self, verb: Callable[..., Any], item: Any = ALONE) -> None:
        self.verb = verb
        self.item = item
        self.answer: Any = None
        self.error: BaseException | None = None
        self.bells: list[tuple[str, int]] = []
        self.given_up = False
        self.done = threading.Lock()
        self.done.acquire()


class Writer:
    """`Writer(database).attach()`: from then on `database.perform` goes through here. Its threads start when first
    needed, so it may be built before a fork."""

    def __init__(self, database: Database, *, rest: float = REST, most: int = MOST) -> None:
        self._database = database
        self._rest = rest
        self._most = most
        self._starting = threading.Lock()
        self._pid = 0
        self._turns: queue.SimpleQueue[Turn | None] = queue.SimpleQueue()
        self._bells: queue.SimpleQueue[list[tuple[str, int]] | None] = queue.SimpleQueue()

    def attach(self) -> Writer:
        self._database.writer = self
        return self

    def perform(self, verb: Callable[[Work], T]) -> T:
        """Run the verb in the next batch. Returns after COMMIT; a fault comes back to its own caller alone."""
        answer: T = self._take_turn(Turn(verb))
        return answer

    def perform_with_others(
        self, verb: Callable[[Work, Sequence[Item]], Sequence[T]], item: Item, *, within: float | None = None
    ) -> T:
        """The same for a verb that answers all callers of one batch at once."""
        answer: T = self._take_turn(Turn(verb, item), within=within)
        return answer

    def _take_turn(self, turn: Turn, *, within: float | None = None) -> Any:
        if self._pid != os.getpid():
            self._start()
        self._turns.put(turn)
        if not turn.done.acquire(timeout=ANSWER_WITHIN if within is None else within):
            turn.given_up = True
            raise StoreDown("The database did not take the write in time.")
        if turn.error is not None:
            raise turn.error
        return turn.answer

    def close(self) -> None:
        if self._pid == os.getpid():
            self._turns.put(None)
            self._bells.put(None)
            for thread in self._threads:
                thread.join(5)
        self._pid = 0

    def _start(self) -> None:
        with self._starting:
            if self._pid == os.getpid():
                return
            self._turns, self._bells = queue.SimpleQueue(), queue.SimpleQueue()
            self._threads = [
                threading.Thread(target=self._write, args=(self._turns,), name="writer", daemon=True),
                threading.Thread(target=self._ring, args=(self._bells,), name="ringer", daemon=True),
            ]
            for thread in self._threads:
                thread.start()
            self._pid = os.getpid()

    # ---- the writer's thread

    def _write(self, turns: queue.SimpleQueue[Turn | None]) -> None:
        while True:
            first = turns.get()
            if first is None:
                return
            batch, last = self._gather(first, turns)
            self._commit([turn for turn in batch if not turn.given_up])
            if last:
                return
            time.sleep(self._rest)

    def _gather(self, first: Turn, turns: queue.SimpleQueue[Turn | None]) -> tuple[list[Turn], bool]:
        batch = [first]
        while len(batch) < self._most:
            try:
                turn = turns.get_nowait()
            except queue.Empty:
                break
            if turn is None:
                return batch, True
            batch.append(turn)
        return batch, False

    def _commit(self, batch: list[Turn]) -> None:
        try:
            if not self._all_together(batch):
                self._each_in_a_savepoint(batch)
        except BaseException as error:
            for turn in batch:
                turn.error = turn.error or error
        else:
            bells = [bell for turn in batch for bell in turn.bells]
            if bells:
                self._bells.put(bells)
        for turn in batch:
            turn.done.release()

    def _all_together(self, batch: list[Turn]) -> bool:
        """One transaction and no savepoints: nearly every batch is without a fault. False: one had a fault, and
        everything was rolled back."""
        try:
            with self._database.unit() as work:
                for verb, turns in groupby(batch, key=lambda turn: turn.verb):
                    self._run(work, verb, list(turns))
        except Exception as error:
            if len(batch) > 1 and not is_store_down(error):
                return False
            raise
        return True

    def _run(self, work: Work, verb: Callable[..., Any], turns: list[Turn]) -> None:
        """Turns of one verb that stand next to each other."""
        first = turns[0]
        own = Work(work.session, work.now)
        answers = [verb(own) for _ in turns] if first.item is ALONE else verb(own, [turn.item for turn in turns])
        for turn, answer in zip(turns, answers, strict=True):
            turn.answer = answer
        first.bells = own.bells

    def _each_in_a_savepoint(self, batch: list[Turn]) -> None:
        """Again, so that a fault undoes its own verb alone."""
        for turn in batch:
            turn.answer, turn.bells = None, []
        with self._database.unit() as work:
            for turn in batch:
                self._run_beside(work, turn)

    def _run_beside(self, work: Work, turn: Turn) -> None:
        """In a savepoint. A store that is down is everybody's: SQLite may have rolled back the whole by itself."""
        try:
            with store_errors(), work.session.begin_nested():
                self._run(work, turn.verb, [turn])
        except BaseException as error:
            if is_store_down(error):
                raise
            turn.error = error

    # ---- the ringer's thread: a slow Redis delays no commit

    def _ring(self, bells: queue.SimpleQueue[list[tuple[str, int]] | None]) -> None:
        while True:
            waiting = bells.get()
            if waiting is None:
                return
            lanes = dict(waiting[::-1])
            while not bells.empty():
                more = bells.get_nowait()
                if more is None:
                    self._database.ring(lanes.items())
                    return
                lanes = {**dict(more[::-1]), **lanes}
            self._database.ring(lanes.items())
            time.sleep(BELLS_REST)
