"""What the signal does by itself: blips, clearing, flapping, reordering, staleness, and what belongs together."""

from __future__ import annotations

from tests.fixtures.desk import DATABASE_DOWN, Desk

CRITICAL = {"alertname": "QueueStuck", "service": "mail", "severity": "critical"}  # no runbook: mapped, and waits 60 s


def test_an_alert_without_a_runbook_opens_at_once_and_pages_after_a_minute(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=CRITICAL)
    assert desk.incident()["severity"] == "P1"
    assert desk.news() == []

    desk.forward(seconds=60)
    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]


def test_a_blip_wakes_nobody_and_the_record_says_so(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels=CRITICAL)
    desk.forward(seconds=40)
    desk.alertmanager_says("resolved", labels=CRITICAL)

    desk.forward(minutes=30)

    assert desk.news() == []
    assert desk.incident()["closed_reason"] == "self_cleared"


def test_a_p1_that_clears_at_minute_3_pages_nobody_more_and_reopens_at_minute_10(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]

    desk.forward(minutes=3)
    desk.alertmanager_says("resolved")
    desk.forward(minutes=5)

    said = desk.news()
    assert sorted((one.purpose, one.to, one.minute) for one in said) == [
        ("cleared", "ada", 8.0),
        ("cleared", "ben", 8.0),
        ("cleared", "cy", 8.0),
    ]
    assert desk.incident()["status"] == "closed"

    desk.forward(minutes=2)
    desk.alertmanager_says("firing")
    assert desk.incident()["status"] == "active"
    assert desk.incident()["round"] == 2
    assert [one["id"] for one in desk.incidents()] == ["INC-001"]
    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]


def test_paging_holds_while_the_signal_is_clear_and_goes_on_at_once_when_it_is_back(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forward(minutes=3)
    desk.alertmanager_says("resolved")
    desk.news()

    desk.forward(minutes=4)
    assert desk.news() == [], "neither Ben at four minutes nor Cy at five"
    assert desk.counted("hearing.missed") == 0

    desk.alertmanager_says("firing")
    assert ("page", "ben") in desk.heard()


def test_a_p0_goes_on_though_its_signal_is_clear(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.does("severity", severity="P0")
    desk.alertmanager_says("resolved")

    assert desk.goes_on_though_it_is_clear()


def test_an_acknowledged_incident_resolves_after_ten_clear_minutes(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.forward(minutes=5)
    desk.alertmanager_says("resolved")
    desk.forward(minutes=10)

    incident = desk.incident()

    assert incident["status"] == "resolved"
    assert incident["contained_at"] == incident["impact_over_at"] == "2026-11-21T14:42:00.000Z"
    desk.news()


def test_the_third_opening_within_an_hour_no_longer_clears_itself(desk: Desk) -> None:
    for _ in range(2):
        desk.alertmanager_says("firing")
        desk.forward(minutes=2)
        desk.alertmanager_says("resolved")
        desk.forward(minutes=6)
    desk.alertmanager_says("firing")
    desk.forward(minutes=2)
    desk.alertmanager_says("resolved")

    assert desk.goes_on_though_it_is_clear()


def test_a_firing_right_after_its_resolve_waits_a_minute_and_counts_if_no_resolve_comes_again(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    began = desk.clock.now()
    desk.alertmanager_says("resolved")
    desk.forward(seconds=15)
    desk.news()

    desk.alertmanager_says("firing", starts_at=began)  # a false resolve: the same startsAt
    assert desk.incident()["status"] == "resolved"

    desk.forward(seconds=60)
    assert desk.incident()["status"] == "active"
    assert ("page", "ada") in desk.heard()


def test_a_slower_peers_old_firing_is_followed_by_its_own_resolve_and_opens_nothing(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.alertmanager_says("resolved")
    desk.forward(seconds=15)
    desk.alertmanager_says("firing")
    desk.forward(seconds=5)
    desk.alertmanager_says("resolved")
    desk.news()

    desk.forward(minutes=5)

    assert desk.incident()["status"] == "resolved"
    assert desk.news() == []


def test_a_resolve_that_comes_before_its_firing_opens_nothing(desk: Desk) -> None:
    desk.alertmanager_says("resolved")
    desk.forward(seconds=5)
    desk.alertmanager_says("firing")
    desk.alertmanager_says("resolved")

    desk.forward(minutes=5)

    assert desk.incidents() == []
    assert desk.news() == []


def test_repeats_and_duplicates_are_one_incident_and_one_page(desk: Desk) -> None:
    for _ in range(100):
        desk.alertmanager_says("firing")
    desk.forward(seconds=30)
    desk.alertmanager_says("firing")

    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]
    assert len(desk.incidents()) == 1
    assert desk.alerts()[0]["count"] == 101


def test_a_truncated_group_that_claims_to_be_resolved_resolves_nothing_that_it_does_not_list(desk: Desk) -> None:
    other = {**DATABASE_DOWN, "instance": "b"}
    desk.alertmanager_says(alerts=[("firing", DATABASE_DOWN), ("firing", other)])
    desk.alertmanager_says(alerts=[("resolved", other)], top="resolved", truncated=1)

    assert desk.incident()["cleared_at"] is None
    desk.news()


def test_alerts_of_one_group_key_are_one_incident(desk: Desk) -> None:
    alerts = [("firing", {**CRITICAL, "instance": str(n)}) for n in range(50)]
    desk.alertmanager_says(alerts=alerts)
    desk.forward(minutes=1)

    assert len(desk.incidents()) == 1
    assert len(desk.incident()["alerts"]) == 50
    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]


def test_what_fires_after_the_reopen_window_is_a_new_incident_linked_as_a_recurrence(desk: Desk) -> None:
    desk.an_incident_ends()
    desk.forward(minutes=31)
    desk.news()

    desk.alertmanager_says("firing")

    assert [one["id"] for one in desk.incidents()] == ["INC-002", "INC-001"]
    assert any("happened before: INC-001" in line for line in desk.timeline("INC-002"))
    desk.news()


def test_an_alert_that_stops_being_repeated_is_marked_stale_and_never_resolved_by_guess(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.press("ada", "acknowledge")
    for _ in range(5):
        desk.forward(minutes=25)
        desk.does("notes", text="still at it")
    desk.news()

    incident = desk.incident()

    assert incident["stale_at"] is not None
    assert incident["status"] == "active"


def test_a_warning_is_suggested_and_an_info_is_only_recorded(desk: Desk) -> None:
    desk.alertmanager_says("firing", labels={"alertname": "Slow", "service": "shop", "severity": "warning"})
    desk.alertmanager_says("firing", labels={"alertname": "Deployed", "service": "shop", "severity": "info"})

    decisions = {alert["title"]: alert["decision"] for alert in desk.alerts()}

    assert decisions == {"Slow is wrong": "suggest", "Deployed is wrong": "record"}
    assert all(alert["why"] for alert in desk.alerts())
    assert desk.incidents() == []


def test_an_authentic_body_that_nobody_understands_opens_an_incident_of_its_own(desk: Desk) -> None:
    desk.post(b'{"alerts": [')
    desk.settle()
    desk.post(b'{"alerts": [')
    desk.settle()

    assert [one["title"] for one in desk.incidents()] == ["Unreadable alert from alertmanager"]
    assert desk.heard() == [("page", "ada"), ("tell", "ben")]


def test_a_body_that_nobody_understands_reopens_the_resolved_incident_about_the_last_one(desk: Desk) -> None:
    desk.post(b'{"alerts": [')
    desk.settle()
    desk.press("ada", "acknowledge")
    desk.does("resolve")
    desk.forward(hours=14)
    desk.news()

    desk.post(b'{"alerts": [')
    desk.settle()

    assert [(one["id"], one["status"]) for one in desk.incidents()] == [("INC-001", "active")]
    assert desk.heard() == [("page", "ada"), ("tell", "ben")]
    assert any("Reopened: it happened again. Round 2" in line for line in desk.timeline())


def test_a_forged_delivery_is_refused_and_stores_nothing(desk: Desk) -> None:
    desk.post(b"{}", expect=401, token="not the token")
    desk.settle()

    assert desk.alerts() == []


def test_an_incident_that_lost_its_promises_is_repaired_counted_and_shown(desk: Desk) -> None:
    desk.alertmanager_says("firing")
    desk.forget("escalate")
    desk.forget("page")
    desk.news()

    desk.audit()

    assert desk.counted("audit.repaired") == 1
    assert "audit.repaired" in desk.kinds()
    assert ("page", "cy") in desk.heard()
