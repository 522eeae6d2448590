"""A real Firedoor for measuring: `firedoor up` on a fresh home, with SQLite or a real PostgreSQL with fsync on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.fixtures import postgresql
from tests.fixtures.waiting import free_port

TOKEN = "a-token-for-measuring-only"
POLICY = """
version: 1
people:
  me: {name: On-call, contacts: [{channel: phone, address: "PROVIDER/me", for: [page, tell]}]}
channels: {phone: {kind: webhook, secret: only-for-measuring}}
"""
APART = "hearing: {bundle_from: 0}\n"  # each page by itself, so that each can be timed
RUNBOOK = """---
title: A measured failure
owner: default
severity: P1
opens: open
when:
  - alertname="Measured"
group_by: [n]
steps:
  - {phase: contain, text: Turn the new checkout off., expect: Errors fall.}
escalation:
  - {after: 5m, page: tech_lead}
examples: {match: [{labels: {alertname: Measured}}], no_match: [{labels: {alertname: Other}}]}
---
# A measured failure
## Meaning
It is measured.
## Impact
None.
## First five minutes
1. Look.
## Containment
None.
## When it is over
At the end.
## Escalation
The path.
"""


@dataclass
class Provider:
    """Takes pages and remembers when each arrived, by its Idempotency-Key and incident title."""

    port: int = 0
    arrived: dict[str, float] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        now = time.perf_counter()
        with self.changed:
            self.bodies.append(body)
            self.arrived[str(len(self.bodies))] = now
            self.changed.notify_all()


@contextmanager
def provider(on_page: Any) -> Iterator[str]:
    """A local web server that answers every POST with 200 and tells `on_page(body, at)`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            on_page(body, time.perf_counter())
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a SQLite file, or one of a PostgreSQL that writes as in production."""
    folder.mkdir(exist_ok=True)
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'firedoor.db'}"
        return
    for name in ("fsync", "full_page_writes", "autovacuum"):
        postgresql.SETTINGS.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="firedoor-bench-") as home:
        cluster = postgresql.Cluster(Path(home))
        cluster.start()
        try:
            yield cluster.url(cluster.new_database())
        finally:
            cluster.stop()


@dataclass
class Stack:
    """A running Firedoor."""

    port: int
    process: subprocess.Popen[bytes]
    home: Path
    database_url: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def stack(
    database_url: str,
    folder: Path,
    provider_url: str,
    *,
    more: str = "",
    told: Mapping[str, str] | None = None,
    group: Path | None = None,
) -> Iterator[Stack]:
    """`firedoor up`, ready to take alerts; ended by SIGINT. `more` is added to its policy, `told` to its environment.

    `group` is the list of processes of the control group that it is to run in.
    """
    (folder / "firedoor.yaml").write_text(POLICY.replace("PROVIDER", provider_url) + more)
    (folder / "runbooks").mkdir(exist_ok=True)
    (folder / "runbooks" / "measured.md").write_text(RUNBOOK)
    port = free_port()
    environ = {
        **os.environ,
        "FIREDOOR_HOME": str(folder / "home"),
        "FIREDOOR_PORT": str(port),
        "FIREDOOR_POLICY": str(folder / "firedoor.yaml"),
        "FIREDOOR_RUNBOOKS": str(folder / "runbooks"),
        "FIREDOOR_DATABASE_URL": database_url,
        "FIREDOOR_ALERTMANAGER_TOKEN": TOKEN,
        **(told or {}),
    }
    with (folder / "up.log").open("wb") as log:
        words = [sys.executable, "-m", "firedoor", "up"]
        if group is not None:
            words = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group), *words]
        process = subprocess.Popen(words, env=environ, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        wait_until_ready(port, process, folder)
        yield Stack(port, process, folder / "home", database_url)
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def wait_until_ready(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit((folder / "up.log").read_text())
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            if b'"degraded"' not in answer.read():
                return
        time.sleep(0.05)
    raise SystemExit("it did not become ready:\n" + (folder / "up.log").read_text())


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
