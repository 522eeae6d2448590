"""The keys of the policy file: what may stand where, and what holds when it is left out."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from incidents.calendar import Zone
from incidents.mapping import Mapping
from incidents.policyvalues import (
    Choosing,
    Deadline,
    Hours,
    IdFormat,
    People,
    Percent,
    Span,
    Weekly,
    When,
    silence_span,
)
from incidents.units import NotAccepted, Whole, YesNo

Mode = Literal["live", "shadow"]
LIVE_MODE: Final = "live"
SHADOW: Final = "shadow"
Decide = Literal["open", "suggest", "record"]
Purpose = Literal["page", "tell"]
SOURCE_KINDS = Literal[
    "alertmanager",
    "sentry",
    "generic",
    "grafana",
    "datadog",
    "uptime_kuma",
    "pagerduty",
    "cloudevents",
    "sns",
    "deploys",
    "heartbeat",
]
Labels = str | dict[str, str]
DEPLOYS = "deploys"
PIPELINES = ("generic", "github", "gitlab", "argocd")  # that may post to /hooks/deploys/…
PROFILES = ("nwire", "alios", "words")


class Key(BaseModel):
    """One map of the policy: frozen, and nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Organisation(Key):
    name: str = Field(default="", description="The organisation's name, for pages and exports.")
    tz: Zone = Field(default="UTC", description="The time zone that people read where they have none of their own.")
    id_format: IdFormat = Field(
        default="INC-{seq:03d}", description="How incidents are named: `{seq}` and, if wanted, `{year}`."
    )
    severity_labels: Labels = Field(default="nwire", description="How severities are shown (a later release).")
    status_labels: Labels = Field(default="nwire", description="How states are shown (a later release).")
    role_labels: Labels = Field(default="nwire", description="How roles are shown: a profile or a map.")

    @model_validator(mode="after")
    def _profiles(self) -> Organisation:
        for labels in (self.severity_labels, self.status_labels, self.role_labels):
            if isinstance(labels, str) and labels not in PROFILES:
                raise NotAccepted(f"{labels!r} is not a profile", f"{', '.join(PROFILES)}, or a map")
        return self


class Hears(Key):
    who: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="Roles; each is an audience of its own.")
    within: Span | None = Field(default=None, description="Minutes in which somebody of it must have heard.")
    at: Literal["next_standup", "next_sync"] | None = Field(
        default=None, description="A time of the calendar instead, as a digest."
    )
    how: Literal["page", "tell", "digest"] = Field(default="tell", description="`page` wants an answer.")
    everyone: YesNo = Field(default=False, description="Whether each person of it must have heard.")

    @model_validator(mode="after")
    def _when(self) -> Hears:
        if (self.within is None) == (self.at is None):
            said = "both `within` and `at`" if self.within is not None else "neither `within` nor `at`"
            raise NotAccepted(f"{said}", "one of them, within: 5m or at: next_standup")
        if self.at is not None and self.how == "page":
            raise NotAccepted("nobody is paged at a time of the calendar", "how: digest, or within: 5m")
        if self.within is not None and self.within <= timedelta(0):
            raise NotAccepted("`within` must be longer than 0s", "5m")
        return self


class PostmortemClock(Key):
    draft_within: Deadline | None = Field(default=None, description="When the draft is due after stand-down.")
    complete_within: Deadline | None = Field(default=None, description="When it must be complete.")
    form: Literal["full", "short"] = Field(default="full", description="Which form is asked for.")


class Severity(Key):
    label: str = Field(description="What it means, in a few words.")
    definition: str = Field(default="", description="When to choose it.")
    hears: tuple[Hears, ...] = Field(default=(), description="Who must hear, and by when.")
    acknowledge_within: Span | None = Field(default=None, description="How long an acknowledgement may take.")
    repeat: Span | None = Field(default=None, description="How often an unheard page is sent again (a later release).")
    update_every: Span | None = Field(default=None, description="How often people are owed an update.")
    status_page: Literal["automatic", "manual", "internal_note", "none"] = Field(
        default="none", description="What happens on the status page."
    )
    postmortem: PostmortemClock = Field(default=PostmortemClock(), description="The postmortem's clocks.")
    resolve_after: Span = Field(default=timedelta(minutes=10), description="Clear for this long is resolved.")
    stand_down: Literal["person", "clock"] = Field(default="person", description="Who ends it; `clock` comes later.")


class Contact(Key):
    channel: str = Field(description="A name of `channels`.")
    address: str = Field(default="", description="Where on that channel; `env:NAME` and `file:PATH` are read.")
    wakes: YesNo | None = Field(default=None, description="Whether it wakes somebody; the kind's where left out.")
    for_: tuple[Purpose, ...] = Field(default=("page", "tell"), alias="for", description="What it is used for.")


class Person(Key):
    name: str = Field(default="", description="The name that others read; the id where it is left out.")
    tz: Zone | None = Field(default=None, description="Their time zone; the organisation's where it is left out.")
    contacts: tuple[Contact, ...] = Field(default=(), description="Where to reach them, first choice first.")
    quiet_hours: Hours | None = Field(default=None, description="Hours in which a tell waits (a later release).")
    eligible: tuple[str, ...] = Field(default=(), description="Hats this person may wear (a later release).")


class Team(Key):
    name: str = Field(default="", description="The name that people read; the id where it is left out.")
    mode: Mode = Field(default="live", description="In `shadow` everything happens except sending.")
    roles: dict[str, People] = Field(default_factory=dict, description="Role → people, the first is asked first.")


class Slo(Key):
    objective: Percent = Field(description="The share of good requests that is promised.")
    window: Span = Field(default=timedelta(days=30), description="Over which time.")


class Service(Key):
    name: str = Field(default="", description="The name that people read; the id where it is left out.")
    team: str = Field(default="default", description="The team that owns it.")
    mode: Mode = Field(default="live", description="In `shadow` everything happens except sending.")
    match: When = Field(default=(), description="Conditions that all hold for its alerts; an inner list is any-of.")
    repository: str = Field(default="", description="Where its code is; what is deployed from there changes it.")
    deployed_as: tuple[str, ...] = Field(
        default=(), description="Its other names at GitHub, GitLab and Argo CD: a repository, an application."
    )
    clients: tuple[str, ...] = Field(default=(), description="Who is affected when it breaks (a later release).")
    depends_on: tuple[str, ...] = Field(default=(), description="Services that it needs.")
    revenue_path: YesNo = Field(default=False, description="Whether money stops when it stops.")
    slo: Slo | None = Field(default=None, description="Its objective.")

    def is_deployed_as(self, name: str) -> bool:
        """Whether a deploy of this repository or application changes it. Neither GitHub nor GitLab mind capitals."""
        name = name.lower()
        if name in (known.lower() for known in (*self.deployed_as, self.repository)):
            return True
        address = self.repository.lower().rstrip("/").removesuffix(".git")
        return "/" in name and address.endswith((f"/{name}", f":{name}"))


class Reference(Key):
    env: str | None = Field(default=None, description="The name of an environment variable.")
    file: str | None = Field(default=None, description="The path of a file.")

    @model_validator(mode="before")
    @classmethod
    def _as_contacts_say_it(cls, value: Any) -> Any:
        """`env:NAME` and `file:PATH` mean the same here as in a contact's address."""
        if not isinstance(value, str):
            return value
        where, _, name = value.partition(":")
        if where not in ("env", "file") or not name:
            raise NotAccepted("a secret never stands in the policy itself", "{env: NAME} or {file: PATH}")
        return {where: name}

    @model_validator(mode="after")
    def _one(self) -> Reference:
        if bool(self.env) == bool(self.file):
            raise NotAccepted("a secret stands in one place", "{env: NAME} or {file: PATH}")
        return self

    @property
    def text(self) -> str:
        return f"env:{self.env}" if self.env else f"file:{self.file}"


class Source(Key):
    kind: SOURCE_KINDS = Field(description="Which sender's payload it reads.")
    secret: Reference | None = Field(default=None, description="What the sender proves itself by.")
    mapping: Mapping | None = Field(default=None, description="For `generic`: our field → a path in theirs.")
    severity_from: str = Field(default="severity", description="The label that says how bad it is.")
    mode: Mode = Field(default="live", description="In `shadow` everything happens except sending.")
    url: str | None = Field(default=None, description="Its API, to ask after alerts that went quiet.")
    repeat_interval: Span | None = Field(
        default=None, description="How often it repeats a firing alert; 1h where left out."
    )
    enabled: YesNo = Field(default=True, description="Whether deliveries are taken.")
    environments: tuple[str, ...] = Field(
        default=(), description="For `deploys`: the ones that count, if others than the sender's production do."
    )


class OpenRule(Key):
    when: When = Field(default=(), description="Conditions that all hold; an inner list is any-of.")
    source: str | None = Field(default=None, description="A name of `sources`.")
    severity: tuple[str, ...] = Field(default=(), description="Severities by `severity_map`, any of them.")
    decide: Decide = Field(description="What happens.")
    wait: Span = Field(default=timedelta(0), description="How long its first page waits.")


class SeverityRule(Key):
    when: When = Field(description="Conditions that all hold; an inner list is any-of.")
    severity: str = Field(description="A code of `severities`.")


class HearingRule(Key):
    next_contact_at: Percent = Field(default=0.5, description="Unheard at this share: the person's next contact.")
    next_person_at: Percent = Field(default=0.8, description="Unheard at this share: the next person.")
    fallback: str = Field(default="log", description="The channel that a miss goes to.")
    bundle_from: Annotated[Whole, Field(ge=0)] = Field(
        default=3, description="This many incidents that page a person share one page. 0: never."
    )
    bundle_within: Span = Field(default=timedelta(minutes=5), description="Within this time, of each person.")
    suggestions_every: Span = Field(
        default=timedelta(hours=4), description="At most one message of suggestions to a person in this time."
    )


class PathStep(Key):
    after: Span = Field(description="Time since the round began.")
    page: str = Field(description="The role that is paged.")
    everyone: YesNo = Field(default=False, description="All of it, not its first person.")


class Escalation(Key):
    paths: dict[str, tuple[PathStep, ...]] = Field(default_factory=dict, description="Severity → its steps.")
    again_every: Span = Field(default=timedelta(minutes=10), description="Time from a lap's last step to the next lap.")
    laps: dict[str, Annotated[Whole, Field(ge=1)]] = Field(
        default_factory=dict, description="Severity → how many laps; without it they never end."
    )
    still_on_it: Span = Field(default=timedelta(minutes=30), description="Idle this long while it fires: asked.")
    reopen_window: Span = Field(default=timedelta(minutes=30), description="A firing this soon after its end reopens.")
    self_cleared_after: Span = Field(default=timedelta(minutes=5), description="Clear and untaken this long: closed.")
    cascade_within: Span = Field(
        default=timedelta(minutes=10),
        description="This soon after a live one beside it: probably part of it. 0s: never.",
    )


class Heartbeat(Key):
    every: Span = Field(description="How often it must be heard.")
    grace: Span = Field(default=timedelta(minutes=1), description="How late it may be.")
    severity: str = Field(default="P1", description="A code of `severities`.")
    service: str | None = Field(default=None, description="The service that is silent then.")
    secret: Reference | None = Field(default=None, description="What its job proves itself by, and no other.")
    when: When = Field(default=(), description="Alerts that count as a beat while they fire, like the Watchdog.")


class Silence(Key):
    when: Choosing = Field(description="Conditions that all hold; an inner list is any-of.")
    schedule: Weekly = Field(
        description="When it begins, like `sun 02:00` or `mon-fri 22:30`, in the calendar's time zone."
    )
    for_: Annotated[Span, AfterValidator(silence_span)] = Field(
        alias="for", description="How long it lasts; at most 30 days."
    )
    reason: str = Field(description="Why.")
    owner: str = Field(description="Who answers for it.")


Press = Literal["suggest", "one_press", "automatic"]


class Caps(Key):
    per_hour: Whole | None = Field(default=None, ge=0, description="At most so many pulls an hour.")
    per_day: Whole | None = Field(default=None, ge=0, description="At most so many pulls a day.")


class Lever(Key):
    rank: float = Field(default=2.5, description="Its place on the ladder, lowest first.")
    kind: str = Field(default="manual", description="How it is pulled.")
    mode: Press | dict[str, Press] = Field(default="suggest", description="Who pulls it; also severity → mode.")
    requires: Literal["reversible", "contained"] | None = Field(default=None, description="What must hold first.")
    approvals: Whole = Field(default=1, ge=1, description="How many people must agree.")
    caps: Caps = Field(default=Caps(), description="How often it may be pulled.")
    settings: dict[str, str] = Field(default_factory=dict, description="What its kind needs; secrets as `env:NAME`.")


class Check(Key):
    kind: str = Field(description="How it looks.")
    settings: dict[str, str] = Field(default_factory=dict, description="What its kind needs; secrets as `env:NAME`.")
    expect: str = Field(default="", description="What a good answer is.")
    timeout: Span = Field(default=timedelta(seconds=10), description="How long it may take.")


class Automation(Key):
    enabled: YesNo = Field(default=True, description="`false` stops everything that acts by itself, except paging.")
    confirm_budget: Span = Field(default=timedelta(minutes=2), description="Time for all confirming steps.")
    contain_nag: Span = Field(default=timedelta(minutes=5), description="Nothing contained for this long: asked.")
    contained_hold: Span = Field(default=timedelta(minutes=2), description="How long a contained signal must hold.")
    caps: Caps = Field(default=Caps(), description="How many levers may be pulled in all.")
    lever_test_max_age: Span = Field(default=timedelta(days=30), description="A lever tested longer ago is untested.")


class RoleGate(Key):
    separation: Literal["warn", "strict", "off"] = Field(default="warn", description="One person in several hats.")


class Gates(Key):
    roles: RoleGate = Field(default=RoleGate(), description="Who may wear which hats together.")
    stand_down: tuple[Literal["commander", "status_page_resolved", "timeline_archived", "people_checked"], ...] = Field(
        default=(), description="What must be done before people may go."
    )
    close: tuple[
        Literal[
            "postmortem_complete",
            "structural_action_owned_and_dated",
            "missing_runbook_exists",
            "status_page_resolved",
            "timeline_archived",
        ],
        ...,
    ] = Field(default=(), description="What must be done before it is closed.")


class Postmortem(Key):
    anchor: Literal["stood_down_at", "resolved_at", "closed_at"] = Field(
        default="stood_down_at", description="From when its clocks run."
    )
    short_form_for: tuple[str, ...] = Field(default=(), description="Severities for which the short form will do.")
    chain_levels: tuple[str, ...] = Field(default=(), description="The levels that a why may be answered with.")
    model_update: YesNo = Field(default=True, description="Whether the lesson must be handed on.")


class Kpi(Key):
    mttr_until: Literal["impact_over_at", "fixed_at", "resolved_at", "stood_down_at"] = Field(
        default="impact_over_at", description="Where time to repair ends."
    )
    recurrence_window: Span = Field(default=timedelta(days=90), description="The same kind again within this time.")


class Retention(Key):
    inbox: Span | None = Field(default=None, description="How long raw deliveries are kept; for ever without it.")
    alerts: Span | None = Field(default=None, description="How long alerts without an incident are kept.")
    incidents: Span | None = Field(default=None, description="How long closed incidents are kept.")


class StatusPage(Key):
    url: str = Field(default="", description="Where it is, for links.")
    after_leadership: YesNo = Field(default=True, description="A public post waits until leadership was told.")
    max_hold: Span = Field(default=timedelta(minutes=10), description="And no longer than this.")


class SigninRole(Key):
    email: str | None = Field(default=None, description="An address, or `*@example.com`; it must be verified.")
    group: str | None = Field(default=None, description="A group of the identity provider.")
    role: Literal["viewer", "responder", "operator", "admin"] = Field(description="What they may do.")
    teams: tuple[str, ...] = Field(default=(), description="Whose incidents they may act on; all unless told.")
    person: str | None = Field(default=None, description="Whom they act as; who has that address unless told.")

    @model_validator(mode="after")
    def _one_of_two(self) -> SigninRole:
        if (self.email is None) == (self.group is None):
            raise NotAccepted("a line of `roles` names whom it is for", "exactly one of `email` and `group`")
        return self


class Signin(Key):
    session: Span = Field(default=timedelta(hours=12), description="How long a session lasts that nobody uses.")
    provider: str = Field(default="single sign-on", description="What people call the identity provider.")
    roles: tuple[SigninRole, ...] = Field(
        default=(), description="Who comes in by the identity provider, as what: the first line that fits."
    )
    public_status: YesNo = Field(default=False, description="Whether the status page needs no sign-in.")
