"""The sign of life to an outside watcher: sent while the clock gets on, and never quoted in a log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from firedoor.heartbeat import beat_outside
from tests.fixtures.waiting import eventually, free_port


class Watcher(BaseHTTPRequestHandler):
    heard: list[str]

    def do_GET(self) -> None:
        self.heard.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_words: Any) -> None: ...


@pytest.fixture
def watcher() -> Iterator[tuple[str, list[str]]]:
    heard: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Watcher,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/ping/s3cret", heard
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(10)


def test_the_watcher_hears_us_again_and_again(watcher: tuple[str, list[str]], stop: threading.Event) -> None:
    url, heard = watcher

    beat_outside(url, lambda: True, stop, every=0.01)

    eventually(lambda: len(heard) >= 3)
    assert set(heard) == {"/ping/s3cret"}


def test_a_clock_that_stands_still_is_not_vouched_for(watcher: tuple[str, list[str]], stop: threading.Event) -> None:
    url, heard = watcher
    asked: list[int] = []

    beat_outside(url, lambda: bool(asked.append(1)), stop, every=0.01)

    eventually(lambda: len(asked) >= 5)
    assert heard == []


def test_a_watcher_that_is_gone_is_a_warning_without_its_address(
    stop: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    beat_outside(f"http://127.0.0.1:{free_port()}/ping/s3cret", lambda: True, stop, every=0.01)

    eventually(lambda: [record for record in caplog.records if "heartbeat.failed" in record.getMessage()])
    ours = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert not [record for record in ours if "s3cret" in record.getMessage()]
