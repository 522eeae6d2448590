"""Pages that stay true while they are looked at: a stream of what changed, for the incident page and the lists.

The browser names the stamp that it has seen. What it gets is the page's own regions, rendered once for everybody who
may see the same, and the entries that are newer than its stamp. Without streams a page is as good as its last load.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import select
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request

from console.frame import Frame
from console.home import home_page, wall_page
from console.likings import KEYS, ZONE, cookie_of, likings
from console.pages import incident_answer
from console.session import SignedIn
from console.watching import Watch
from incidents import hats, lanes, store
from incidents.errors import NotFound
from incidents.stamps import LIST, Stamp, read_stamp, stamps
from ports.database import StoreDown, Work
from ports.tokens import new_token

BEAT_EVERY = 5.0  # seconds
LOOKS = 2  # between two beats, whether the browser went away
ENDS_AFTER = 60.0  # seconds; the browser asks again by itself, and its session is looked at anew
REST_AFTER = 0.5  # seconds after each change: a storm is said twice a second
RENDERING_SHARE = 5  # one second of rendering in five at most: taking alerts in comes first
MOST_KEPT = 64
STUCK_AFTER = 10.0  # seconds that one word to a browser may take

RETRY, BEAT, RELOAD = b"retry: 1000\n\n", b"event: beat\ndata: 1\n\n", b"event: reload\ndata: 1\n\n"
FULL = "Too many pages watch at once. This one goes on without a stream and looks again every 15 seconds.\n"

STAMP = re.compile(r'data-stamp="([0-9.]+)"')
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
REGION = re.compile(r'<(\w+) data-region="([a-z-]+)"[^>]*>.*?</\1><!--/\2-->', re.DOTALL)
ENTRY = re.compile(r'<li id="t(\d+)"(?: data-supersedes="(\d+)")?.*?</li><!--/t-->', re.DOTALL)
COUNTED = re.compile(r'(data-(?:since|due)="[^"]*">)[^<]*')  # ages count on in the browser: no change of their own

Render = Callable[[Work], Response]
LISTS: dict[str, Callable[[Frame, Work], Response]] = {"home": home_page, "wall": wall_page}


@dataclass(frozen=True, slots=True)
class Cut:
    """A rendered page in its parts."""

    stamp: Stamp
    title: str
    regions: dict[str, str]
    digests: dict[str, str]
    entries: dict[int, str]
    superseded: dict[int, int]  # entry → the older one that it takes back


@dataclass(frozen=True, slots=True)
class Look:
    """One browser's look at one page: what it shows, who looks, and how the page is rendered for them."""

    topic: int
    path: str
    me: SignedIn
    liked: str  # the cookies that say how the browser likes its pages
    render: Render
    involved: Callable[[Work], Collection[str]]


def live(frame: Frame, watch: Watch) -> Blueprint:
    """`/live` for the lists, `/i/<name>/live` for one incident."""
    blueprint = Blueprint("live", __name__)
    addresses = Addresses(frame, watch)
    blueprint.get("/live")(addresses.lists)
    blueprint.get("/i/<name>/live")(addresses.incident)
    frame.guard_sign_in(blueprint)
    frame.guard_errors(blueprint)
    return blueprint


class Addresses:
    """What the two of them answer."""

    def __init__(self, frame: Frame, watch: Watch) -> None:
        self._frame = frame
        self._watch = watch
        self._renderings = Renderings(frame, watch)

    def lists(self) -> Response:
        page = LISTS.get(request.args.get("page", "home"))
        if page is None:
            raise NotFound("There is no such list.")
        frame = self._frame
        with frame.database.read() as work:
            stamp = stamps(work.session, [LIST])[LIST]
        look = Look(
            LIST, "/wall" if page is wall_page else "/", g.signed_in, liked(),
            lambda work: page(frame, work),
            lambda work: (),
        )  # fmt: skip
        return answer(self._renderings, self._watch, look, stamp)

    def incident(self, name: str) -> Response:
        frame = self._frame
        with frame.database.read() as work:
            topic = store.find_incident(work.session, name).id
            stamp = stamps(work.session, [topic])[topic]
        look = Look(
            topic, f"/i/{name}?{shown_query()}", g.signed_in, liked(),
            lambda work: incident_answer(frame, work, name),
            lambda work: involved(work, topic),
        )  # fmt: skip
        return answer(self._renderings, self._watch, look, stamp)


def shown_query() -> str:
    """What the page was asked to show."""
    lane = request.args.get("show", "")
    return f"show={lane}" if lane in lanes.LABELS else ""


def liked() -> str:
    """The cookies of what the regions depend on, for the rendering that stands for this browser's own."""
    found = likings(request.cookies)
    return "; ".join(f"{cookie_of(name)}={found[name]}" for name in (KEYS, ZONE))


def involved(work: Work, incident_id: int) -> set[str]:
    """Who sees this incident's page with buttons of their own: who has it or a hat, and to whom one is offered."""
    incident = store.find_incident(work.session, incident_id)
    offered = {str(one.target) for one in hats.open_offers(work.session, incident_id)}
    wearers = set(store.roles_now(work.session, incident_id).values())
    return offered | wearers | ({incident.taken_by} if incident.taken_by else set())


def answer(renderings: Renderings, watch: Watch, look: Look, stamp: Stamp) -> Response:
    """The stream, or a polite no."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.method == "HEAD":
        return Response(content_type="text/event-stream", headers=headers)
    if not watch.enter(look.topic, stamp):
        return Response(FULL, 503, headers={**headers, "Retry-After": "15"}, content_type="text/plain; charset=utf-8")
    seen = read_stamp(request.headers.get("Last-Event-ID", "") or request.args.get("after", "")) or stamp
    if (connection := request.environ.get("gunicorn.socket")) is not None:
        connection.settimeout(STUCK_AFTER)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    stream = Stream(words(renderings, watch, look, app, stamp, seen, connection), lambda: watch.leave(look.topic))
    return Response(stream, content_type="text/event-stream", headers=headers)


class Stream(Iterator[bytes]):
    """The words to one browser. Its place is given back once, however it ends, and even if it never began."""

    def __init__(self, said: Iterator[bytes], leave: Callable[[], None]) -> None:
        self._said = said
        self._leave: Callable[[], None] | None = leave

    def __next__(self) -> bytes:
        return next(self._said)

    def close(self) -> None:
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave()


def words(
    renderings: Renderings, watch: Watch, look: Look, app: Flask, stamp: Stamp, seen: Stamp, connection: Any = None
) -> Iterator[bytes]:
    """What is said to one browser, until a minute is over or the process ends."""
    yield RETRY
    if seen.is_past(stamp):  # it saw what is not there any more: an older copy of the database was brought back
        yield RELOAD
        return
    clock = renderings.frame.database.clock
    until, had = clock.monotonic() + ENDS_AFTER, dict[str, str]()
    while not watch.is_over() and clock.monotonic() < until:
        for _ in range(LOOKS):
            known = watch.wait(look.topic, seen, seconds=BEAT_EVERY / LOOKS)
            if watch.is_over() or has_left(connection):
                return
            if known.is_past(seen):
                break
        else:
            if watch.is_current():
                yield BEAT
            continue
        try:
            cut = renderings.of(look, app, known)
        except StoreDown:  # the browser asks again in a second, and whoever answers then says why
            return
        if cut is None:
            return
        yield (
            change(cut, seen, had).replace(renderings.csrf, look.me.csrf).replace(renderings.once, new_token()).encode()
        )
        seen, had = cut.stamp, cut.digests
        watch.pause(REST_AFTER)


def has_left(connection: Any) -> bool:
    """Whether the browser closed its side: its place is free for another at once, not after two words to nobody."""
    if connection is None:
        return False
    readable = select.poll()
    readable.register(connection.fileno(), select.POLLIN)
    try:
        return bool(readable.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def change(cut: Cut, seen: Stamp, had: dict[str, str]) -> str:
    """One event: the regions that differ from what this stream said before, and the entries after `seen`."""
    fresh = [number for number in cut.entries if number > seen.entry]
    touched = {cut.superseded[number] for number in fresh if number in cut.superseded}
    said = {
        "title": cut.title,
        "regions": {name: html for name, html in cut.regions.items() if had.get(name) != cut.digests[name]},
        "entries": [{"id": n, "html": html} for n, html in cut.entries.items() if n in touched or n > seen.entry],
        "gap": bool(cut.entries) and len(fresh) == len(cut.entries) and seen.entry > 0,
    }
    return f"id: {cut.stamp}\nevent: change\ndata: {json.dumps(said)}\n\n"


class Renderings:
    """Pages rendered once for everybody who may see the same, and never so often that taking alerts in would suffer."""

    def __init__(self, frame: Frame, watch: Watch) -> None:
        self.frame = frame
        self.csrf = secrets.token_hex(16)  # stands where each reader's own form token goes
        self.once = secrets.token_hex(16)  # and where the mark goes by which a second tap is known
        self._watch = watch
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, SignedIn], Cut] = OrderedDict()
        self._involved: OrderedDict[int, tuple[Stamp, frozenset[str]]] = OrderedDict()
        self._free_at = 0.0

    def of(self, look: Look, app: Flask, least: Stamp) -> Cut | None:
        """The page as of `least` or later; None where there is none to show."""
        with self._lock:
            me = self._as_seen_by(look, least)
            key = (look.path, look.liked, me)
            kept = self._kept.get(key)
            if kept is not None and not least.is_past(kept.stamp):
                return kept
            cut = self._render(look, app, me)
            if cut is not None:
                self._kept[key] = cut
                self._kept.move_to_end(key)
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            return cut

    def _as_seen_by(self, look: Look, least: Stamp) -> SignedIn:
        """Who has no buttons of their own on a page sees what all others of the same rights see."""
        known = self._involved.get(look.topic)
        if known is None or least.is_past(known[0]):
            with self.frame.database.read() as work:
                known = self._involved[look.topic] = (least, frozenset(look.involved(work)))
            while len(self._involved) > MOST_KEPT:
                self._involved.popitem(last=False)
        return look.me.on_a_page(self.csrf, alone=look.me.person in known[1])

    def _render(self, look: Look, app: Flask, me: SignedIn) -> Cut | None:
        clock = self.frame.database.clock
        self._watch.pause(self._free_at - clock.monotonic())
        began = clock.monotonic()
        with app.test_request_context(look.path, headers={"Cookie": look.liked}), self.frame.database.read() as work:
            g.signed_in, g.once = me, self.once
            page = look.render(work)
        self._free_at = clock.monotonic() + (clock.monotonic() - began) * (RENDERING_SHARE - 1)
        return cut_page(page.get_data(as_text=True)) if page.status_code == 200 else None


def cut_page(html: str) -> Cut | None:
    """The parts of a page that can be said to a browser. What people wrote is escaped, so no mark of ours is theirs."""
    found = STAMP.search(html)
    stamp = read_stamp(found[1]) if found else None
    if stamp is None:
        return None
    title = TITLE.search(html)
    regions = {match[2]: match[0] for match in REGION.finditer(html)}
    entries = {int(match[1]): match for match in ENTRY.finditer(html)}
    return Cut(
        stamp,
        title[1] if title else "",
        regions,
        {name: hashlib.sha256(COUNTED.sub(r"\1", text).encode()).hexdigest() for name, text in regions.items()},
        {number: match[0] for number, match in entries.items()},
        {number: int(match[2]) for number, match in entries.items() if match[2]},
    )
