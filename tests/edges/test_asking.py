"""Asking a sender after its silent alerts: what comes in drops keeps no thread, and one question is enough."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from incidents.promises import NotNow, Prepared
from worker import asking


def ask(url: str) -> Any:
    return asking.ask(Prepared("ask", None, {"url": url, "fingerprints": ["f1"]}), SimpleNamespace(), 1)  # type: ignore[arg-type]


@contextmanager
def dripping() -> Iterator[tuple[str, threading.Event]]:
    """A sender that answers a blank every 50 ms and never ends; the event says that it was asked."""
    asked, over = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                asked.set()
                try:
                    while not over.wait(0.05):
                        connection.sendall(b"1\r\n \r\n")
                except OSError:
                    return  # whoever asked has left

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        over.set()
        thread.join(5)


def test_an_answer_that_comes_in_drops_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "READ_SECONDS", 0.3)
    with dripping() as (url, _):
        answer = ask(url)

    assert (answer.result, answer.detail) == ("no", "ValueError")


def test_while_one_question_is_under_way_the_next_waits_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "READ_SECONDS", 1.0)
    with dripping() as (url, asked):
        first = threading.Thread(target=ask, args=(url,))
        first.start()
        assert asked.wait(5)

        assert isinstance(ask(url), NotNow)
        first.join(5)
