"""Silences mute paging and never the record: what still fires at their end is decided anew, and nothing is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from incidents import tables
from tests.fixtures.desk import CAST, DATABASE_DOWN, Desk, OpenDesk

QUEUE = {"alertname": "QueueGrows", "service": "mailer", "severity": "warning"}
INFO = {"alertname": "Deployed", "service": "webapp-prod", "severity": "info"}
SECOND = {**DATABASE_DOWN, "instance": "b"}
WEBAPP = 'service="webapp-prod"'
# The desk's stories begin on a Saturday at 14:37 UTC.
NIGHTLY = """
silences:
  - {when: ['service="webapp-prod"'], schedule: "sat 15:00", for: 2h, reason: the weekly rebuild, owner: default}
"""


def silences(desk: Desk, *matchers: str, lasts: str = "2h", **more: Any) -> Any:
    body = {"matchers": list(matchers or [WEBAPP]), "for": lasts, "reason": "the database moves"}
    return desk.api("POST", "/silences", **{"expect": 201, **body, **more})


def lifts(desk: Desk, silence: int = 1, **more: Any) -> Any:
    return desk.api("POST", f"/silences/{silence}/lift", **more)


def paged(desk: Desk) -> list[tuple[str, str]]:
    return [one for one in desk.heard() if one[0] == "page"]


def test_what_a_silence_matches_wakes_nobody_and_says_why(desk: Desk) -> None:
    silences(desk)
    desk.alertmanager_says("firing")
    desk.alertmanager_says("firing", labels=INFO)

    assert desk.incidents() == []
    muted = next(one for one in desk.alerts() if one["title"].startswith("DB"))
    assert (muted["decision"], muted["status"], muted["silence"]) == ("silenced", "firing", 1)
    assert "Muted by silence 1 of Ada until 21 Nov 16:37 UTC (the database moves)." in muted["why"]
    assert "Without it: The runbook" in muted["why"], "the record says what it hides"
    recorded = next(one for one in desk.alerts() if one["title"].startswith("Deployed"))
    assert recorded["decision"] == "record", "what wakes nobody anyway needs no silence"

    listed = desk.api("GET", "/silences?state=live")["items"]
    assert [(one["id"], one["muted"], one["firing"], one["state"]) for one in listed] == [(1, 1, 1, "live")]
    assert [one["id"] for one in desk.api("GET", "/silences/1")["alerts"]] == [muted["id"]]
    assert [one["id"] for one in desk.api("GET", "/alerts?decision=silenced")["items"]] == [muted["id"]]
    numbers = desk.client.get("/metrics").get_data(as_text=True)
    assert "firedoor_firings_muted_total 1\n" in numbers
    assert "firedoor_silences_live 1\n" in numbers


def test_what_still_fires_when_the_silence_ends_is_decided_anew_and_pages(desk: Desk) -> None:
    silences(desk)
    desk.alertmanager_says("firing")
    desk.forward(minutes=119)
    desk.alertmanager_says("firing")
    assert desk.news() == []

    desk.forward(minutes=1)

    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]
    assert "Silence 1 muted it until now. It still fires, so it is decided anew." in desk.timeline()
    assert desk.alerts()[0]["decision"] == "open"
    ended = desk.api("GET", "/silences/1")
    assert (ended["state"], ended["firing"], ended["lifted_by"]) == ("ended", 0, None)
    assert [one["incident"] for one in ended["alerts"]] == ["INC-001"], "what it muted stays on its list"


def test_what_cleared_under_the_silence_pages_nobody_ever(desk: Desk) -> None:
    silences(desk)
    desk.alertmanager_says("firing")
    desk.forward(minutes=30)
    desk.alertmanager_says("resolved")

    desk.forward(hours=3)

    assert desk.incidents() == []
    assert desk.alerts()[0]["decision"] == "silenced"


def begins_later(desk: Desk, *, minutes: float = 30, **more: Any) -> Any:
    """At 15:07, unless told."""
    return silences(desk, starts_at=(desk.clock.now() + timedelta(minutes=minutes)).isoformat(), **more)


def test_a_silence_that_begins_later_mutes_only_within_its_time(desk: Desk) -> None:
    planned = begins_later(desk, lasts="1h")
    assert (planned["state"], planned["starts_at"]) == ("planned", "2026-11-21T15:07:00.000Z")
    assert "from 21 Nov 15:07 until 21 Nov 16:07 UTC" in planned["said"]
    listed = {state: desk.api("GET", f"/silences?state={state}")["items"] for state in ("live", "planned", "current")}
    assert [len(one) for one in listed.values()] == [0, 1, 1]
    assert "firedoor_silences_live 0\n" in desk.client.get("/metrics").get_data(as_text=True)
    desk.forward(minutes=30)
    assert desk.api("GET", "/silences/1")["state"] == "live"

    desk.alertmanager_says("firing")
    desk.forward(minutes=59)
    assert (desk.alerts()[0]["decision"], desk.news()) == ("silenced", [])

    desk.forward(minutes=1)
    assert paged(desk) == [("page", "ada"), ("page", "cy")], "it still fires"


def test_what_fires_in_the_last_second_before_a_silence_begins_pages_and_goes_on(desk: Desk) -> None:
    begins_later(desk)
    desk.forward(minutes=29, seconds=59)
    desk.alertmanager_says("firing")
    assert paged(desk) == [("page", "ada"), ("page", "cy")]

    desk.forward(minutes=10)
    desk.alertmanager_says("firing", labels=SECOND)

    assert paged(desk), "who works on it, or ought to, is not left alone"
    assert [one["decision"] for one in desk.alerts()] == ["open", "open"]


def test_a_first_page_that_waits_is_sent_though_a_silence_begins_meanwhile(desk: Desk) -> None:
    begins_later(desk, minutes=0.5)
    desk.alertmanager_says("firing", labels={**DATABASE_DOWN, "alertname": "Unknown"})
    assert desk.news() == [], "what the severity mapping opens waits a minute"

    desk.forward(minutes=2)

    assert ("page", "ada") in desk.heard()


def test_a_silence_that_is_lifted_before_it_begins_mutes_nothing(desk: Desk) -> None:
    begins_later(desk)
    done = lifts(desk, by="ben")
    assert (done["state"], done["said"]) == ("lifted", "Silence 1 is lifted before it began: it mutes nothing.")

    desk.forward(minutes=31)
    desk.alertmanager_says("firing")

    assert ("page", "ada") in desk.heard()
    desk.press("ada", "acknowledge")
    desk.forward(hours=2)
    assert len(desk.incidents()) == 1
    desk.news()


def test_when_a_silence_begins_is_refused_with_a_sentence(desk: Desk) -> None:
    for minutes, about in ((-6, "in the past"), (91 * 24 * 60, "more than 90 days")):
        assert about in begins_later(desk, minutes=minutes, expect=422)["detail"]
    for starts_at in ("2026-11-22T02:00:00", "tomorrow", ""):
        silences(desk, starts_at=starts_at, expect=422)
    assert desk.api("GET", "/silences")["items"] == []
    assert begins_later(desk, minutes=-1)["state"] == "live", "a sender's clock may be a little behind"


def test_a_suggestion_is_muted_and_suggested_at_the_end(desk: Desk) -> None:
    silences(desk, 'alertname=~"Queue.*"')
    desk.alertmanager_says("firing", labels=QUEUE)
    assert desk.alerts()[0]["decision"] == "silenced"

    desk.forward(hours=2)

    assert desk.alerts()[0]["decision"] == "suggest"
    assert desk.incidents() == []


def test_lifting_does_at_once_what_the_end_would_have_done(desk: Desk) -> None:
    silences(desk)
    desk.alertmanager_says("firing")

    done = lifts(desk, by="ben")

    assert (done["state"], done["lifted_by"]["name"]) == ("lifted", "Ben")
    assert paged(desk) == [("page", "ada"), ("page", "cy")]
    again = lifts(desk, expect=409)
    assert "ended on 21 Nov at 14:37 UTC already" in again["detail"]
    desk.press("ada", "acknowledge")
    desk.forward(hours=2)
    assert len(desk.incidents()) == 1, "the end that was promised first does not open it twice"
    desk.news()


def test_an_incident_that_is_open_is_not_muted(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.news()
    silences(desk)

    desk.alertmanager_says("firing", labels=SECOND)
    desk.forward(minutes=5)

    assert [one["decision"] for one in desk.alerts()] == ["open", "open"]
    assert paged(desk), "it goes on escalating: who works on it, or ought to, is not left alone"


def test_a_silence_keeps_an_ended_incident_from_reopening_until_it_ends(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.alertmanager_says("resolved")
    desk.forward(minutes=10)
    assert desk.incident()["status"] == "resolved"
    desk.news()
    silences(desk, lasts="10m")

    desk.alertmanager_says("firing")
    assert (desk.incident()["status"], desk.alerts()[0]["decision"]) == ("resolved", "silenced")
    assert any("Silence 1 of Ada mutes it until 21 Nov 14:57 UTC" in line for line in desk.timeline())
    desk.forward(minutes=10)

    assert (desk.incident()["status"], desk.incident()["round"]) == ("active", 2)
    assert ("page", "ada") in desk.heard()


def test_what_two_silences_match_waits_for_the_later_one(desk: Desk) -> None:
    silences(desk, lasts="10m")
    silences(desk, 'alertname="DBConnectionErrors"', lasts="20m")
    desk.alertmanager_says("firing")

    desk.forward(minutes=10)
    assert desk.incidents() == []
    assert "silence 2" in desk.alerts()[0]["why"]

    desk.forward(minutes=10)
    assert ("page", "ada") in desk.heard()
    assert [one["muted"] for one in desk.api("GET", "/silences")["items"]] == [1, 1]


def test_a_silence_that_ended_while_everything_was_down_loses_nothing(desk: Desk) -> None:
    silences(desk)
    desk.alertmanager_says("firing")

    desk.clock.set(desk.clock.now() + timedelta(hours=9))  # nobody kept anything meanwhile
    assert desk.news() == []
    desk.settle()

    assert ("page", "ada") in desk.heard()


def test_a_lost_promise_of_an_end_is_made_again_by_the_audit(desk: Desk) -> None:
    silences(desk)
    desk.alertmanager_says("firing")
    assert desk.forget("silence_end") == 1
    desk.forward(hours=2, minutes=2)
    assert desk.incidents() == []

    desk.audit()

    assert ("page", "ada") in desk.heard()
    assert desk.counted("audit.repaired") == 1


def test_more_alerts_than_one_transaction_takes_are_all_decided_anew(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("incidents.silences.AT_ONCE", 2)
    silences(desk)
    desk.alertmanager_says("firing", alerts=[("firing", {**DATABASE_DOWN, "instance": f"{n}"}) for n in range(5)])
    assert desk.api("GET", "/silences/1")["firing"] == 5

    desk.forward(hours=2)

    assert {one["decision"] for one in desk.alerts()} == {"open"}
    assert len(desk.incidents()) == 1
    desk.news()


def test_a_firing_that_is_held_when_the_silence_ends_counts_after_its_minute(desk: Desk) -> None:
    silences(desk, lasts="10m")
    desk.alertmanager_says("firing")
    desk.forward(minutes=9, seconds=30)
    desk.alertmanager_says("resolved")
    desk.forward(seconds=20)
    desk.alertmanager_says("firing")

    desk.forward(minutes=2)

    assert ("page", "ada") in desk.heard()


def test_a_missed_heartbeat_is_muted_like_any_alert(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more="heartbeats: {backup: {every: 10m, grace: 2m, severity: P1}}\n")
    silences(desk, 'heartbeat="backup"', lasts="1h")
    desk.audit()
    desk.forward(minutes=59)
    assert [(one["source"], one["decision"]) for one in desk.alerts()] == [("heartbeat", "silenced")]

    desk.forward(minutes=1)

    assert ("page", "ada") in desk.heard()


def test_a_maintenance_window_begins_and_ends_by_itself(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more=NIGHTLY)
    window = desk.api("GET", "/silences")["windows"][0]
    assert (window["schedule"], window["for"], window["owner"]["name"]) == ("sat 15:00", "2 h", "Shop")
    assert window["next_at"] == "2026-11-21T15:00:00.000Z"

    desk.forward(minutes=23)
    desk.audit()
    desk.audit()
    assert [one["recurring"] for one in desk.api("GET", "/silences")["items"]] == [True], "it begins once"
    desk.alertmanager_says("firing")
    assert "of Shop until 21 Nov 17:00 UTC (the weekly rebuild)" in desk.alerts()[0]["why"]
    desk.forward(minutes=119)
    assert desk.news() == []

    desk.forward(minutes=1)
    assert ("page", "ada") in desk.heard()


def test_a_window_mutes_from_its_first_second_though_no_audit_has_run(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more=NIGHTLY)
    desk.forward(minutes=23)

    desk.alertmanager_says("firing")
    assert desk.alerts()[0]["decision"] == "silenced"

    desk.forward(hours=2)
    assert ("page", "ada") in desk.heard()


def test_a_window_that_was_lifted_stays_lifted_until_its_next_turn(open_desk: OpenDesk) -> None:
    desk = open_desk(CAST, more=NIGHTLY)
    desk.forward(minutes=23)
    desk.audit()
    lifts(desk)

    desk.alertmanager_says("firing")
    assert ("page", "ada") in desk.heard()

    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.does("stand-down")
    desk.alertmanager_says("resolved")
    desk.forward(hours=7 * 24)
    desk.news()
    desk.alertmanager_says("firing")
    assert desk.alerts()[0]["decision"] == "silenced"


def test_a_silence_is_refused_with_a_sentence(desk: Desk) -> None:
    for matchers, lasts, about in (
        ([], "2h", "would mute every alert"),
        ([" "], "2h", "would mute every alert"),
        (['alertname=~".*"'], "2h", "would mute every alert"),
        (['env!="prod"'], "2h", "ask for nothing"),
        (["service"], "2h", "is not a condition"),
        (['service=~"("'], "2h", "is not a pattern"),
        ([WEBAPP], "31d", "can't last so long"),
        ([WEBAPP], "0s", "of no length"),
        ([WEBAPP], "soon", "is not a duration"),
        ([WEBAPP] * 21, "2h", "At most 20 matchers"),
    ):
        refused = desk.api("POST", "/silences", expect=422, **{"matchers": matchers, "for": lasts, "reason": "why"})
        assert about in refused["detail"], matchers
        assert "Nothing was silenced" in refused["detail"]
    without_reason = {"matchers": [WEBAPP], "for": "2h", "reason": " "}
    assert "needs a reason" in desk.api("POST", "/silences", expect=422, **without_reason)["detail"]
    assert desk.api("GET", "/silences")["items"] == []
    assert "There is no silence 7" in lifts(desk, 7, expect=404)["detail"]


def test_simulate_says_when_a_silence_would_mute(desk: Desk) -> None:
    silences(desk)

    for labels, opens in ((DATABASE_DOWN, False), ({**DATABASE_DOWN, "service": "checkout"}, True)):
        payload = desk.payload([("firing", labels)])
        simulated = desk.api("POST", "/simulate", **payload)["alerts"][0]

        assert simulated["opens"] is opens
        assert (simulated["decision"] == "silenced") is not opens
        assert ("Muted by silence 1 of Ada" in simulated["why"]) is not opens
        assert simulated["silenced_until"] == (None if opens else "2026-11-21T16:37:00.000Z")


def test_the_end_is_promised_in_the_same_transaction(desk: Desk) -> None:
    silences(desk)

    p = tables.promise
    with desk.house.database.read() as work:
        promised = work.session.execute(select(p.c.key, p.c.due_at, p.c.state)).all()
    assert promised == [("silence_end:1:end", datetime.fromisoformat("2026-11-21T16:37:00+00:00"), "due")]


def test_an_end_that_is_already_marked_mutes_nothing_more(desk: Desk) -> None:
    """As for a taker whose clock is behind that of the worker that ended it."""
    silences(desk)
    s = tables.silence
    with desk.house.database.work() as work:
        work.session.execute(update(s).values(lifted_at=work.now))

    desk.alertmanager_says("firing")

    assert ("page", "ada") in desk.heard()
