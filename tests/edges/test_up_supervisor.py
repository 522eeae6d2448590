"""The supervisor with small parts: what dies comes back, what hangs is killed, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("small_parts.py")
ROOT = PROGRAM.parents[2]


class Running:
    """A supervisor in a process of its own, and what it logged."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def lines(self, event: str, part: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event and line.get("part") == part]

    def pid(self, part: str) -> int:
        return int(self.lines("part.started", part)[-1]["pid"])


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*parts: str) -> Running:
        log = tmp_path / f"log{len(started)}"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *parts],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        running = Running(process, log)
        started.append(running)
        until(lambda: all(running.lines("part.started", part) for part in parts))
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        if running.process.stdout:
            running.process.stdout.close()


def test_a_part_that_was_killed_comes_back(supervise: Callable[..., Running]) -> None:
    running = supervise("steady")

    first = running.pid("steady")
    os.kill(first, signal.SIGKILL)

    until(lambda: running.pid("steady") != first)
    assert is_alive(running.pid("steady"))


def test_a_part_that_keeps_failing_waits_longer_each_time(supervise: Callable[..., Running]) -> None:
    running = supervise("brittle")

    until(lambda: len(running.lines("part.died", "brittle")) >= 3)

    assert [line["restart_in"] for line in running.lines("part.died", "brittle")[:3]] == [0.2, 0.5, 1.0]
    assert running.lines("part.died", "brittle")[0]["code"] == 3


def test_a_part_that_falls_silent_is_killed_and_started_again(supervise: Callable[..., Running]) -> None:
    running = supervise("silent", "steady")

    until(lambda: len(running.lines("part.started", "silent")) >= 2)

    assert running.lines("part.silent", "silent")[0]["seconds"] >= 2.0
    assert not running.lines("part.silent", "steady")


def test_a_frozen_part_is_killed_and_started_again(supervise: Callable[..., Running]) -> None:
    running = supervise("steady")
    first = running.pid("steady")
    time.sleep(0.3)

    os.kill(first, signal.SIGSTOP)

    until(lambda: running.pid("steady") != first)
    until(lambda: not is_alive(first))


def test_a_supervisor_that_was_frozen_itself_kills_nobody(supervise: Callable[..., Running]) -> None:
    running = supervise("steady")

    os.kill(running.process.pid, signal.SIGSTOP)
    time.sleep(2.5)
    os.kill(running.process.pid, signal.SIGCONT)
    time.sleep(1.0)

    assert not running.lines("part.silent", "steady")


@pytest.mark.skipif(sys.platform != "linux", reason="PDEATHSIG is Linux's")
def test_the_parts_die_with_a_supervisor_that_was_killed(supervise: Callable[..., Running]) -> None:
    running = supervise("steady", "stubborn")
    pids = [running.pid("steady"), running.pid("stubborn")]

    running.process.kill()

    until(lambda: not any(is_alive(pid) for pid in pids), seconds=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_even_what_ignores_it(supervise: Callable[..., Running], number: int) -> None:
    running = supervise("steady", "stubborn")
    pids = [running.pid("steady"), running.pid("stubborn")]
    time.sleep(0.3)

    began = time.monotonic()
    running.process.send_signal(number)

    assert running.process.wait(5) == 0
    assert time.monotonic() - began < 3
    assert not any(is_alive(pid) for pid in pids)


def test_what_a_part_had_started_goes_with_it(supervise: Callable[..., Running]) -> None:
    running = supervise("parent")
    assert running.process.stdout
    said = sorted(running.process.stdout.readline().strip() for _ in range(2))
    grandchild = int(said[0].split()[1])

    os.kill(running.pid("parent"), signal.SIGKILL)

    until(lambda: not is_alive(grandchild), seconds=5)
