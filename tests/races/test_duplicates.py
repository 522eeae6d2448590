"""T15: one alert, told many times over by the peers of an Alertmanager cluster, is one incident and one page each."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from incidents import tables
from incidents.alerts import fingerprint
from tests.fixtures.desk import DATABASE_DOWN, Desk
from tests.fixtures.parts import Parts
from tests.fixtures.waiting import eventually

PEERS = ("http://am-0.example.com", "http://am-1.example.com", "http://am-2.example.com")
TIMES = 100
HANDS = 12


def told_by(peer: str, began: datetime) -> dict[str, Any]:
    """The delivery as each peer makes it: they differ in their own address alone."""
    return {
        "version": "4",
        "receiver": "firedoor",
        "groupKey": "{}:{}",
        "status": "firing",
        "truncatedAlerts": 0,
        "externalURL": peer,
        "alerts": [
            {
                "status": "firing",
                "labels": DATABASE_DOWN,
                "annotations": {"summary": "it is down"},
                "startsAt": began.isoformat(),
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": f"{peer}/graph",
                "fingerprint": fingerprint(DATABASE_DOWN),
            }
        ],
    }


def test_a_delivery_a_hundred_times_at_once_from_three_peers_is_one_incident_and_one_page_each(parts: Parts) -> None:
    parts.start("web", "worker", "worker", "clock")
    deliveries = [told_by(PEERS[n % 3], datetime.now(UTC)) for n in range(TIMES)]
    barrier = threading.Barrier(HANDS)
    answers: list[int] = []

    def post(some: list[dict[str, Any]]) -> None:
        barrier.wait(10)
        answers.extend(parts.post(one) for one in some)

    hands = [threading.Thread(target=post, args=(deliveries[n::HANDS],)) for n in range(HANDS)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(60)

    assert Counter(answers) == {202: TIMES}
    eventually(lambda: all(row.state == "taken" for row in parts.rows(tables.inbox)), 30, "everything is taken in")
    eventually(lambda: not pages(parts, "due", "claimed"), 30, "every page of now has left")
    assert len(parts.rows(tables.inbox)) == TIMES
    assert len(parts.rows(tables.incident)) == 1
    assert [(row._mapping["count"], row.status) for row in parts.rows(tables.alert)] == [(TIMES, "firing")]
    assert sorted((one.purpose, one.person) for one in parts.recorder.received) == [
        ("page", "ada"),
        ("page", "cy"),
        ("tell", "ben"),
    ]


def pages(parts: Parts, *states: str) -> list[Any]:
    now = datetime.now(UTC)
    rows = [row for row in parts.rows(tables.promise) if row.kind in ("page", "tell") and row.due_at <= now]
    return [row for row in rows if row.state in states]


def test_three_peers_repeat_it_for_a_day_and_it_stays_one_incident_without_a_second_page(desk: Desk) -> None:
    began = desk.clock.now()
    desk.alertmanager_says("firing", starts_at=began)
    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]
    for person in ("ada", "cy"):
        desk.press(person, "acknowledge")
    first = {(one.person, one.key) for one in desk.recorder.received}

    for minute in range(0, 25, 5):  # the holder hears "still on it?" only after 30 minutes without a press
        for peer in range(len(PEERS)):
            desk.alertmanager_says("firing", starts_at=began + timedelta(milliseconds=peer))
        assert {(one.person, one.key) for one in desk.recorder.received} == first, f"at minute {minute}"
        desk.forward(minutes=5)
    for _ in range(24):
        for peer in range(len(PEERS)):
            desk.alertmanager_says("firing", starts_at=began + timedelta(milliseconds=peer))
        desk.forward(hours=1)

    assert [one["id"] for one in desk.incidents()] == ["INC-001"]
    asked = Counter((one.person, one.key) for one in desk.recorder.received)
    assert set(asked.values()) == {1}, "no message has left twice"
    desk.news()
