"""`python -m bench.console`: the console's pages over 100,000 stored incidents, and 200 open pages beside intake.

Times are of the whole answer at a client on the same machine, one request at a time: the server's and the client's.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import re
import selectors
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlencode

from bench.__main__ import count, family, wait_until_taken
from bench.filling import entries, incidents, settle, sign_in_token
from bench.floors import Floors, Row, floors, posts
from bench.load import answer_of, body_of, request_of
from bench.stack import Stack, database, provider, quantile, stack
from incidents import tables
from ports.clock import SystemClock
from ports.database import Database

PAGES = ("/", "/search", "/alerts", "/i/INC-001", "/i/INC-001?show=people", "/i/INC-001/timeline.svg", "/funnel")
GOALS = {"/i/INC-001": "p99 ≤ 150 ms, goal 50", "/": "p99 ≤ 150 ms, goal 50", "/search": "p99 ≤ 150 ms, goal 50"}


class Visitor:
    """A browser without a screen: signed in, one connection."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        head = {"Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request("POST", "/signin", urlencode({"token": token}), head)
        answer = self.connection.getresponse()
        answer.read()
        self.cookie = "; ".join(one.split(";")[0] for one in answer.headers.get_all("Set-Cookie") or [])

    def get(self, path: str) -> tuple[float, bytes]:
        began = time.perf_counter()
        self.connection.request("GET", path, headers={"Cookie": self.cookie, "Accept-Encoding": "gzip"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:300])
        return time.perf_counter() - began, body

    def press(self, path: str, **fields: str) -> None:
        csrf = re.findall(r'name="csrf" value="([^"]+)"', self.text("/i/INC-001"))[0]
        head = {"Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request("POST", path, urlencode({"csrf": csrf, **fields}), head)
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status

    def text(self, path: str) -> str:
        body = self.get(path)[1]
        return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


def weight(visitor: Visitor, path: str) -> float:
    """kB of a page with its style and script, as they travel."""
    html = visitor.text(path)
    parts = set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', html))
    return (len(visitor.get(path)[1]) + sum(len(visitor.get(part)[1]) for part in parts)) / 1000


class Viewers:
    """So many open streams, read by one thread; it remembers when each change reached each of them."""

    def __init__(self, one: Stack, cookie: str, most: int) -> None:
        self.arrived: list[float] = []
        self.ended = False
        self._selector = selectors.DefaultSelector()
        for _ in range(most):
            connection = socket.create_connection(("127.0.0.1", one.port))
            connection.sendall(f"GET /i/INC-001/live HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            self._selector.register(connection, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self.ended:
            for key, _ in self._selector.select(0.2):
                said = key.fileobj.recv(262_144)  # type: ignore[union-attr]
                if b"event: change" in said:
                    self.arrived.append(time.perf_counter())
                elif not said:
                    self._selector.unregister(key.fileobj)

    def close(self) -> None:
        self.ended = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]


def timed(one: Stack, visitor: Visitor, path: str, times: int) -> str:
    """The answer's time, and the processor time that the web process took for it, which a busy machine spares."""
    for _ in range(3):
        visitor.get(path)
    before = web_seconds(one)
    took = [visitor.get(path)[0] for _ in range(times)]
    return f"{said(took)}; processor {(web_seconds(one) - before) / times * 1000:.0f} ms"


def web_seconds(one: Stack) -> float:
    """Processor seconds of the web processes until now."""
    found = 0
    for pid in family(one.process.pid):
        if Path(f"/proc/{pid}/comm").read_text().startswith("firedoor-web"):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found += int(fields[11]) + int(fields[12])
    return found / os.sysconf("SC_CLK_TCK")


def first_content(one: Stack, token: str, path: str) -> float:
    """Milliseconds to the first content in Chromium, as a phone on slow 4G with a quarter of the processor."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 360, "height": 740})
        page.goto(f"{one.url}/signin?token={token}")
        page.get_by_role("button", name="Sign in as").click()
        page.wait_for_url(f"{one.url}/")
        tools = page.context.new_cdp_session(page)
        tools.send("Network.enable")
        slow = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 94_000}
        tools.send("Network.emulateNetworkConditions", slow)
        tools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        found = []
        for _ in range(5):
            page.goto(one.url + path)
            found.append(float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")))
        browser.close()
    return quantile(found, 0.5)


class Table(list[Row]):
    """Rows that are printed as they are found."""

    def __iadd__(self, rows: Iterable[Row]) -> Table:  # type: ignore[override,misc]
        for row in rows:
            self.append(row)
        return self

    def append(self, row: Row) -> None:
        print("| " + " | ".join(row) + " |", flush=True)
        super().append(row)


def measure(kind: str, sizes: argparse.Namespace) -> list[Row]:
    rows = Table()
    with tempfile.TemporaryDirectory(prefix="firedoor-console-") as name, provider(lambda *_: None) as provider_url:
        folder = Path(name)
        floor = floors(folder)
        rows += floor.rows(kind)
        with database(kind, folder) as url, stack(url, folder, provider_url) as one:
            store = Database(url, SystemClock())
            time.sleep(2)
            with socket.create_connection(("127.0.0.1", one.port)) as connection:
                connection.sendall(request_of(body_of(1, 3, "Measured")))
                assert answer_of(connection).startswith(b"HTTP/1.1 202")
            wait_until_taken(store)
            empty = Visitor(one.port, sign_in_token(store))
            rows += [(kind, f"{path}, one incident", timed(one, empty, path, 30), "") for path in ("/", "/i/INC-001")]
            entries(store, "INC-001", sizes.entries)
            incidents(store, sizes.incidents)
            settle(url)
            stored = count(store, tables.incident.c.id.is_not(None))
            visitor = Visitor(one.port, sign_in_token(store))
            what = f"{stored:,} incidents, {sizes.entries:,} entries"
            rows += [
                (kind, f"{path}, {what}", timed(one, visitor, path, sizes.times), GOALS.get(path, "")) for path in PAGES
            ]
            rows += [
                (kind, f"weight of {path}", f"{weight(visitor, path):.0f} kB", "< 150 kB")
                for path in ("/", "/i/INC-001")
            ]
            if kind == "sqlite" and sizes.browser:
                found = first_content(one, sign_in_token(store), "/i/INC-001")
                rows.append(
                    (kind, "first content, slow 4G, a quarter of the processor", f"{found:.0f} ms", "< 1,000 ms")
                )
            rows += watched(kind, one, store, visitor, floor, sizes)
            began = time.perf_counter()
            viewers = Viewers(one, visitor.cookie, sizes.viewers)
            one.process.terminate()
            one.process.wait(20)
            rows.append(
                (kind, f"`up` ended with {sizes.viewers} streams open", f"{time.perf_counter() - began:.1f} s", "< 5 s")
            )
            viewers.close()
            store.close()
    return rows


def watched(
    kind: str, one: Stack, store: Database, visitor: Visitor, floor: Floors, sizes: argparse.Namespace
) -> list[Row]:
    """Posts a second without and with viewers, in turns, since machines move; and how soon a change is seen."""
    alone, beside, late = [], [], []
    for _ in range(sizes.turns):
        alone.append(posts(one.port, 1, sizes.seconds, 8)["per_second"])
        wait_until_taken(store)
        viewers = Viewers(one, visitor.cookie, sizes.viewers)
        beside.append(posts(one.port, 1, sizes.seconds, 8)["per_second"])
        wait_until_taken(store)
        for n in range(3):
            before, pressed = len(viewers.arrived), time.perf_counter()
            visitor.press("/i/INC-001/note", text=f"Look {n}")
            until = time.perf_counter() + 10
            while len(viewers.arrived) - before < sizes.viewers and time.perf_counter() < until:
                time.sleep(0.01)
            late += [at - pressed for at in viewers.arrived[before:]]
        viewers.close()
        time.sleep(3)  # until their places are free again
    a, b = quantile(alone, 0.5), quantile(beside, 0.5)
    return [
        (kind, "posts of 1 alert, nobody watches", f"{a:,.0f}/s, {floor.share(a)}", ""),
        (kind, f"posts of 1 alert, {sizes.viewers} pages watch", f"{b:,.0f}/s, {b / a:.0%}", "keeps its rate"),
        (kind, f"a note on {sizes.viewers} pages, with the press", said(late), "< 1 s"),
    ]


def said(took: list[float]) -> str:
    return f"p50 {quantile(took, 0.5) * 1000:.0f} ms, p99 {quantile(took, 0.99) * 1000:.0f} ms"


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    reader.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    reader.add_argument("--incidents", type=int, default=100_000)
    reader.add_argument("--entries", type=int, default=10_000)
    reader.add_argument("--times", type=int, default=200)
    reader.add_argument("--viewers", type=int, default=200)
    reader.add_argument("--seconds", type=float, default=5)
    reader.add_argument("--turns", type=int, default=3)
    reader.add_argument("--browser", action="store_true", help="measure the first content too: needs Chromium")
    reader.add_argument("--json", help="write the rows there too")
    sizes = reader.parse_args()
    print("| database | what | measured | to reach |\n|---|---|---|---|")
    found: list[Row] = []
    for kind in ("sqlite", "postgresql") if sizes.database == "both" else (sizes.database,):
        found += measure(kind, sizes)
    if sizes.json:
        Path(sizes.json).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
