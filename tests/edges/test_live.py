"""The streams behind live pages: what is said, once, in order, and never at the expense of anybody else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient

from console.watching import Watch
from firedoor.web import create_app
from tests.fixtures.desk import Desk, add_token
from tests.fixtures.waiting import eventually


@dataclass
class Heard:
    """One event of a stream."""

    name: str
    id: str
    said: Any


@dataclass
class Viewer:
    """A browser that is signed in and listens."""

    client: FlaskClient
    watch: Watch
    csrf: str
    open: list[Any] = field(default_factory=list)

    def listen(self, url: str, *, since: str = "", expect: int = 200) -> Iterator[Heard]:
        answer = self.client.get(url, headers={"Last-Event-ID": since} if since else {}, buffered=False)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        self.open.append(answer)
        return events(answer)

    def leave(self) -> None:
        for answer in self.open:
            answer.close()
        self.open.clear()


def events(answer: Any) -> Iterator[Heard]:
    """What is said, beats included; the wish how soon to ask again is left out."""
    for word in answer.response:
        lines = dict(line.split(": ", 1) for line in word.decode().strip().splitlines())
        if "event" in lines:
            yield Heard(lines["event"], lines.get("id", ""), json.loads(lines["data"]))


def sign_in(desk: Desk, watch: Watch, person: str = "ada") -> Viewer:
    client = create_app(desk.house, watch).test_client()
    client.post("/signin", data={"token": add_token(desk.house, person, "signin")})
    page = client.get("/people").get_data(as_text=True)
    return Viewer(client, watch, page.partition('name="csrf" value="')[2].partition('"')[0])


@pytest.fixture
def watch(desk: Desk) -> Iterator[Watch]:
    watch = Watch(desk.house.database, most=3)
    yield watch
    watch.stop()
    eventually(lambda: not any(one.name == "watch" for one in threading.enumerate()), what="it looks no more")


@pytest.fixture
def viewer(desk: Desk, watch: Watch) -> Iterator[Viewer]:
    desk.alertmanager_says("firing")
    desk.news()
    viewer = sign_in(desk, watch)
    yield viewer
    viewer.leave()


def stamp_of(viewer: Viewer, url: str = "/i/INC-001") -> str:
    return viewer.client.get(url).get_data(as_text=True).partition('data-stamp="')[2].partition('"')[0]


def entries(heard: Heard) -> list[str]:
    return [entry["html"].partition('class="says">')[2].partition("</p>")[0] for entry in heard.said["entries"]]


def test_a_note_reaches_who_watches_with_the_regions_that_changed(desk: Desk, viewer: Viewer) -> None:
    stream = viewer.listen(f"/i/INC-001/live?after={stamp_of(viewer)}")

    desk.does("notes", text="The pool is <full>")
    heard = next(stream)

    assert heard.name == "change"
    assert entries(heard) == ["The pool is &lt;full&gt;"]
    assert "head" in heard.said["regions"]
    assert heard.id == stamp_of(viewer)


def test_a_browser_that_comes_back_hears_what_it_missed_and_nothing_twice(desk: Desk, viewer: Viewer) -> None:
    stream = viewer.listen(f"/i/INC-001/live?after={stamp_of(viewer)}")
    desk.does("notes", text="one")
    last = next(stream)
    viewer.leave()

    desk.does("notes", text="two")
    desk.does("notes", text="three")
    again = viewer.listen("/i/INC-001/live?after=0.0", since=last.id)

    assert sorted(entries(next(again))) == ["three", "two"]


def test_a_stream_whose_store_goes_away_ends_and_its_browser_asks_again(desk: Desk, viewer: Viewer) -> None:
    stream = viewer.listen("/i/INC-001/live?after=0.0")
    desk.house.database.close()

    assert list(stream) == []


def test_while_the_store_is_away_nobody_is_told_that_what_they_see_is_true_now(
    desk: Desk, viewer: Viewer, watch: Watch
) -> None:
    viewer.listen("/i/INC-001/live")
    eventually(watch.is_current, what="it has looked")
    desk.house.database.close()

    eventually(lambda: not watch.is_current(), 10, "no beat is given any more")


def test_every_reader_gets_the_forms_of_their_own_session(desk: Desk, viewer: Viewer, watch: Watch) -> None:
    ben = sign_in(desk, watch, "ben")
    since = stamp_of(viewer)
    streams = [one.listen(f"/i/INC-001/live?after={since}") for one in (viewer, ben)]

    desk.does("notes", text="Look")
    said = [next(stream).said["regions"]["next"] for stream in streams]

    assert f'value="{viewer.csrf}"' in said[0]
    assert f'value="{ben.csrf}"' in said[1]
    assert viewer.csrf != ben.csrf
    ben.leave()


def test_who_has_it_sees_their_own_buttons_and_nobody_else_does(desk: Desk, viewer: Viewer, watch: Watch) -> None:
    ben = sign_in(desk, watch, "ben")
    streams = [one.listen(f"/i/INC-001/live?after={stamp_of(viewer)}") for one in (viewer, ben)]

    desk.does("acknowledge")
    said = [next(stream).said["regions"]["presses"] for stream in streams]

    assert ["I am still on it" in html for html in said] == [True, False]
    ben.leave()
    desk.news()


def test_the_lists_are_told_of_a_new_incident(desk: Desk, viewer: Viewer) -> None:
    stream = viewer.listen(f"/live?page=home&after={stamp_of(viewer, '/')}")

    desk.does("notes", text="Look")
    labels = {"alertname": "QueueGrows", "severity": "warning", "queue": "newsletter"}
    desk.alertmanager_says("firing", labels=labels)

    assert any("QueueGrows" in next(stream).said["regions"]["open"] for _ in range(2))


def test_one_page_more_than_there_is_room_for_is_refused_politely(viewer: Viewer, watch: Watch) -> None:
    for _ in range(3):
        viewer.listen("/i/INC-001/live")

    refused = viewer.client.get("/i/INC-001/live")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "15")

    viewer.leave()
    assert watch.watching == 0
    viewer.listen("/i/INC-001/live")


def test_a_place_is_given_back_by_a_browser_that_never_listened(viewer: Viewer, watch: Watch) -> None:
    viewer.client.head("/i/INC-001/live")
    viewer.client.get("/i/INC-001/live", buffered=False).close()

    assert watch.watching == 0


def test_a_stream_ends_after_a_minute_and_at_once_when_the_process_ends(
    desk: Desk, viewer: Viewer, watch: Watch
) -> None:
    first = viewer.listen("/live?page=home")
    desk.does("notes", text="Look")
    assert next(first).name == "change"

    desk.forward(seconds=61)
    desk.news()
    assert list(first) == []

    second = viewer.listen("/i/INC-001/live")
    watch.stop()
    assert list(second) == []


def test_what_a_browser_saw_and_is_there_no_more_makes_it_load_again(viewer: Viewer) -> None:
    assert next(viewer.listen("/i/INC-001/live", since="900.90000")).name == "reload"


def test_a_stamp_that_is_none_of_ours_starts_from_now(desk: Desk, viewer: Viewer) -> None:
    streams = [viewer.listen("/i/INC-001/live", since=since) for since in ("x", "1.", "-1.²")]

    desk.does("notes", text="Look")

    assert [entries(next(stream)) for stream in streams] == [["Look"]] * 3


def test_nobody_listens_without_signing_in_or_to_what_there_is_not(desk: Desk, viewer: Viewer, watch: Watch) -> None:
    stranger = create_app(desk.house, watch).test_client()

    assert stranger.get("/i/INC-001/live").status_code == 401
    assert stranger.get("/live").status_code == 401
    assert viewer.client.get("/i/INC-999/live").status_code == 404
    assert viewer.client.get("/live?page=other").status_code == 404
    assert watch.watching == 0


def test_nothing_is_looked_at_while_nobody_watches(desk: Desk, viewer: Viewer) -> None:
    viewer.listen("/i/INC-001/live")
    assert any(one.name == "watch" for one in threading.enumerate())

    viewer.leave()

    eventually(lambda: not any(one.name == "watch" for one in threading.enumerate()), what="it looks no more")
