"""What bare parts do on this machine, measured in the same run: every table of a bench stands beside them."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.load import OURS
from bench.stack import quantile
from tests.fixtures.waiting import eventually, free_port

Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Floors:
    """What one fsync takes, what SQLite commits and what bare gunicorn and Flask answer, with nothing else to do."""

    fsync: float  # seconds
    commits: float  # one-row commits a second
    posts: float  # a second, 8 clients
    answer: float  # seconds of one post among few, p50

    def rows(self, kind: str) -> list[Row]:
        return [
            (kind, "floor: fsync of 4 KiB", f"{self.fsync * 1e6:.0f} µs", ""),
            (kind, "floor: one-row SQLite commits", f"{self.commits:,.0f}/s", ""),
            (kind, "floor: bare gunicorn and Flask, posts", f"{self.posts:,.0f}/s, p50 {self.answer * 1e3:.1f} ms", ""),
        ]

    def share(self, per_second: float) -> str:
        return f"{per_second / self.posts:.0%} of bare Flask"


def floors(folder: Path, *, seconds: float = 5.0, clients: int = 8) -> Floors:
    few = echo_floor(seconds / 2, 1)
    many = echo_floor(seconds, clients)
    return Floors(fsync_floor(folder), commit_floor(folder), many["per_second"], few["p50_ms"] / 1e3)


def fsync_floor(folder: Path) -> float:
    """Seconds that one fsync of 4 KiB takes here (median of 200)."""
    took = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return quantile(took, 0.5)


def commit_floor(folder: Path) -> float:
    """One-row SQLite commits a second (WAL, synchronous FULL), one writer and nothing else."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 1:
        connection.execute("INSERT INTO t (body) VALUES (?)", (b"x" * 700,))
        count += 1
    connection.close()
    return count / (time.perf_counter() - began)


def echo_floor(seconds: float, clients: int) -> dict[str, float]:
    """Posts a second that bare gunicorn and Flask answer, to the same load."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "bench.echo", str(port)])
    try:
        eventually(lambda: is_open(port), 20, "the echo listens")
        return posts(port, 1, seconds, clients)
    finally:
        server.terminate()
        server.wait(10)


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def posts(port: int, alerts: int, seconds: float, clients: int, *, path: str = OURS) -> dict[str, float]:
    words = [sys.executable, "-m", "bench.load", str(port), str(clients), str(seconds), str(alerts), "Load", path]
    return dict(json.loads(subprocess.run(words, check=True, capture_output=True).stdout))
