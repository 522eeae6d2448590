"""The sign of life to an outside watcher: sent while the clock gets on, and never quoted in a log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from firedoor.heartbeat import beat_outside
from tests.fixtures.listener import Listener
from tests.fixtures.waiting import eventually, free_port


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(10)


def test_the_watcher_hears_us_again_and_again(listener: Listener, stop: threading.Event) -> None:
    beat_outside(f"{listener.url}/ping/s3cret", lambda: True, stop, every=0.01)

    eventually(lambda: len(listener.heard) >= 3)
    assert set(listener.heard) == {"/ping/s3cret"}


def test_a_clock_that_stands_still_is_not_vouched_for(listener: Listener, stop: threading.Event) -> None:
    asked: list[int] = []

    beat_outside(f"{listener.url}/ping/s3cret", lambda: bool(asked.append(1)), stop, every=0.01)

    eventually(lambda: len(asked) >= 5)
    assert listener.heard == []


def test_a_watcher_that_is_gone_is_a_warning_without_its_address(
    stop: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    beat_outside(f"http://127.0.0.1:{free_port()}/ping/s3cret", lambda: True, stop, every=0.01)

    eventually(lambda: [record for record in caplog.records if "heartbeat.failed" in record.getMessage()])
    ours = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert not [record for record in ours if "s3cret" in record.getMessage()]
