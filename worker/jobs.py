"""Every RQ job there is. A job carries one integer and is only a nudge: what to do stands in the database."""

from __future__ import annotations

from worker.keeping import Keeper
from worker.taking import Taker

_keeper: Keeper | None = None
_taker: Taker | None = None


def use(keeper: Keeper, taker: Taker) -> None:
    """Said once a process, before its first job."""
    global _keeper, _taker
    _keeper, _taker = keeper, taker


def take_in(inbox_id: int) -> None:  # which row rang does not matter: order does
    """Something was put into the inbox: take in whatever is new, in the order it came."""
    assert _taker is not None, "use() was not called"
    _taker.drain()


def keep(promise_id: int) -> None:
    """A promise fell due: keep it, and then whatever else its lane owes."""
    assert _keeper is not None, "use() was not called"
    _keeper.keep(promise_id)
