"""One dangerous act in a child of its own: it ends with us, it ends in time, and it is never begun late.

A killed worker takes the child with it (PR_SET_PDEATHSIG), so nobody acts on after the lease was given to a person.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from incidents.promises import Outcome

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def act_in_child(act: Callable[[], Outcome], *, within: timedelta) -> Outcome:
    """Run it in its own process group. Without an answer in time everything in the group is killed: ambiguous."""
    read_end, write_end = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _be_the_child(act, write_end, parent)
    os.close(write_end)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)  # both sides say it: whoever is first
    try:
        answer = _read_all(read_end, within.total_seconds())
    finally:
        os.close(read_end)
        for end in (lambda: os.killpg(child, signal.SIGKILL), lambda: os.waitpid(child, 0)):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                end()
    if answer is None:
        return Outcome("ambiguous", f"no answer within {within.total_seconds():g} s; it was killed")
    return _outcome(answer)


def _be_the_child(act: Callable[[], Outcome], write_end: int, parent: int) -> None:
    """Never returns: nothing of the parent's may run on in here."""
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        if LIBC is not None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we could ask to die with it
            os._exit(1)
        try:
            outcome = act()
        except Exception as error:
            outcome = Outcome("ambiguous", f"{type(error).__name__}: {error}")
        _write_all(write_end, json.dumps(_plain(outcome)).encode())
    finally:
        os._exit(0)


def _plain(outcome: Outcome) -> dict[str, Any]:
    plain = {**vars(outcome)}
    plain["retry_after"] = outcome.retry_after.total_seconds() if outcome.retry_after else None
    return plain


def _outcome(answer: bytes) -> Outcome:
    try:
        plain = json.loads(answer)
    except ValueError:
        return Outcome("ambiguous", "it ended without an answer")
    if plain["retry_after"] is not None:
        plain["retry_after"] = timedelta(seconds=plain["retry_after"])
    return Outcome(**plain)


def _read_all(read_end: int, seconds: float) -> bytes | None:
    """What the child says until it ends, or None when it does not end."""
    parts: list[bytes] = []
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not select.select([read_end], [], [], left)[0]:
            return None
        part = os.read(read_end, 65_536)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _write_all(write_end: int, answer: bytes) -> None:
    while answer:
        answer = answer[os.write(write_end, answer) :]
