"""People and programs beside a soak: pages read, the API asked, streams opened and left, on every web process."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from bench.filling import sign_in_token
from tests.chaos.world import World

PAGES = (
    "/",
    "/wall",
    "/search",
    "/alerts",
    "/silences",
    "/funnel",
    "/funnel.svg",
    "/people",
    "/policy",
    "/runbooks",
    "/health",
    "/inbox",
    "/audit",
    "/accounts",
    "/tokens",
    "/preferences",
    "/shadow",
    "/severities",
    "/api/docs",
)
OF_ONE = ("", "", "?show=people", "/timeline.svg", "/picture")
CALLS = ("/api/v1/incidents", "/api/v1/alerts", "/api/v1/silences", "/api/v1/proposals", "/metrics", "/readyz")
STREAMS = 12  # open at a time
EVERY = 1.0  # seconds between two pages, and between two calls
STAYS = (2.0, 30.0)  # seconds that somebody looks at a page
PATIENCE = 10.0
AWAY = (OSError, http.client.HTTPException)  # killed, frozen, or just started: what a browser repeats


@dataclass
class Visitors:
    """Threads that look, until `stop`. Every answer is counted, and what must not be answered is kept in `broken`."""

    world: World
    newest: Callable[[], str]  # the name of an incident, or nothing yet
    answers: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._ended = threading.Event()
        self._webs = [urlsplit(one.local_url).netloc for one in self.world.settings]
        self._cookie = self._sign_in()
        turns = [self._read_pages, self._call, *([self._watch] * STREAMS)]
        self._threads = [
            threading.Thread(target=turn, args=(random.Random(self.world.seed + n),)) for n, turn in enumerate(turns)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)

    def said(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self.answers.items()))

    def _sign_in(self) -> str:
        token = sign_in_token(self.world.database, "ada")
        connection = self._connection(self._webs[0])
        head = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/signin", urlencode({"token": token}), head)
        answer = connection.getresponse()
        assert answer.status == 303, answer.read()
        return "; ".join(one.split(";")[0] for one in answer.headers.get_all("Set-Cookie") or [])

    def _connection(self, web: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(web, timeout=PATIENCE)

    def _read_pages(self, chance: random.Random) -> None:
        """Somebody who signed in and clicks: the lists, and the newest incident."""
        while not self._ended.wait(EVERY):
            name = self.newest()
            path = f"/i/{name}{chance.choice(OF_ONE)}" if name and chance.random() < 0.4 else chance.choice(PAGES)
            self._get("page", chance.choice(self._webs), path, {"Cookie": self._cookie, "Accept-Encoding": "gzip"})

    def _call(self, chance: random.Random) -> None:
        while not self._ended.wait(EVERY):
            head = {"Authorization": f"Bearer {self.world.token}"}
            self._get("call", chance.choice(self._webs), chance.choice(CALLS), head)

    def _get(self, what: str, web: str, path: str, head: dict[str, str]) -> None:
        connection = self._connection(web)
        try:
            connection.request("GET", path, headers=head)
            answer = connection.getresponse()
            answer.read()
        except AWAY as error:
            self.answers[f"{what} {type(error).__name__}"] += 1
        else:
            self._count(what, path, answer.status)
        finally:
            connection.close()

    def _watch(self, chance: random.Random) -> None:
        """Somebody opens a page that stays true, looks for a while, and goes away without a word."""
        while not self._ended.wait(chance.uniform(0.1, 1.0)):
            name = self.newest()
            path = f"/i/{name}/live" if name and chance.random() < 0.6 else "/live?page=home"
            connection = self._connection(chance.choice(self._webs))
            until = time.monotonic() + chance.uniform(*STAYS)
            try:
                connection.request("GET", path, headers={"Cookie": self._cookie})
                answer = connection.getresponse()
                self._count("stream", path, answer.status)
                while time.monotonic() < until and not self._ended.is_set() and answer.status == 200:
                    if not (heard := answer.read1(65536)):
                        break
                    self.answers["stream words"] += heard.count(b"\n\n")
            except AWAY as error:
                self.answers[f"stream {type(error).__name__}"] += 1
            finally:
                connection.close()

    def _count(self, what: str, path: str, status: int) -> None:
        """A busy store is 503. Whatever else is not 200 is a fault of ours."""
        self.answers[f"{what} {status}"] += 1
        if status not in (200, 503):
            self.broken.append(f"{path} answered {status}")
