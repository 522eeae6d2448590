"""T6, idle: a page leaves because its alert came in, not because a clock looked. Asserted by order, never by time."""

from __future__ import annotations

from incidents import tables
from tests.fixtures.desk import DATABASE_DOWN, Desk
from tests.fixtures.parts import Parts
from tests.fixtures.waiting import eventually


def test_a_runbooks_page_leaves_before_any_clock_has_made_its_first_pass(parts: Parts, desk: Desk) -> None:
    parts.start("web", "worker")
    assert parts.post(desk.payload([("firing", DATABASE_DOWN)])) == 202

    eventually(lambda: len(parts.recorder.received) == 3, 15, "everyone of now has heard")

    assert not [row for row in parts.rows(tables.part) if row.kind == "clock"], "no clock has run"
    assert sorted((one.purpose, one.person) for one in parts.recorder.received) == [
        ("page", "ada"),
        ("page", "cy"),
        ("tell", "ben"),
    ]
    assert {one.body["facts"]["incident"] for one in parts.recorder.received} == {"INC-001"}

    parts.start("clock")
    eventually(lambda: [row for row in parts.rows(tables.part) if row.kind == "clock"], 15, "the clock has passed")
    assert len(parts.recorder.received) == 3, "and has nothing to page again"
    desk.news()
