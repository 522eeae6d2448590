"""A drawing and the table beside it are one set of facts, and both can be read whatever somebody called a thing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from console.drawing import Axis, ticks, together
from firedoor.web import create_app
from tests.fixtures.desk import DATABASE_DOWN, Desk, add_token

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def reader(desk: Desk) -> FlaskClient:
    """Ben, signed in, two acknowledged minutes and a contained incident later."""
    desk.alertmanager_says("firing", labels=DATABASE_DOWN, annotations={"summary": "Down & <out>"})
    desk.forward(minutes=2)
    desk.does("acknowledge")
    desk.forward(minutes=6)
    desk.does("contain")
    desk.does("notes", text="/finding It was the pool")
    desk.forward(minutes=30)
    desk.news()
    return signed_in(desk)


def signed_in(desk: Desk) -> FlaskClient:
    client = create_app(desk.house).test_client()
    client.post("/signin", data={"token": add_token(desk.house, "ben", "signin")})
    return client


def rows(html: str, attribute: str) -> dict[str, list[str]]:
    """Row by its data attribute → the texts of its cells."""
    found = re.findall(rf'<tr data-{attribute}="([a-z_]+)">(.*?)</tr>', html, re.DOTALL)
    return {
        name: [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for name, row in found
    }


@pytest.mark.parametrize("size", ["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_drawing_has_what_the_table_has(reader: FlaskClient, size: str, theme: str) -> None:
    page = reader.get("/i/INC-001/picture").get_data(as_text=True)
    answer = reader.get(f"/i/INC-001/timeline.svg?theme={theme}&size={size}")
    drawn = ElementTree.fromstring(answer.get_data())
    words = " ".join("".join(text.itertext()) for text in drawn.iter(f"{SVG}text"))

    assert answer.content_type == "image/svg+xml"
    lanes = rows(page, "lane")
    assert [cells[0] for cells in lanes.values()] == ["Signal", "People", "Containment", "Who hears", "System"]
    assert all(cells[0] in words for cells in lanes.values())
    circles = [one for one in drawn.iter(f"{SVG}circle") if one.get("r") == "6"]
    assert int(lanes["people"][1]) >= len(circles) > 0
    for stretch in ("Detection gap", "Response", "Contained"):
        assert f">{stretch}</th>" in page
    people = re.findall(r'<tr data-state="[a-z]+"><th scope="row">([^<]+)</th>', page)
    assert people
    assert all(person in words for person in people)


def test_what_a_sender_wrote_stays_text_in_the_drawing(reader: FlaskClient) -> None:
    drawn = ElementTree.fromstring(reader.get("/i/INC-001/timeline.svg").get_data())

    title = drawn.find(f"{SVG}title")
    assert title is not None
    assert title.text is not None
    assert title.text.startswith("INC-001")
    assert not list(drawn.iter(f"{SVG}script"))


def test_the_funnel_counts_rows_and_loses_none(desk: Desk, reader: FlaskClient) -> None:
    desk.alertmanager_says("firing", labels={"alertname": "Fills", "service": "s", "severity": "warning"})
    desk.alertmanager_says("firing", labels={"alertname": "Said", "service": "s", "severity": "info"})
    desk.post(b'{"this is": "no alert"}')
    desk.settle()
    desk.news()

    page = reader.get("/funnel?since=1d").get_data(as_text=True)
    counted = {name: int(cells[1].replace(",", "")) for name, cells in rows(page, "stage").items()}

    assert counted["received"] == 4
    assert counted["unreadable"] == 1
    assert counted["alerts"] == counted["matched"] + counted["suggested"] + counted["recorded"] + counted["silenced"]
    assert (counted["suggested"], counted["recorded"]) == (1, 1)
    assert counted["acknowledged"] == 1
    drawn = ElementTree.fromstring(reader.get("/funnel.svg?since=1d").get_data())
    bold = ["".join(text.itertext()) for text in drawn.iter(f"{SVG}text") if text.get("font-weight")]
    assert bold == [
        f"{counted[name]:,}" for name in ("received", "alerts", "matched", "incidents", "pages", "acknowledged")
    ]


@pytest.mark.usefixtures("reader")
def test_what_is_older_than_the_span_is_not_counted(desk: Desk) -> None:
    desk.clock.forward(timedelta(hours=30))
    reader = signed_in(desk)

    counted = rows(reader.get("/funnel?since=1d").get_data(as_text=True), "stage")

    assert counted["received"][1] == "0"
    assert rows(reader.get("/funnel").get_data(as_text=True), "stage")["received"][1] == "1"


def test_moments_that_would_lie_on_each_other_are_one_mark_with_their_number() -> None:
    axis = Axis(NOON, NOON + timedelta(hours=1), 0, 600)

    marks = together(axis, [(NOON, 1), (NOON + timedelta(seconds=20), 2), (NOON + timedelta(minutes=30), 1)])

    assert marks == [{"x": 0.0, "count": 3}, {"x": 300.0, "count": 1}]


@pytest.mark.parametrize("minutes", [1, 7, 60, 600, 6000, 100_000])
def test_an_axis_has_a_few_round_times_however_long_it_is(minutes: int) -> None:
    axis = Axis(NOON + timedelta(seconds=17), NOON + timedelta(minutes=minutes, seconds=17), 100, 900)

    found = ticks(axis, UTC, most=8)

    assert len(found) <= 9
    assert all(100 <= tick["x"] <= 900 for tick in found)
