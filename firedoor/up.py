"""`firedoor up`: everything on one machine, from an empty folder. Small teams run it in production.

1. One `up` a home: take its lock. See that the port is free.
2. Read the policy and the runbooks; a faulty policy starts nothing.
3. In a child that ends: secrets, tables, the command line's token, the one-time sign-in.
4. Freeze what was imported, so that the children share its memory, and fork them.
5. Supervise. Starting again after any end goes on with every open incident: all of it is rows.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from firedoor import processes, valkey
from firedoor.credentials import new_sign_in, owner
from firedoor.greeting import greeting
from firedoor.logs import set_up_logs
from firedoor.settings import Settings
from firedoor.shelf import Shelf
from firedoor.supervisor import Part, Supervisor
from firedoor.vitals import Pulse, name_process, save_memory
from incidents.errors import FaultsFound, FiredoorError, Refused
from incidents.permissions import ADMIN

log = structlog.get_logger()


class CannotStart(FiredoorError):
    """It can't start here."""

    code = "cannot_start"


def up(settings: Settings, *, say: Callable[[str], None] | None = None) -> int:
    """Start everything and stay until SIGINT or SIGTERM. The exit code: 0, or 1 when nothing was started."""
    # whoever reads them through a pipe reads them now; what was refused goes where a service's log is
    refuse = say or partial(print, file=sys.stderr, flush=True)
    say = say or partial(print, flush=True)
    try:
        lock = _lock(settings.home)
        _see_that_port_is_free(settings.host, settings.port)
        book = Shelf(settings).current()
    except FaultsFound as found:
        refuse(f"{found.sentence}\nNothing was started: mend the policy, and try `firedoor check`.")
        return 1
    except FiredoorError as refused:
        refuse(refused.sentence)
        return 1
    settings = settings.write_missing_secrets()
    set_up_logs("up", hide=settings.secret_values())
    sign_in = _prepare(settings, owner(book.policy))
    if sign_in is None:
        refuse("Nothing was started: the tables could not be made. The lines above say why.")
        return 1
    name_process("firedoor-up")
    welcome = greeting(settings, book, sign_in=sign_in)
    supervisor = Supervisor(_parts(settings), leave=[lock], ready=lambda: say(welcome))
    _freeze()
    return supervisor.run()


def _lock(home: Path) -> int:
    """Held until this process ends, however it ends."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(
            f"{home} can't be written: {error.strerror}. Nothing was started. Set FIREDOOR_HOME."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode(errors="replace").strip() or "of unknown number"
        os.close(lock)
        raise CannotStart(
            f"Firedoor already runs on {home} (process {holder}). Nothing was started. "
            "Stop that one first, or give this one another home with FIREDOOR_HOME."
        ) from None
    os.truncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _see_that_port_is_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CannotStart(
            f"Port {port} on {host} can't be used: {error.strerror}. Nothing was started. "
            "Free it, or choose another with FIREDOOR_PORT."
        ) from error


def _prepare(settings: Settings, person: str) -> str | None:
    """The database's work, in a child: this process never opens an engine. The sign-in token comes back by a pipe.

    None: it could not be done. Empty: it was, and the account of `person` is disabled.
    """
    ear, mouth = os.pipe()
    pid = os.fork()
    if pid == 0:
        _in_child(lambda: os.write(mouth, _ready_tables(settings, person).encode()))
    os.close(mouth)
    with os.fdopen(ear) as answer:
        token = answer.read()
    _, status = os.waitpid(pid, 0)
    return token if status == 0 else None


def _ready_tables(settings: Settings, person: str) -> str:
    settings = processes.release(settings)
    try:
        return new_sign_in(settings, person, role=ADMIN)  # whoever starts Firedoor can do everything with it anyway
    except Refused:
        return ""


def _in_child(act: Callable[[], object]) -> None:
    code = 1
    try:
        act()
        code = 0
    except Exception as error:
        log.error("up.refused", why=str(error).strip().splitlines()[0], kind=type(error).__name__)
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _parts(settings: Settings) -> list[Part]:
    if settings.redis_url is not None:
        return processes.parts(settings)
    at = settings.embedded_socket
    embedded = Part("valkey", partial(_become_valkey, at), answers=partial(valkey.answers, at), last=True)
    return [embedded, *processes.parts(replace(settings, redis_url=settings.embedded_redis_url))]


def _become_valkey(at: Path, _pulse: Pulse) -> None:
    valkey.become(at)


def _freeze() -> None:
    """What is imported now is shared by all children as long as the garbage collector leaves it alone."""
    if threading.active_count() != 1:
        log.warning("up.threads", why="A thread runs before the fork; a child may wait for its lock for ever.")
    save_memory()
    gc.collect()
    gc.freeze()
