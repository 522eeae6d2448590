"""What the JSON API answers, each shape as an example: the incident of 5 January, 14:30, at the checkout."""

from __future__ import annotations

from typing import Any

from console.shapes import Named, Of, free, maybe, one_of, page_of

AT = "2026-01-05T14:30:00.000Z"
LATER = "2026-01-05T14:39:00.000Z"
ADA = {"id": "ada", "name": "Ada"}
LABELS = {"alertname": "CheckoutErrors", "service": "checkout", "env": "prod"}
STATUSES = ("active", "contained", "resolved", "stood_down", "closed")
SAID = Of("You have it. Escalation has stopped.", "What was done, in one sentence.")

OUTLINE: dict[str, Any] = {
    "id": "INC-042",
    "status": one_of(*STATUSES),
    "status_label": "Active",
    "severity": "P1",
    "severity_label": "partial degradation",
    "severity_by": Of("runbook", "Who set it: runbook, mapping, policy or person."),
    "title": "Checkout returns too many errors",
    "service": maybe("checkout"),
    "team": maybe("payments"),
    "round": Of(1, "A reopening or a lapsed acknowledgement begins a new one."),
    "mode": one_of("live", "shadow"),
    "begun_by": "runbook",
    "taken_by": maybe(ADA, "Who has it."),
    "taken_at": maybe(LATER),
    "cleared_at": maybe(AT, "Since when no alert of it fires."),
    "stale_at": maybe(AT, "Since when its sender is silent."),
    "needs_human": maybe("it is as it was at 14:30: is it over?", "Why no machine can go on."),
    "closed_reason": maybe("false_alarm"),
    "version": Of(7, "It counts up with each change; the ETag begins with it."),
    "began_at": maybe(AT),
    "detected_at": maybe(AT),
    "declared_at": maybe(AT),
    "acknowledged_at": maybe(LATER),
    "contained_at": maybe(LATER),
    "impact_over_at": maybe(LATER),
    "fixed_at": maybe(LATER),
    "resolved_at": maybe(LATER),
    "stood_down_at": maybe(LATER),
    "postmortem_done_at": maybe(LATER),
    "closed_at": maybe(LATER),
}
ALERT: dict[str, Any] = {
    "id": 17,
    "source": "alertmanager",
    "fingerprint": "4f2a1c9b7d3e6a80",
    "status": one_of("firing", "resolved"),
    "title": "12 % of checkouts fail",
    "labels": free(LABELS),
    "annotations": free({"summary": "12 % of checkouts fail"}),
    "value": maybe("0.12", "What was measured, where the sender says so."),
    "link": maybe("https://grafana.example.com/d/checkout"),
    "runbook_url": maybe("https://wiki.example.com/checkout", "The runbook that the alert rule links to."),
    "count": 3,
    "service": maybe("checkout"),
    "severity": maybe("P1"),
    "decision": Of("open", "open, suggest, record or silenced.", maybe=True),
    "why": maybe("The runbook “Checkout returns too many errors” is armed and matches."),
    "silence": maybe(3, "The silence that mutes it."),
    "runbook": maybe("checkout-error-rate"),
    "starts_at": maybe(AT),
    "last_seen_at": maybe(LATER),
    "resolved_at": maybe(LATER),
}
LISTED_ALERT: dict[str, Any] = {**ALERT, "incident": maybe("INC-042")}
CHANGE: dict[str, Any] = {
    "id": 5,
    "kind": "deploy",
    "service": "checkout",
    "version": "v42",
    "at": AT,
    "by": "cy",
    "commit": "9f2c1ab",
    "link": "https://ci.example.com/42",
    "source": "deploys/github",
    "minutes_before": maybe(22),
    "said": "deploy v42 to checkout 22 min before",
    "suspect": True,
}
STEP: dict[str, Any] = {
    "n": 3,
    "phase": one_of("contain", "confirm", "diagnose", "fix", "verify"),
    "lever": maybe("flag_off"),
    "rank": maybe("1"),
    "text": "Switch the flag checkout_v2 off",
    "command": maybe("flags off checkout_v2"),
    "needs": Of(["FLAGS_URL"], "Variables of the command, to be set first."),
    "expect": maybe("The error ratio falls below 2 % within 5 minutes."),
    "on_fail": maybe("next"),
    "state": Of("waiting", "waiting, done, failed, skipped, or replaced by another runbook's."),
    "actual": maybe("2 % after 4 minutes"),
    "by": maybe("Ada"),
    "ended_at": maybe(LATER),
    "waits": Of("", "What it waits for; empty where it may be done now."),
    "verdict": maybe("pull"),
    "condition": maybe("a deploy finished in the 30 minutes before"),
    "reason": maybe("The flag is safe to switch"),
    "cost": maybe("Guest orders, about a third"),
}
ATTEMPT: dict[str, Any] = {
    "kind": one_of("page", "tell"),
    "at": maybe(AT),
    "outcome": maybe("yes"),
    "channel": maybe("phone"),
    "detail": maybe("accepted by the provider"),
}
ASKED_PERSON: dict[str, Any] = {
    **ADA,
    "asked_as": maybe("page"),
    "sent_at": maybe(AT),
    "delivered_at": maybe(AT),
    "heard_at": maybe(LATER),
    "missed_at": maybe(LATER),
    "evidence": maybe("acknowledge"),
    "by_channel": maybe("link"),
    "ended": maybe("acknowledged"),
    "attempts": [ATTEMPT],
}
AUDIENCE: dict[str, Any] = {
    "audience": "oncall",
    "label": "On-call",
    "how": one_of("page", "tell", "digest"),
    "everyone": False,
    "due_at": maybe("2026-01-05T14:35:00.000Z"),
    "heard_at": maybe(LATER),
    "on_time": maybe(True),
    "state": "heard",
    "updates": Of("", "What the verb `updates` sends to it now: draft, further, or nothing where it is empty."),
    "told_at": maybe(LATER, "When a draft or a further update left for it last."),
    "people": [ASKED_PERSON],
}
DEADLINE: dict[str, Any] = {
    "kind": "deadline",
    "what": "leadership must have heard",
    "due_at": "2026-01-05T14:45:00.000Z",
    "overdue": Of(False, "Whether it should have happened by now: the engine is late with it."),
}
RELATED: dict[str, Any] = {"id": "INC-041", "title": "The database is down"}
EARLIER: dict[str, Any] = {
    "id": "INC-017",
    "title": "Checkout returns too many errors",
    "ended_at": maybe(AT, "Null while it is live again."),
    "how": maybe("stood_down", "Stood_down, or the reason of its closing."),
    "recurs": Of(True, "Whether this incident recurs from it."),
    "worked": Of([{"n": 3, "phase": "contain", "text": "Switch the flag checkout_v2 off"}], "Steps marked as done."),
}
LINKS: dict[str, Any] = {
    "self": "/api/v1/incidents/INC-042",
    "timeline": "/api/v1/incidents/INC-042/timeline",
    "pages": "/api/v1/incidents/INC-042/pages",
    "console": "/i/INC-042",
}
INCIDENT: dict[str, Any] = {
    **OUTLINE,
    "summary": maybe("Since 14:30"),
    "delivery": maybe(
        17, "Of an incident about deliveries that could not be read: the newest of them, `GET /inbox/{id}`."
    ),
    "runbook": maybe(
        {
            "name": "checkout-error-rate",
            "title": maybe("Checkout returns too many errors"),
            "digest": maybe("c0ffee"),
            "url": maybe("/runbooks/checkout-error-rate"),
        }
    ),
    "roles": free({"commander": {**ADA, "label": "Commander"}}, "Hat → who wears it."),
    "offers": [{"role": "commander", "label": "Commander", "person": ADA, "by": "Ben"}],
    "warnings": ["Ada wears every hat of a P1."],
    "impact": {
        "affected": "Customers in Europe",
        "said_at": maybe(AT, "When that was said last, where no alert that fires says it now."),
        "service": maybe("checkout"),
        "answers": free({"scope": "many", "workaround": "no", "revenue": "yes"}, "What people answered about it."),
        "proposed": maybe(
            {
                "severity": "P0",
                "reason": "Many are affected, there is no way around it, it is on the revenue path.",
                "certain": True,
            },
            "The severity that the answers propose; `certain` once all three are given.",
        ),
    },
    "alerts": [Named("Alert")],
    "changes": [Named("Change")],
    "steps": [Named("Step")],
    "levers": [{"rank": maybe("1"), "lever": "flag_off", "state": "waiting", "why": "", "n": 3}],
    "hearing": [Named("Audience")],
    "part_of": maybe({**RELATED, "waits": True}),
    "parts": [RELATED],
    "before": [EARLIER],
    "merged_into": maybe("INC-041"),
    "proposal": maybe('- {when: [alertname="NightlyBackup"], decide: record}', "What a false alarm proposes."),
    "header": {
        "what": "Checkout returns too many errors",
        "customers": "Customers in Europe",
        "customers_said_at": maybe(AT, "When that was said last, where no alert that fires says it now."),
        "who_has_it": "Ada has it since 14:39 UTC",
        "taken_via": Of("link", "By which link or app they took it; empty once they did something in Firedoor itself."),
        "since": maybe(AT),
        "who_knows": ["On-call"],
    },
    "next": {
        "action": "Switch the flag checkout_v2 off",
        "why": "Contain before you diagnose.",
        "verb": maybe("step"),
        "step": maybe(3),
        "paged": maybe({"who": "Ben", "at": AT}, "Who is paged next if nobody acknowledges, and when."),
    },
    "deadlines": [DEADLINE],
    "verbs": free({"contain": {"allowed": True, "why": ""}}, "Verb → whether it makes sense now, and why not."),
    "links": LINKS,
}
SILENCE: dict[str, Any] = {
    "id": 3,
    "state": one_of("live", "planned", "ended", "lifted"),
    "matchers": [Of('service="checkout"', "A condition, or a list of which any holds.", also=("array",))],
    "starts_at": AT,
    "ends_at": "2026-01-05T16:30:00.000Z",
    "author": ADA,
    "reason": "The database moves",
    "teams": [Of("payments", "Whose alerts it mutes alone; none: everybody's.")],
    "recurring": False,
    "lifted_at": maybe(LATER),
    "lifted_by": maybe(ADA),
    "muted": Of(4, "Firings that woke nobody because of it."),
    "firing": Of(1, "Alerts that it mutes and that fire now."),
    "links": {"self": "/api/v1/silences/3", "console": "/silences/3"},
}
WINDOW: dict[str, Any] = {
    "matchers": [Of('service="checkout"', "A condition, or a list of which any holds.", also=("array",))],
    "schedule": "Sun 02:00",
    "tz": "Europe/Vienna",
    "for": "2 h",
    "reason": "Maintenance",
    "owner": ADA,
    "next_at": maybe(AT),
}
REPORT: dict[str, Any] = {
    "since": AT,
    "until": LATER,
    "name": "source:datadog",
    "in_shadow": ["source:datadog"],
    "opened": [free({"id": "INC-043", "severity": "P2", "title": "Disk fills", "pages": []})],
    "people": [free({**ADA, "tz": "Europe/Vienna", "pages": 2, "by_day": 1, "if_unanswered": 1, "nights": []})],
    "switches": [
        {"name": "source:datadog", "to": "live", "at": "2026-01-05T14:30:00Z", "by": "ada", "policy": "c0ffee"}
    ],
    "cut": Of(False, "There were more incidents; the oldest are left out."),
}
READ: dict[str, Any] = {"version": 5, "status": maybe("active"), "severity": maybe("P1"), "taken_by": maybe(ADA)}
PROBLEM: dict[str, Any] = {
    "type": Of("urn:firedoor:problem:contain.contained", "A name for the code; there is nothing to fetch."),
    "title": "Conflict",
    "status": 409,
    "code": Of("contain.contained", "For programs; it stays."),
    "detail": Of(
        "It is contained already. Nothing was changed.", "What happened, what was not done, and what to do, for people."
    ),
    "errors": Of(
        [{"field": "severity", "detail": "is missing"}], "Every field that is missing or wrong.", left_out=True
    ),
    "incident": Of(Named("Incident"), "Of a version conflict: the incident as it is now.", left_out=True),
    "yours": Of(
        {**READ, "verb": "severity", "fields": free({"severity": "P2"})},
        "Of a version conflict: what you had read, and what you asked for.", left_out=True,
    ),
    "theirs": Of({**READ, "version": 7}, "Of a version conflict: what stands now.", left_out=True),
    "since": Of([Named("Entry")], "Of a version conflict: who did what since you read it.", left_out=True),
}  # fmt: skip
ENTRY: dict[str, Any] = {
    "id": 123,
    "at": AT,
    "entered_at": AT,
    "kind": "acknowledged",
    "actor": "ada",
    "hat": maybe("commander"),
    "source": Of(
        "console", "By which way in: console, api, cli, link, slack, pagerduty, a channel's name; alert, job."
    ),
    "text": "Ada has it. Escalation has stopped.",
    "supersedes": maybe(120, "The entry that this one takes back."),
    "undo": Of(False, "Whether it can be taken back."),
    "delivery": maybe(17, "The delivery that it tells of, where that could not be read: `GET /inbox/{id}`."),
}
OWED: dict[str, Any] = {
    "after": "at once",
    "at": maybe(AT),
    "kind": one_of("page", "tell", "digest"),
    "person": "ada",
    "name": "Ada",
    "audiences": ["oncall"],
    "channel": "phone",
    "why": "first",
}
SIMULATED: dict[str, Any] = {
    "alert": {"title": "12 % of checkouts fail", "status": "firing", "labels": free(LABELS)},
    "decision": "open",
    "opens": True,
    "why": "The runbook “Checkout returns too many errors” is armed and matches.",
    "silenced_until": maybe(LATER),
    "wait": "60s",
    "severity": maybe("P1"),
    "service": maybe("checkout"),
    "team": "payments",
    "claimed": True,
    "mode": one_of("live", "shadow"),
    "group_key": '["runbook","checkout-error-rate"]',
    "runbook": maybe({"name": "checkout-error-rate", "title": "Checkout returns too many errors"}),
    "runbooks": [{"name": "checkout-error-rate", "matched": True, "why": "all of `when` holds"}],
    "hears": [OWED],
    "escalation": [{"after": "5m", "role": "tech_lead", "people": ["Cy"], "everyone": False}],
    "steps": [{"n": 1, "phase": "contain", "lever": maybe("flag_off"), "text": "Switch the flag off"}],
    "message": Of({}, "The facts that the page would be written from.", maybe=True, free=True),
}

SHAPES: dict[str, Any] = {
    "Alert": ALERT,
    "Change": CHANGE,
    "Step": STEP,
    "Audience": AUDIENCE,
    "Entry": ENTRY,
    "Incident": INCIDENT,
    "Done": {**INCIDENT, "said": SAID},
    "IncidentInList": {**OUTLINE, "deadline": maybe(DEADLINE), "links": {"console": "/i/INC-042"}},
    "IncidentList": page_of("IncidentInList"),
    "ListedAlert": LISTED_ALERT,
    "AlertList": page_of("ListedAlert", "1767623400000000-17"),
    "OneAlert": {
        **LISTED_ALERT,
        "can_open": True,
        "delivery": maybe(17, "The delivery that named it last: `GET /inbox/{id}`, until it is deleted."),
    },
    "Timeline": page_of("Entry", 123),
    "Page": {
        "id": 9,
        "person": maybe("ada"),
        "kind": one_of("page", "tell", "stand_down_broadcast"),
        "round": 1,
        "why": maybe("first"),
        "due_at": AT,
        "state": one_of("kept", "due", "claimed", "failed", "cancelled", "superseded", "parked"),
        "held": False,
        "outcome": maybe("yes"),
        "attempts": [
            {
                "started_at": AT,
                "ended_at": maybe(AT),
                "outcome": maybe("yes"),
                "channel": maybe("phone"),
                "detail": maybe("accepted by the provider"),
            }
        ],
    },
    "Pages": {"items": [Named("Page")]},
    "ListedSilence": SILENCE,
    "Silence": {**SILENCE, "alerts": [Named("ListedAlert")]},
    "SilenceDone": {**SILENCE, "alerts": [Named("ListedAlert")], "said": "Silence 3 mutes what matches for 2 h."},
    "SilenceList": {**page_of("ListedSilence"), "windows": [WINDOW]},
    "Proposals": {
        "items": [
            {
                "rule": Of('- {when: [alertname="NightlyBackup"], decide: record}', "A line for `open` in the policy."),
                "incidents": ["INC-040"],
                "reasons": ["The nightly backup always does that"],
                "runbook": maybe("nightly-backup"),
            }
        ]
    },
    "Delivery": {
        "id": 17,
        "source": "alertmanager",
        "received_at": AT,
        "state": one_of("unreadable", "ignored"),
        "why": "The body has no list `alerts`.",
        "bytes": 212,
    },
    "Deliveries": page_of("Delivery"),
    "OneDelivery": {
        "id": 17,
        "source": "alertmanager",
        "received_at": AT,
        "state": one_of("unreadable", "ignored", "new", "taken"),
        "why": Of("The body has no list `alerts`.", "Why it was not taken in; empty where it was, or waits."),
        "attempts": Of(1, "How often taking it in was tried."),
        "bytes": Of(23, "Of the whole body."),
        "body": Of(
            '{\n  "receiver": "firedoor"\n}',
            "The first 16 KiB, for reading and not byte for byte: JSON is laid out, and bytes that are not UTF-8 "
            "(`\\xff`) and characters that can't be seen (`\\x1b`, `\\u202e`) are written as escapes.",
        ),
        "cut": Of(False, "Whether the body is longer than what is shown."),
        "laid_out": Of(True, "Whether it is JSON, and the white space between its parts is ours."),
        "escaped": Of(0, "How many bytes and characters are written as escapes."),
        "can_replay": Of(True, "Whether it may be taken in once more."),
        "links": {"self": "/api/v1/inbox/17", "console": "/inbox/17"},
    },
    "Simulation": {"alerts": [SIMULATED]},
    "Resumed": {"said": "Hold mode is over. 3 promises go on; 2 open incidents are told so."},
    "ShadowReport": REPORT,
    "GoingLive": {
        "name": "source:datadog",
        "report": Named("ShadowReport"),
        "edit": {"under": "sources: datadog:", "from": "mode: shadow", "to": "mode: live"},
        "still": ["team:data"],
        "said": "Nothing is live yet. In the policy, change `mode: shadow` to `mode: live`.",
    },
    "Replayed": {"id": 17, "state": "new", "said": "Delivery 17 is taken in once more."},
    "Problem": PROBLEM,
}
