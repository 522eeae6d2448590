"""The recording provider: effects are counted here, where they happen, and never in our own tables.

It answers after a random 50 to 500 ms. A stated share of its answers is ambiguous: the effect is done, and the answer
comes too late for the sender or the connection is reset. In a mood it refuses every message, or answers all too late.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOO_LATE = 6.5  # seconds: longer than any sender waits
WELL, HUNG = "well", "provider hung"
REFUSALS = {"provider 429": (429, "2"), "provider 503": (503, "")}  # mood → status and Retry-After
RESET = struct.pack("ii", 1, 0)  # SO_LINGER 0: close() sends a reset


@dataclass
class Effect:
    """One thing that happened in the world."""

    path: str
    key: str
    at: float
    body: dict[str, Any]
    ambiguous: bool = False
    answered_at: float = 0.0  # 0: the sender was gone, or the answer was never meant to arrive

    @property
    def person(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def case(self) -> str:
        labels = (one.get("labels", {}) for one in self.body.get("facts", {}).get("alerts", ()))
        return next((one["case"] for one in labels if "case" in one), "")


@dataclass
class Provider:
    """Serves in threads of this process. `share` of the answers are ambiguous.

    Acts are asked of it too and never refused: what a refused act does is not the chaos's question.
    """

    seed: int
    share: float = 0.04
    effects: list[Effect] = field(default_factory=list)
    url: str = ""
    mood: str = WELL
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self._random = random.Random(self.seed)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                provider.take(self, self.headers, body)

            def log_message(self, *args: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None: ...  # a killed sender hangs up: that is what we are here for

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def seen(self) -> list[Effect]:
        with self._lock:
            return list(self.effects)

    def take(self, handler: BaseHTTPRequestHandler, headers: Mapping[str, str], body: bytes) -> None:
        if self.mood in REFUSALS and not handler.path.startswith("/act/"):
            _refuse(handler, *REFUSALS[self.mood])
            return
        with self._lock:
            hung = self.mood == HUNG
            ambiguous = self._random.random() < self.share or hung
            resets, wait = self._random.random() < 0.5 and not hung, self._random.uniform(0.05, 0.5)
            effect = Effect(handler.path, headers["Idempotency-Key"], time.time(), _read(body), ambiguous)
            self.effects.append(effect)
        time.sleep(TOO_LATE if ambiguous and not resets else wait)
        if ambiguous:
            handler.close_connection = True
            if resets:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "2")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(b"{}")
        effect.answered_at = time.time()
        handler.close_connection = True


def _refuse(handler: BaseHTTPRequestHandler, status: int, retry_after: str) -> None:
    """Nothing is done, and it says so."""
    handler.send_response(status)
    if retry_after:
        handler.send_header("Retry-After", retry_after)
    handler.send_header("Content-Length", "0")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True


def _read(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
