"""The processes, each as it runs alone from the Procfile and as a part of `firedoor up`."""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker
from sqlalchemy import Connection

from console.watching import STREAMS, Watch
from firedoor.backup import hold_if_old, read_stamp, write_stamp
from firedoor.credentials import keep_api_token, owner
from firedoor.heartbeat import Signs, beat_outside
from firedoor.logs import set_up_logs
from firedoor.settings import Settings, WrongSettings
from firedoor.shelf import Shelf
from firedoor.supervisor import Part, Supervisor
from firedoor.vitals import Pulse, die_with, name_process, save_memory
from firedoor.web import create_app
from firedoor.wiring import House
from incidents import canary
from incidents.audit import audit
from incidents.book import Book
from incidents.promises import Bell
from ports.database import StoreDown
from worker import listening
from worker.clock import Ticker

log = structlog.get_logger()

LANES = ("page", "act")
THREADS = 64 + STREAMS  # a page that watches keeps one of them; a thread begins when it is first needed
KEEP_ALIVE = 75  # seconds: longer than the proxies in front of us keep theirs
LINGER = 5  # milliseconds that a thread waits for the next request of its connection
GRACEFUL = 5
LOOK_AGAIN = 1.0  # seconds until a store that was away is looked at again
FROZEN = 12  # after so long gunicorn replaces its worker; under `up` the supervisor was faster


def run_web(settings: Settings, pulse: Pulse | None = None) -> None:
    """Serve the hooks, the console and the API until SIGTERM; requests that were begun are finished."""
    _begin("web", settings)
    Web(settings, pulse or Pulse()).run()


def run_worker(settings: Settings, lane: str | None = None, pulse: Pulse | None = None) -> None:
    """Work one lane, or both in two processes: a long rollback must never delay a page."""
    if settings.redis_url is None:
        raise WrongSettings(
            ["FIREDOOR_REDIS_URL is empty: a worker that runs alone needs a Redis or Valkey to wake it."]
        )
    if lane is None:
        _run_both_lanes(settings)
        return
    _begin(f"worker-{lane}", settings)
    known_at = read_stamp(settings.home)
    pulse = pulse or Pulse()
    pulse.beat_from_thread()
    house = House.open(settings, role="worker")
    stop = _stop_on_signals()
    _look_whether_old(house, known_at, stop, pulse)
    listening.run_worker(lane, settings.redis_url, house.keeper, house.taker, stop=stop, alive=pulse.lives)
    house.close()


def run_clock(settings: Settings, pulse: Pulse | None = None) -> None:
    """Look for what is due, once a second, with or without Redis."""
    _begin("clock", settings)
    known_at = read_stamp(settings.home)
    pulse = pulse or Pulse()
    pulse.beat_from_thread()
    house = House.open(settings, role="clock")
    stop = _stop_on_signals()
    _look_whether_old(house, known_at, stop, pulse)
    ticker = Ticker(house.database, house.clock, house.doorbell, house.keeper, house.taker, house.book)
    ticker.audit = partial(_audit_here, settings)
    if settings.heartbeat_url:
        beat_outside(settings.heartbeat_url, signs_of(house, ticker).are_good, stop)
    ticker.run(stop, pulse.lives)
    house.close()


def _look_whether_old(house: House, known_at: datetime | None, stop: threading.Event, pulse: Pulse) -> None:
    """Return once it is known whether the database is an old copy, or when we are to stop.

    Until then nothing of it may be sent, and our first pass would overwrite the stamp that tells. Under a Procfile
    nobody else may have looked: a database that is away at our start may come back as a copy.
    """
    while not stop.is_set():
        pulse.lives()
        try:
            hold_if_old(house.settings, known_at=known_at, book=house.book())
            return
        except StoreDown as error:
            log.warning("store.down", what=str(error), waits="to see whether it is an old copy")
        stop.wait(LOOK_AGAIN)


def signs_of(house: House, ticker: Ticker) -> Signs:
    """What must be true of this installation before we say that we live."""
    redis_ping = house.doorbell.ping if house.settings.redis_url else None
    return Signs(house.database, ticker.lag, redis_ping, web=house.settings.local_url)


def _audit_here(settings: Settings, session: Connection, *, book: Book, now: datetime) -> list[Bell]:
    """The audit, and with it what only a clock on a machine can do: its stamp, and the canary of these minutes."""
    bells = audit(session, book=book, now=now)
    write_stamp(settings.home, now)
    return [*bells, *(canary.owe(session, settings.canary, now=now) if settings.heartbeat_url else [])]


def release(settings: Settings) -> Settings:
    """What must be true before the other processes start: the home, its secrets, the tables. Safe to run again."""
    import migrations  # Alembic is needed here alone: the others' memory is spared it

    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = settings.write_missing_secrets()
    migrations.upgrade(settings.database_url)
    book = Shelf(settings).current()
    hold_if_old(settings, known_at=read_stamp(settings.home), book=book)
    keep_api_token(settings, owner(book.policy))
    return settings


class Web(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, told everything here: no file and no variable of its own is read."""

    def __init__(self, settings: Settings, pulse: Pulse) -> None:
        self.settings, self.pulse = settings, pulse
        self.watch: Watch | None = None
        super().__init__()

    def load_config(self) -> None:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        told: dict[str, Any] = {
            "bind": f"{host}:{self.settings.port}",
            "workers": 1,
            "threads": THREADS,
            "worker_class": BeatingWorker,
            "keepalive": KEEP_ALIVE,
            "graceful_timeout": GRACEFUL,
            "timeout": FROZEN,
            "control_socket_disable": True,
            "logger_class": RootLogger,
            "proc_name": "firedoor-web",
            "pre_fork": lambda _arbiter, _worker: (
                gc.freeze()
            ),  # what both have stays one page of memory, whatever is collected
            "post_fork": lambda arbiter, _worker: die_with(arbiter.pid),
        }
        for name, value in told.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        house = House.open(self.settings, role="web")
        house.empty_the_spool()
        self.watch = Watch(house.database)
        return create_app(house, self.watch)


class BeatingWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose main loop gives our pulse too, and whose streams end when it is told to.

    A sender that goes on at once keeps its thread: by gunicorn's main loop, which all senders share, each request of a
    connection costs one more wake-up of that loop and two of threads.
    """

    def handle(self, conn: Any) -> Any:
        """In a thread: one request, and the next ones that follow at once on the same connection."""
        goes_on = super().handle(conn)
        while goes_on is True and self.alive and _says_more(conn):
            goes_on = super().handle(conn)
        return goes_on

    def notify(self) -> None:
        super().notify()
        self.app.pulse.beat()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """By a thread: this handler may have interrupted whoever holds the lock that `stop` needs."""
        if self.app.watch is not None:
            threading.Thread(target=self.app.watch.stop, name="stop").start()
        super().handle_exit(sig, frame)


def _says_more(conn: Any) -> bool:
    """Whether the next request arrives within moments. What gunicorn has read ahead, it hands on itself."""
    if conn.parser.unreader.buf.getvalue():
        return False
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(LINGER))


class RootLogger(Logger):  # type: ignore[misc]
    """gunicorn's lines go where all others go. No access log: each unit of work writes one line of its own."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log.propagate = True


def parts(settings: Settings) -> list[Part]:
    """What `up` runs beside Valkey."""
    return [
        Part("web", partial(run_web, settings)),
        *(Part(lane, partial(run_worker, settings, lane)) for lane in LANES),
        Part("clock", partial(run_clock, settings)),
    ]


def _run_both_lanes(settings: Settings) -> None:
    _begin("worker", settings)
    raise SystemExit(Supervisor([Part(lane, partial(run_worker, settings, lane)) for lane in LANES]).run())


def _begin(name: str, settings: Settings) -> None:
    os.umask(0o077)  # what we write is for us alone
    name_process(f"firedoor-{name}")
    save_memory()  # while there is one thread: later ones would have made heaps of their own
    set_up_logs(name, hide=settings.secret_values())
    if not settings.secret_key:
        raise WrongSettings(
            ["FIREDOOR_SECRET_KEY is not set, and HOME/secrets holds none. Run `firedoor release` first."]
        )


def _stop_on_signals() -> threading.Event:
    """Set from a thread: a handler that interrupted `stop.wait()` would wait for the lock it interrupted."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop.set, name="stop").start())
    return stop
