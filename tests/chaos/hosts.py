"""A host: the parts that run on one machine, kept as a Procfile manager keeps them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.chaos.launcher import AHEAD, FREEZE_FLAG
from tests.chaos.nursery import Nursery
from tests.fixtures.waiting import eventually

Parts = Mapping[str, str]  # name → what the launcher starts

# What a Procfile manager runs at the scale of our targets.
ALONE: Parts = {
    "web": "web",
    "page-1": "worker-page",
    "page-2": "worker-page",
    "act": "worker-act",
    "clock-1": "clock",
    "clock-2": "clock",
}
# A whole stack, of two that share a PostgreSQL and a Valkey.
STACK: Parts = {"web": "web", "page": "worker-page", "act": "worker-act", "clock": "clock"}


def a_stack_each(*, ahead: float) -> Layout:
    """Two hosts on one database and one Valkey; the clock of the second is so many seconds ahead."""
    hosts = (("a", 0.0), ("b", ahead))
    return tuple((host, {f"{part}-{host}": starts for part, starts in STACK.items()}, by) for host, by in hosts)


Layout = tuple[tuple[str, Parts, float], ...]  # host, its parts, and the seconds by which its clock is ahead
ONE_HOST: Layout = (("alone", ALONE, 0.0),)
TWO_HOSTS = a_stack_each(ahead=30.0)
TWINS = a_stack_each(ahead=0.0)


class Process(Protocol):
    """What a `Popen` and a child of the nursery have in common."""

    pid: int

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float) -> int: ...


@dataclass
class Host:
    """One machine. `down` keeps its manager from starting again what is dead."""

    parts: Parts
    home: Path
    logs: Path
    environ: Mapping[str, str]
    ahead: float = 0.0  # seconds by which its clock is wrong
    nursery: Nursery | None = None
    down: bool = False
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str) -> None:
        environ = {**self.environ, FREEZE_FLAG: str(self.flag(name)), AHEAD: str(self.ahead)}
        log = self.logs / f"{name}.log"
        if self.nursery is not None:
            self.processes[name] = self.nursery.fork(self.parts[name], environ, home=self.home, log=log)
            return
        words = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.chaos.launcher", self.parts[name]]
        with log.open("ab") as file:
            self.processes[name] = subprocess.Popen(
                words, env=environ, cwd=self.home, stdout=file, stderr=file, start_new_session=True
            )

    def start_all(self) -> None:
        self.down = False
        for name in self.parts:
            self.start(name)

    def tend(self) -> None:
        """Start again what is dead."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None and not self.down:
                self.start(name)

    def kill(self, name: str) -> None:
        """kill -9 of the process, as the machine's out-of-memory killer would; its children die by themselves."""
        children = self._family(name)[1:]
        self.processes[name].kill()
        self.processes[name].wait(10)
        eventually(lambda: not any(map(runs, children)), 10, f"the children of {name} die with it")

    def kill_all(self) -> None:
        """The power is cut: all of it at once, and it stays away."""
        self.down = True
        for pid in [pid for name in self.processes for pid in self._family(name)]:
            signal_to(pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait(10)

    def stop(self, *names: str) -> None:
        for pid in [pid for name in names for pid in self._family(name)]:
            signal_to(pid, signal.SIGSTOP)

    def cont(self, *names: str) -> None:
        for name in names:
            self.flag(name).unlink(missing_ok=True)
        for pid in [pid for name in names for pid in self._family(name)]:
            signal_to(pid, signal.SIGCONT)

    def flag(self, name: str) -> Path:
        """Its presence freezes that part inside its next write transaction."""
        return self.home / f"freeze-{name}"

    def _family(self, name: str) -> list[int]:
        """Nobody, once it has ended: its number may be another's by now."""
        return family(self.processes[name].pid) if self.processes[name].poll() is None else []


def runs(pid: int) -> bool:
    """Nobody may have buried it yet: what counts is that it holds nothing any more."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """A process and all that descend from it, whatever group they are in."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:  # it grows while it is read
        found += children.get(one, ())
    return found


def signal_to(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
