"""A Firedoor that runs from the command line, as a person starts it, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.fixtures.waiting import free_port

FIREDOOR = Path(sys.executable).with_name("firedoor")


def until(true: Callable[[], object], seconds: float = 30.0, why: Callable[[], str] = lambda: "") -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it did not happen in time. {why()}"
        time.sleep(0.05)


class Installation:
    """A folder to start commands in, with the environment they see."""

    def __init__(self, folder: Path, program: Path = FIREDOOR, **told: str) -> None:
        self.folder, self.program = folder, program
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.environ = {**kept, "HOME": str(folder), "FIREDOOR_PORT": str(self.port), **told}
        self.commands: list[Command] = []

    def start(self, *words: str, **told: str) -> Command:
        command = Command([str(self.program), *words], self.folder, {**self.environ, **told})
        self.commands.append(command)
        return command

    def run(self, *words: str, **told: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.program), *words],
            cwd=self.folder,
            env={**self.environ, **told},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def up(self, **told: str) -> Command:
        """Start everything, and wait until alerts are taken and every part works."""
        command = self.start("up", **told)
        until(lambda: "Ctrl-C" in command.said() or command.process.poll() is not None, why=command.log)
        assert command.process.poll() is None, command.said() + command.log()
        until(self.is_ready, why=command.log)
        return command

    def is_ready(self) -> bool:
        try:
            return bool(requests.get(f"{self.url}/readyz", timeout=2).json()["status"] == "ok")
        except (requests.RequestException, ValueError, KeyError):
            return False

    def incidents(self) -> list[dict[str, Any]]:
        token = (self.folder / "var/secrets/api_token").read_text().strip()
        answer = requests.get(f"{self.url}/api/v1/incidents", headers={"Authorization": f"Bearer {token}"}, timeout=5)
        answer.raise_for_status()
        return list(answer.json()["items"])

    def end(self) -> None:
        for command in self.commands:
            command.end()


class Command:
    """One command that was started. Its output is read all the time, so that it never waits for us."""

    def __init__(self, words: list[str], folder: Path, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            words, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._said: list[str] = []
        self._logged: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._said), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self._logged), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, into: list[str]) -> None:
        into.extend(iter(stream.readline, ""))  # extend() takes them one by one as they come

    def said(self) -> str:
        return "".join(self._said)

    def log(self) -> str:
        return "".join(self._logged)

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._logged if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def pid_of(self, part: str) -> int:
        return int([line for line in self.events("part.started") if line["part"] == part][-1]["pid"])

    def interrupt(self) -> float:
        """Ctrl-C, and for how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.log()
        return time.monotonic() - began

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


def send_printed_sample(said: str) -> int:
    """Do what the printed `curl` does; the answer's status."""
    words = shlex.split(next(line for line in said.splitlines() if line.strip().startswith("curl ")))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    return requests.post(words[-1], data=words[words.index("-d") + 1], headers=headers, timeout=10).status_code


def sign_in_link(said: str) -> str:
    found = re.search(r"http\S+/signin\?token=\S+", said)
    assert found, said
    return found[0]


def processes_of(folder: Path) -> list[str]:
    """What still runs out of this folder or from its programs, by Linux's own list."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            here = (entry / "cwd").readlink()
        except OSError:
            continue
        if here == folder or str(folder) in command:
            found.append(f"{entry.name} {command}")
    return found
