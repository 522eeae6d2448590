"""The JSON API as one table: every route, its fields and an example; api.py serves it, openapi.py describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from incidents import permissions
from incidents.permissions import NEEDS


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body or of a query string."""

    name: str
    about: str
    required: bool = False
    kind: str = "string"  # string, integer, array (of texts), numbers (an array of integers); JSON Schema's words
    one_of: tuple[str, ...] = ()
    longest: int = 10_000
    form: str = ""  # JSON Schema's format, such as date-time
    pattern: str = ""
    example: Any = ""  # of a query; a body's stands with its route


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str  # under /api/v1, in OpenAPI's spelling
    name: str  # the view's name, and the operationId
    summary: str
    answer: str  # the schema's name
    verb: str | None = None  # the verb of the one door that it performs
    fields: tuple[Field, ...] = ()
    query: tuple[Field, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    raw: bool = False  # the body is somebody else's payload, taken as it is
    needs: str = permissions.VIEWER  # the role; whoever acts for some teams is asked for the team by the verb itself

    @property
    def versioned(self) -> bool:
        return self.verb is not None and "{name}" in self.path

    def rule(self) -> str:
        """The path as Flask spells it."""
        rule = self.path.replace("{name}", "<name>")
        for number in ("{n}", "{id}"):
            rule = rule.replace(number, f"<int:{number[1:-1]}>")
        return rule


def verb(path: str, name: str, summary: str, *fields: Field, example: Mapping[str, Any] | None = None) -> Route:
    if NOTE not in fields and name != "note":
        fields = (*fields, NOTE)
    return Route(
        "POST", f"/incidents/{{name}}/{path}", name, summary, "Done", verb=name, fields=fields, example=example or {},
        needs=permissions.RESPONDER,
    )  # fmt: skip


REASON = Field("reason", "Why, in one sentence; it goes into the timeline.", longest=2_000)
NOTE = Field("note", "A sentence for the timeline.")
SEVERITY = Field("severity", "A severity of the policy, such as P1.", required=True, longest=40)
STATUSES = ("open", "ended", "active", "contained", "resolved", "stood_down", "closed")
LIMIT = Field("limit", "How many items at most, 1 to 200; 50 unless told.", kind="integer", example=20)
CURSOR = Field("cursor", "`next` of the page before.", pattern=r"[0-9]{1,17}", example="41")
CURSOR_OF_INCIDENTS = replace(CURSOR, pattern=r"[0-9]{1,17}(-[A-Za-z0-9_]{1,40})?")  # of the worst first: id-severity
CURSOR_OF_ALERTS = replace(CURSOR, pattern=r"[0-9]{1,17}-[0-9]{1,17}", example="1767623400000000-17")
VERSION = Field("version", "The version you read; 409 if somebody changed the incident since.", kind="integer")
HOW_FAR_BACK = Field(
    "since", "How far back, such as 36h; 7d unless told.", pattern=r"([0-9]{1,4}[mh]|[0-9]{1,3}d)", longest=10
)
ABOUT_INCIDENTS = (
    Field("severity", "Only this severity.", longest=200, example="P1"),
    Field("service", "Only this service.", longest=200, example="checkout"),
    Field("team", "Only this team.", longest=200, example="payments"),
    Field("q", "Words in the title, or a part of the name.", longest=200, example="checkout"),
    Field("since", "Declared at or after this time.", form="date-time", longest=40, example="2026-01-05T14:30:00Z"),
    Field("until", "Declared before this time.", form="date-time", longest=40, example="2026-01-06T00:00:00Z"),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/incidents",
        "incidents",
        "List incidents, the newest first",
        "IncidentList",
        query=(
            Field("status", "Only this status; or `open` (the worst first), or `ended`.", one_of=STATUSES),
            Field("mode", "`live` unless told; `shadow` or `all`.", one_of=("live", "shadow", "all")),
            *ABOUT_INCIDENTS,
            LIMIT,
            CURSOR_OF_INCIDENTS,
        ),
    ),
    Route(
        "POST",
        "/incidents",
        "declare",
        "Declare an incident",
        "Done",
        verb="declare",
        status=201,
        fields=(
            Field("title", "What is broken, in one line.", required=True, longest=200),
            SEVERITY,
            Field("service", "A service of the policy.", longest=200),
            Field("summary", "What is known so far."),
        ),
        example={"title": "Card payments fail", "service": "checkout", "severity": "P1", "summary": "Since 14:30"},
        needs=NEEDS["declare"],
    ),
    Route("GET", "/incidents/{name}", "incident", "Read one incident; its ETag is its version", "Incident"),
    verb("acknowledge", "acknowledge", "I have it: escalation stops, the incident goes on", example={"note": "On it"}),
    verb("seen", "seen", "I have read the page; somebody else has it", example={"note": "Ben has it"}),
    verb(
        "decline",
        "decline",
        "I can't take it: the next person is paged at once",
        REASON,
        example={"reason": "On a train"},
    ),
    verb(
        "escalate",
        "escalate",
        "Page the next step of the escalation path now",
        REASON,
        example={"reason": "No idea what this is"},
    ),
    verb(
        "notes",
        "note",
        "Write a note into the timeline",
        Field("text", "The note; `14:42 text` and `/finding text` are read.", required=True),
        Field("at", "When it was, if not now.", longest=40, form="date-time"),
        Field("zone", "The zone of a time in the text; the organisation's unless told.", longest=60),
        example={"text": "14:42 /finding The pool is full"},
    ),
    verb(
        "impact",
        "impact",
        "Answer how bad it is; the answers propose a severity",
        Field("scope", "How many are affected.", one_of=("all", "many", "few")),
        Field("workaround", "Whether there is a way around it.", one_of=("no", "yes")),
        Field("revenue", "Whether it is on the revenue path.", one_of=("yes", "no")),
        example={"scope": "many", "workaround": "no", "revenue": "yes"},
    ),
    verb("contain", "contain", "The harm has stopped", NOTE, example={"note": "checkout_v2 is off"}),
    verb("resolve", "resolve", "The cause is fixed", example={"note": "4.2 is out"}),
    verb(
        "reopen",
        "reopen",
        "It is back: a new round begins, and people are paged afresh",
        REASON,
        example={"reason": "It is back"},
    ),
    verb(
        "severity",
        "severity",
        "Set the severity",
        SEVERITY,
        REASON,
        example={"severity": "P0", "reason": "All customers"},
    ),
    verb(
        "roles",
        "role",
        "Take a hat, give one that nobody wears, or offer one that somebody wears",
        Field("role", "The hat.", required=True, one_of=("commander", "communicator", "investigator")),
        Field("person", "A person of the policy; yourself unless told.", longest=200),
        example={"role": "commander", "person": "ada"},
    ),
    verb(
        "updates",
        "updates",
        "Send the waiting drafts now to those who must be told",
        Field("audience", "A role that must hear; all of them unless told.", longest=200),
        example={"audience": "leadership"},
    ),
    verb(
        "override",
        "override",
        "Diagnose before containing; the reason stays on the record",
        Field("reason", "Why, in one sentence; it goes into the timeline.", required=True, longest=2_000),
        example={"reason": "Every lever would make it worse"},
    ),
    verb(
        "stand-down",
        "stand_down",
        "The response is over: people may go, and are told so",
        example={"note": "Thank you all"},
    ),
    verb(
        "accept",
        "accept",
        "Accept a hat that is offered to you",
        Field(
            "role", "The hat; whichever is offered unless told.", one_of=("commander", "communicator", "investigator")
        ),
        example={"role": "commander"},
    ),
    verb(
        "merge",
        "merge",
        "Merge it into another: its alerts move, and everyone who was asked is told",
        Field("into", "The incident that it is part of.", required=True, longest=200),
        REASON,
        example={"into": "INC-041", "reason": "The same database"},
    ),
    verb("separate", "separate", "It is no part of the other one: its own escalation begins now"),
    verb(
        "split",
        "split",
        "Split alerts off into an incident of their own",
        Field("alerts", "The numbers of the alerts.", required=True, kind="numbers"),
        REASON,
        example={"alerts": [17, 18], "reason": "Another disk"},
    ),
    verb(
        "runbook",
        "runbook",
        "Follow another runbook: the steps not yet done are replaced",
        Field("runbook", "Its name in the library.", required=True, longest=200),
        REASON,
        example={"runbook": "database-connection-failure"},
    ),
    verb(
        "false-alarm",
        "false_alarm",
        "Close what was no incident; the reason proposes a rule for the policy",
        Field("reason", "Why, in one sentence.", required=True, longest=2_000),
        example={"reason": "The nightly backup always does that"},
    ),
    verb(
        "undo",
        "undo",
        "Take back a merge, a separation, a split, another runbook or a false alarm",
        Field("entry", "The number of the timeline's entry.", required=True, kind="integer"),
        example={"entry": 123},
    ),
    verb(
        "steps/{n}",
        "step",
        "Write down what became of a step",
        Field("outcome", "What became of it.", required=True, one_of=("done", "failed", "skipped")),
        REASON,
        example={"outcome": "skipped", "reason": "There is no replica"},
    ),
    Route(
        "GET",
        "/incidents/{name}/timeline",
        "timeline",
        "Read what happened, the oldest first",
        "Timeline",
        query=(
            Field("after", "Only entries after this id.", kind="integer"),
            Field("limit", "How many entries at most, 1 to 200.", kind="integer"),
        ),
    ),
    Route("GET", "/incidents/{name}/pages", "pages", "Read who was paged, how, and what became of it", "Pages"),
    Route("GET", "/proposals", "proposals", "Read the rules for `open` that false alarms propose", "Proposals"),
    Route(
        "GET",
        "/alerts",
        "alerts",
        "List alerts, the last heard first",
        "AlertList",
        query=(
            Field("decision", "Only alerts that were decided so.", one_of=("open", "suggest", "record", "silenced")),
            Field("status", "Only this status.", one_of=("firing", "resolved")),
            Field("source", "Only this source.", longest=200, example="alertmanager"),
            Field("severity", "Only what was mapped to this severity.", longest=200, example="P1"),
            Field("service", "Only this service.", longest=200, example="checkout"),
            Field("team", "Only the services of this team.", longest=200, example="payments"),
            Field("q", "Words in the title.", longest=200, example="disk"),
            Field("since", "Last heard at or after this time.", form="date-time", longest=40),
            Field("until", "Last heard before this time.", form="date-time", longest=40),
            LIMIT,
            CURSOR_OF_ALERTS,
        ),
    ),
    Route("GET", "/alerts/{id}", "alert", "Read one alert: what was decided, and why", "OneAlert"),
    Route(
        "POST",
        "/alerts/{id}/open",
        "open_alert",
        "Open an incident from a suggested alert",
        "Done",
        verb="open_alert",
        status=201,
        fields=(Field("severity", "A severity of the policy; the draft's or the mapping's unless told.", longest=40),),
        example={"severity": "P2"},
        needs=NEEDS["open_alert"],
    ),
    Route(
        "GET",
        "/silences",
        "silences",
        "List silences, the newest first, and the policy's maintenance windows",
        "SilenceList",
        query=(
            Field(
                "state",
                "Only what is `live`, `planned` (begins later), `current` (both), or `ended`.",
                one_of=("live", "planned", "current", "ended"),
            ),
            LIMIT,
            CURSOR,
        ),
    ),
    Route(
        "POST",
        "/silences",
        "silence",
        "Mute what meets all the matchers, from now on or later; it is recorded all the same",
        "SilenceDone",
        verb="silence",
        status=201,
        fields=(
            Field("matchers", "Conditions as in runbooks; all must hold.", required=True, kind="array", longest=2_000),
            Field("for", "How long, such as 2h; 30 days at most.", required=True, longest=40),
            Field("reason", "Why, in one sentence.", required=True, longest=500),
            Field("starts_at", "When it begins, within 90 days; now unless told.", form="date-time", longest=40),
        ),
        example={"matchers": ['service="checkout"', 'env="prod"'], "for": "2h", "reason": "The database moves"},
        needs=NEEDS["silence"],
    ),
    Route("GET", "/silences/{id}", "silence_facts", "Read one silence, and the alerts that it muted", "Silence"),
    Route(
        "POST",
        "/silences/{id}/lift",
        "lift_silence",
        "End a silence now: what it muted and still fires is decided anew",
        "SilenceDone",
        needs=NEEDS["lift_silence"],
        verb="lift_silence",
    ),
    Route(
        "GET",
        "/shadow/report",
        "shadow_report",
        "Read what shadow would have done: what opened, and who would have been paged when",
        "ShadowReport",
        query=(HOW_FAR_BACK, Field("name", "Only this source, team or service.", longest=200)),
    ),
    Route(
        "POST",
        "/resume",
        "resume",
        "End hold mode, after an old copy of the database was put back",
        "Resumed",
        verb="resume",
        fields=(Field("reason", "What you looked at, in one sentence.", required=True, longest=500),),
        example={"reason": "All three open incidents were over, and are resolved"},
        needs=NEEDS["resume"],
    ),
    Route(
        "POST",
        "/shadow/golive",
        "golive",
        "Read the report of a source, team or service, and the line of the policy that turns it live",
        "GoingLive",
        verb="golive",
        fields=(Field("name", "A source, team or service in shadow.", required=True, longest=200), HOW_FAR_BACK),
        example={"name": "source:datadog"},
        needs=NEEDS["golive"],
    ),
    Route(
        "POST",
        "/simulate",
        "simulate",
        "Say what a sender's payload would do; nothing is stored and nobody is paged",
        "Simulation",
        query=(Field("source", "A source of the policy; alertmanager unless told.", longest=200),),
        raw=True,
        example={
            "version": "4",
            "status": "firing",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "CheckoutErrors", "service": "checkout", "severity": "critical"},
                    "annotations": {"summary": "12 % of checkouts fail"},
                    "startsAt": "2026-01-05T14:30:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "fingerprint": "4f2a1c9b7d3e6a80",
                }
            ],
        },
    ),
    Route(
        "GET",
        "/inbox",
        "inbox",
        "List the deliveries that were not taken in, the newest first, each with why",
        "Deliveries",
        query=(LIMIT, CURSOR),
    ),
    Route(
        "POST",
        "/inbox/{id}/replay",
        "replay",
        "Take an unreadable delivery in once more, from its stored bytes",
        "Replayed",
        verb="replay",
        status=202,
        needs=NEEDS["replay"],
    ),
)
