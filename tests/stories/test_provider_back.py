"""A provider was down for minutes and is back: what waits for it leaves within ten seconds, once each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from incidents import promises, retrying
from incidents.promises import Outcome
from incidents.tables import promise
from tests.fixtures.desk import CAST, Desk, OpenDesk
from tests.fixtures.ntfy import TOKEN, Ntfy

ADA = 'ada: {name: Ada, contacts: [{channel: phone, address: "URL/ada", for: [page, tell]}]}'
NTFY = "ada: {name: Ada, contacts: [{channel: push, address: ada, for: [page, tell]}]}"
CHANNELS = 'channels: {phone: {kind: webhook, secret: "SECRET"}'


def other(name: str) -> dict[str, str]:
    return {"alertname": name, "service": name.lower(), "severity": "critical"}


@pytest.mark.parametrize("minutes", [2.05, 2.3])
def test_what_waits_leaves_within_ten_seconds_of_the_recovery(desk: Desk, minutes: float) -> None:
    desk.recorder.broken |= {"ada": 503, "ben": 503, "cy": 503}
    desk.alertmanager_says("firing")
    desk.alertmanager_says("firing", labels=other("Second"))
    desk.forward(minutes=minutes)
    assert desk.news() == []
    desk.recorder.broken.clear()
    desk.forward(seconds=10)

    assert desk.heard() == 2 * [("page", "ada")] + 2 * [("page", "cy")] + 2 * [("tell", "ben")]
    desk.forward(seconds=40)
    assert desk.news() == [], "nothing is sent twice"


def test_while_it_is_down_it_is_not_asked_more_often_than_every_few_seconds(desk: Desk) -> None:
    desk.recorder.broken |= {"ada": 503, "ben": 503, "cy": 503}
    for n in range(5):
        desk.alertmanager_says("firing", labels=other(f"Fault{n}"))
    desk.forward(minutes=3)
    before = attempts(desk)
    desk.forward(minutes=1)

    assert attempts(desk) - before < 60, "fifteen messages, each twice a minute, and one more every few seconds"
    desk.recorder.broken.clear()
    desk.forward(seconds=10)
    assert desk.news()


def attempts(desk: Desk) -> int:
    with desk.house.database.read() as work:
        return sum(row.attempts for row in work.session.execute(select(promise.c.attempts)))


def test_what_the_provider_asked_to_wait_for_is_not_hurried_by_anothers_success(
    open_desk: OpenDesk, ntfy: Ntfy
) -> None:
    push = f"push: {{kind: ntfy, url: '{ntfy.url}', token: {TOKEN}}}"
    desk = open_desk(CAST.replace(ADA, NTFY).replace(CHANNELS, f"{CHANNELS}, {push}"))
    ntfy.trouble.code, ntfy.trouble.headers = 429, {"Retry-After": "120"}
    desk.alertmanager_says("firing")
    ntfy.trouble.code, ntfy.trouble.headers = 500, {}
    desk.alertmanager_says("firing", labels=other("Second"))
    desk.forward(seconds=70)
    ntfy.trouble.code = 0
    desk.forward(seconds=20)
    assert len(pages(ntfy)) == 1

    desk.forward(seconds=35)
    assert len(pages(ntfy)) == 2
    desk.news()


def pages(ntfy: Ntfy) -> list[object]:
    return [one for one in ntfy.published if one["priority"] == 5]


def test_two_workers_let_each_waiting_message_go_once_and_none_that_may_have_left(desk: Desk) -> None:
    desk.recorder.broken |= {"ada": 503, "ben": 503, "cy": 503}
    for n in range(4):
        desk.alertmanager_says("firing", labels=other(f"Fault{n}"))
    desk.forward(seconds=100)
    now = desk.clock.now()
    with desk.house.database.work() as work:
        rows = work.session.execute(
            select(promise).where(promise.c.kind == "page", promise.c.target == "ada").order_by(promise.c.id)
        ).all()
        unsure = rows[-1]
        work.session.execute(promise.update().where(promise.c.id == unsure.id).values(outcome="ambiguous"))
        came = Outcome("yes", channel="phone")
        first = retrying.settled(work.session, rows[0], came, "kept", now=now)
        second = retrying.settled(work.session, rows[1], came, "kept", now=now)
        again = retrying.settled(work.session, rows[0], Outcome("yes", channel="other"), "kept", now=now)
        due = promises.next_due_at(work.session)

    freed = [bell.id for bell in (*first, *second)]
    assert len(freed) == len(set(freed)) > 0
    assert unsure.id not in freed
    assert again == []
    assert due is not None
    assert due <= now + timedelta(seconds=1)
    desk.recorder.broken.clear()
    desk.forward(seconds=40)
    desk.news()
