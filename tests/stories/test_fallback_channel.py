"""The fallback channel hears of a miss; many read it, so its message acknowledges for nobody."""

from __future__ import annotations

from sqlalchemy import select

from incidents import tables
from tests.fixtures.desk import Desk


def test_a_message_to_a_channel_carries_no_acknowledging_link(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=6)

    with desk.house.database.read() as work:
        sent = work.session.execute(
            select(tables.promise.c.target).where(
                tables.promise.c.target.like("channel:%"), tables.promise.c.state == "kept"
            )
        ).all()
        links = set(work.session.execute(select(tables.person_token.c.person)).scalars())

    assert sent, "the fallback channel has heard of the miss"
    assert "ada" in links
    assert not [person for person in links if person.startswith("channel:")]
    desk.news()
