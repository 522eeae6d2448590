"""The supervisor: it forks its parts from one preloaded process, restarts what dies, and kills what falls silent.

It holds no thread, no engine and no open socket, so that a fork is safe at any moment of its life.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

from firedoor.vitals import Pulse, die_with, name_process
from incidents.errors import FiredoorError

log = structlog.get_logger()

WAITS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # before the first, second, … restart in a row
HEALTHY = 60.0  # whoever lived that long starts again with the shortest wait
SILENCE = 10.0  # a frozen process may hold the database's lock
GRACE = 4.0  # after TERM, before KILL
TURN = 0.25


@dataclass(frozen=True)
class Part:
    """One child: what it runs, and how its life shows: by its own pulse, or by answering when asked."""

    name: str
    run: Callable[[Pulse], None]
    answers: Callable[[], bool] | None = None
    silence: float = SILENCE
    last: bool = False  # stopped after the others, which may still need it


@dataclass
class Child:
    part: Part
    pid: int | None = None
    ear: int | None = None  # our end of its pulse
    started_at: float = 0.0
    heard_at: float = 0.0
    falls: int = 0
    start_at: float = 0.0


@dataclass
class Supervisor:
    """Keeps its parts alive until it is told to stop."""

    parts: Sequence[Part]
    leave: Sequence[int] = ()  # descriptors that a child must not keep, like the lock of the home
    grace: float = GRACE
    ready: Callable[[], None] | None = None  # called once, when every part was started
    children: list[Child] = field(init=False)
    asked_to_stop: int = 0
    looked_at: float = 0.0

    def __post_init__(self) -> None:
        self.children = [Child(part) for part in self.parts]

    def run(self) -> int:
        """Supervise until SIGINT, SIGTERM or SIGHUP; everything is gone when this returns."""
        self.leash, self.hold = os.pipe()
        with self._signals():
            try:
                self._start_due()
                if self.ready:
                    self.ready()
                while not self.asked_to_stop:
                    self._turn()
            finally:
                self._stop()
        return 0

    def _turn(self) -> None:
        self._listen(TURN)
        self._reap()
        self._ask()
        self._kill_the_silent()
        self._start_due()

    # Starting

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.pid is None and child.start_at <= now:
                self._start(child)

    def _start(self, child: Child) -> None:
        ear, mouth = os.pipe()
        supervisor = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._become(child.part, mouth, supervisor, ear)
        with contextlib.suppress(OSError):  # the child does the same: whoever comes first
            os.setpgid(pid, pid)
        os.close(mouth)
        os.set_blocking(ear, False)
        child.pid, child.ear = pid, ear
        child.started_at = child.heard_at = time.monotonic()
        log.info("part.started", part=child.part.name, pid=pid, falls=child.falls)

    def _become(self, part: Part, mouth: int, supervisor: int, ear: int) -> None:
        """In the child: forget the supervisor's signals and pipes, live as the part, and never return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.setpgid(0, 0)  # Ctrl-C at the terminal reaches the supervisor alone, which stops us in order
            others = [child.ear for child in self.children if child.ear is not None]
            for descriptor in (ear, self.hold, *self.wake, *others, *self.leave):
                os.close(descriptor)
            die_with(supervisor, self.leash)
            name_process(f"firedoor-{part.name}")
            part.run(Pulse(mouth))
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except FiredoorError as refused:
            log.error("part.refused", part=part.name, why=refused.sentence)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)  # nothing of the supervisor's own ending belongs to a child

    # Watching

    def _listen(self, timeout: float) -> None:
        """Wait for a pulse, a signal or the end of the turn."""
        ears = {child.ear: child for child in self.children if child.ear is not None}
        heard, _, _ = select.select([self.wake[0], *ears], [], [], timeout)
        now = time.monotonic()
        for descriptor in heard:
            beats = _drain(descriptor)
            if descriptor in ears and beats:
                ears[descriptor].heard_at = now
            elif descriptor in ears:  # its end is closed: the child is dying, and _reap will see it
                self._deafen(ears[descriptor])

    def _reap(self) -> None:
        for child in self.children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._fell(child, os.waitstatus_to_exitcode(status))

    def _fell(self, child: Child, code: int) -> None:
        now = time.monotonic()
        _signal(child.pid, signal.SIGKILL, group=True)  # whatever it had started
        self._deafen(child)
        child.falls = 1 if now - child.started_at >= HEALTHY else child.falls + 1
        wait = WAITS[min(child.falls, len(WAITS)) - 1]
        log.error("part.died", part=child.part.name, pid=child.pid, code=code, restart_in=wait)
        child.pid, child.start_at = None, now + wait

    def _ask(self) -> None:
        """Ask the parts that have no pulse, at most once a second each."""
        for child in self.children:
            asked_after = time.monotonic() - child.heard_at >= 1.0
            if child.pid and child.part.answers and asked_after and child.part.answers():
                child.heard_at = time.monotonic()

    def _kill_the_silent(self) -> None:
        now = time.monotonic()
        late, self.looked_at = now - self.looked_at, now
        for child in self.children:
            if late > child.part.silence / 2:  # it was we who were frozen: nobody could be heard
                child.heard_at = now
            if child.pid and now - child.heard_at > child.part.silence:
                log.error("part.silent", part=child.part.name, pid=child.pid, seconds=round(now - child.heard_at, 1))
                _signal(child.pid, signal.SIGKILL, group=True)
                child.heard_at = now  # once; then it is reaped

    def _deafen(self, child: Child) -> None:
        if child.ear is not None:
            os.close(child.ear)
            child.ear = None

    # Stopping

    def _stop(self) -> None:
        """TERM, at most `grace` seconds, KILL: first whoever works, then what they work with."""
        end = time.monotonic() + self.grace
        for last in (False, True):
            group = [child for child in self.children if child.pid and child.part.last is last]
            for child in group:
                _signal(child.pid, signal.SIGTERM)
            while any(child.pid for child in group) and time.monotonic() < end and self.asked_to_stop < 2:
                self._collect(group)
                time.sleep(0.02)
            for child in group:
                _signal(child.pid, signal.SIGKILL, group=True)
            end = max(end, time.monotonic() + 0.3)
        for child in self.children:
            if child.pid:
                os.waitpid(child.pid, 0)
                child.pid = None
            self._deafen(child)
        for descriptor in (self.leash, self.hold):
            os.close(descriptor)
        log.info("stopped")

    def _collect(self, group: Sequence[Child]) -> None:
        for child in group:
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                _signal(child.pid, signal.SIGKILL, group=True)
                child.pid = None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let signals end the wait at once, and put the handlers back afterwards."""
        self.wake = os.pipe()
        for descriptor in self.wake:
            os.set_blocking(descriptor, False)
        before = signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)
        handlers = {
            number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for descriptor in self.wake:
                os.close(descriptor)

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1


def _drain(descriptor: int) -> int:
    """How many bytes were waiting; 0 means that the other end is closed."""
    try:
        return len(os.read(descriptor, 4096))
    except BlockingIOError:
        return 1


def _signal(pid: int | None, number: int, *, group: bool = False) -> None:
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)
