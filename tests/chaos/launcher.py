"""Starts one real process as the Procfile does, in a house that also knows a dangerous act of the chaos's own.

`python -m tests.chaos.launcher web|clock|worker-page|worker-act`. The act calls the recording provider, which counts.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

import ports.database
from firedoor import processes
from firedoor.settings import Settings
from firedoor.wiring import House
from incidents.kinds import Kind, Prepared
from incidents.promises import Outcome
from ports.clock import SystemClock

PULL = "pull"  # the dangerous act: never twice, whatever happens
PROVIDER = "CHAOS_PROVIDER"
FREEZE_FLAG = "CHAOS_FREEZE"
AHEAD = "CHAOS_AHEAD"  # seconds by which this host's clock is wrong


def _prepare(session: Any, row: Any, book: Any, now: Any) -> Prepared:
    return Prepared(PULL, row.target, dict(row.facts))


def _pull(prepared: Prepared, row: Any, attempt: int) -> Outcome:
    """One POST to the provider. Only an answer tells: without one the act may have happened."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            url = f"{os.environ[PROVIDER]}/act/{prepared.target}"
            answer = session.post(url, data=b"{}", headers={"Idempotency-Key": row.key}, timeout=5)
    except requests.ConnectionError as error:
        refused = "refused" in str(error).lower()
        return Outcome("no" if refused else "ambiguous", str(error)[:80])
    except requests.RequestException as error:
        return Outcome("ambiguous", str(error)[:80])
    return Outcome("yes" if answer.ok else "no", f"HTTP {answer.status_code}")


KINDS = {PULL: Kind(PULL, prepare=_prepare)}
ACTORS: Mapping[str, Callable[..., Outcome]] = {PULL: _pull}


class WrongClock(SystemClock):
    """A machine's clock that was set by hand, a while ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=float(os.environ.get(AHEAD, 0)))


class ChaosHouse(House):
    """A house with the dangerous kind in it, and its machine's clock."""

    @classmethod
    def open(cls, settings: Settings, **told: Any) -> House:
        return super().open(settings, clock=WrongClock(), kinds=KINDS, actors=ACTORS, **told)


def freeze_before_commit(flag: Path) -> Callable[[], None]:
    """A crash point that stops this process inside a write transaction, once, when the flag appears."""
    mine = threading.local()

    def point() -> None:
        mine.before = not getattr(mine, "before", False)  # called before and after each COMMIT of a thread
        if mine.before and flag.exists():
            flag.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGSTOP)

    return point


def main(part: str) -> None:
    settings = Settings.from_env()
    processes.House = ChaosHouse  # type: ignore[misc]
    if flag := os.environ.get(FREEZE_FLAG):
        ports.database.crash_point = freeze_before_commit(Path(flag))
    if part == "web":
        processes.run_web(settings)
    elif part == "clock":
        processes.run_clock(settings)
    else:
        processes.run_worker(settings, part.removeprefix("worker-"))


if __name__ == "__main__":
    main(sys.argv[1])
