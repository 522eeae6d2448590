"""A contact that brings no yes is followed by the person's next one, whatever the page is about; and by it once."""

from __future__ import annotations

import pytest

from tests.fixtures.desk import CAST, DATABASE_DOWN, Desk, OpenDesk

PHONE = 'contacts: [{channel: phone, address: "URL/%s", for: [page, tell]}'
SPARE = ', {channel: spare, address: "URL/%s2", for: [page]}'
SLOW = {"alertname": "Slow", "service": "shop", "severity": "error"}  # P2: its path names the tech lead at 15 min


def two_contacts(*people: str) -> str:
    cast = CAST.replace("channels: {", 'channels: {spare: {kind: webhook, secret: "SECRET"}, ').replace(",  ", ", ")
    for person in people:
        cast = cast.replace(PHONE % person, PHONE % person + SPARE % person)
    return cast


def pages(desk: Desk) -> list[tuple[float, str]]:
    return [(round(said.minute, 2), said.to) for said in desk.news() if said.purpose == "page"]


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    return open_desk(two_contacts("ada", "ben", "cy"))


def opened_p2(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=SLOW)
    desk.api("POST", f"/alerts/{desk.alerts()[0]['id']}/open", expect=201)


def test_a_step_of_the_path_whose_contact_refuses_for_good_goes_by_the_next_contact_at_once(desk: Desk) -> None:
    opened_p2(desk)
    desk.forward(minutes=14)
    desk.news()
    desk.recorder.broken["cy"] = 400
    desk.forward(minutes=14)

    assert [one for one in pages(desk) if one[1].startswith("cy")] == [(15, "cy2")]


def test_without_a_yes_the_next_contact_of_a_step_starts_after_30_s_and_once(desk: Desk) -> None:
    opened_p2(desk)
    desk.forward(minutes=14)
    desk.news()
    desk.recorder.broken["cy"] = 503
    desk.forward(minutes=14)

    assert [one for one in pages(desk) if one[1].startswith("cy")] == [(15.5, "cy2")]


def test_where_the_first_contact_brings_a_yes_after_all_the_next_is_left_in_peace(desk: Desk) -> None:
    opened_p2(desk)
    desk.forward(minutes=14)
    desk.news()
    desk.recorder.broken["cy"] = 503
    desk.forward(minutes=1, seconds=5)
    desk.recorder.broken.clear()
    desk.forward(minutes=14)

    [(minute, to)] = [one for one in pages(desk) if one[1].startswith("cy")]
    assert to == "cy"
    assert minute < 15.5


def test_a_final_no_after_tries_that_were_none_does_not_wait_for_the_30_s(desk: Desk) -> None:
    opened_p2(desk)
    desk.forward(minutes=14)
    desk.news()
    desk.recorder.broken["cy"] = 503
    desk.forward(minutes=1)
    desk.recorder.broken["cy"] = 400
    desk.forward(seconds=10)

    [(minute, to)] = [one for one in pages(desk) if one[1].startswith("cy")]
    assert to == "cy2"
    assert minute < 15.3


def test_the_next_person_has_a_next_contact_too(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()
    desk.recorder.broken["ben"] = 400
    desk.forward(minutes=4, seconds=30)

    assert [one for one in pages(desk) if one[1].startswith("ben")] == [(4, "ben2")]


def test_who_is_next_after_a_decline_has_a_next_contact_too(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.recorder.broken["ben"] = 400
    desk.press("ada", "decline")

    assert ("ben2") in [to for _, to in pages(desk)]


def test_who_is_asked_for_by_a_person_has_a_next_contact_too(desk: Desk) -> None:
    opened_p2(desk)
    desk.press("ada", "acknowledge")
    desk.news()
    desk.recorder.broken["cy"] = 400
    desk.does("escalate")

    assert desk.heard() == [("page", "cy2")]


def test_the_holder_is_asked_still_on_it_by_the_next_contact_and_not_once_they_answered(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=29)
    desk.news()
    desk.recorder.broken["ada"] = 503
    desk.forward(minutes=1, seconds=10)
    desk.does("acknowledge")
    desk.forward(seconds=60)
    assert desk.news() == [], "the question is answered"

    desk.forward(minutes=31)
    assert [to for _, to in pages(desk)] == ["ada2"]


def test_a_planned_next_contact_that_left_is_not_followed_by_itself(desk: Desk) -> None:
    desk.recorder.broken["ada"] = 503
    desk.alertmanager_says("firing")
    desk.forward(minutes=4)

    assert [one for one in pages(desk) if one[1].startswith("ada")] == [(0.5, "ada2")]


def test_after_the_last_contact_the_next_person_is_paged(desk: Desk) -> None:
    desk.recorder.broken |= {"ada": 400, "ada2": 400}
    desk.alertmanager_says("firing")

    assert ("page", "ben") in desk.heard()


def test_nobody_is_paged_by_a_next_contact_once_somebody_has_it(desk: Desk) -> None:
    desk.recorder.broken["ben"] = 503
    desk.alertmanager_says("firing")
    desk.forward(minutes=4, seconds=10)
    desk.press("ada", "acknowledge")
    desk.forward(minutes=2)

    assert "ben2" not in [said.to for said in desk.news()]


def test_a_further_lap_begins_with_the_next_contact_and_turns_back_to_the_first(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=DATABASE_DOWN)
    desk.forward(minutes=24)
    desk.news()
    desk.recorder.broken["cy2"] = 400
    desk.forward(minutes=1, seconds=30)

    assert pages(desk) == [(25, "cy")]


def test_an_acknowledgement_taken_back_owes_no_next_contact_beside_the_first(desk: Desk) -> None:
    opened_p2(desk)
    desk.forward(minutes=14)
    desk.recorder.broken["cy"] = 503
    desk.forward(minutes=1, seconds=5)
    desk.press("ada", "acknowledge")
    desk.recorder.broken.clear()
    desk.does("unacknowledge")
    desk.forward(minutes=2)

    assert "cy2" not in [to for _, to in pages(desk)]


def test_an_acknowledgement_taken_back_owes_the_next_contact_where_the_first_refused_for_good(desk: Desk) -> None:
    opened_p2(desk)
    desk.forward(minutes=14)
    desk.recorder.broken |= {"cy": 400, "cy2": 503}
    desk.forward(minutes=1, seconds=5)
    desk.press("ada", "acknowledge")
    desk.recorder.broken.clear()
    desk.does("unacknowledge")

    assert "cy2" in [to for _, to in pages(desk)]


def test_a_contact_that_refuses_hurries_no_page_of_another_audience(desk: Desk) -> None:
    desk.recorder.broken |= {"ada": 400, "ada2": 400}
    desk.alertmanager_says("firing")

    assert desk.heard() == [("page", "ben"), ("page", "cy"), ("tell", "ben")], "Cy was paged, and has time to answer"
