"""The policy in force: read strictly from the shipped file and the organisation's own, and asked for every decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PrivateAttr, SecretStr

from incidents.alerts import HEARTBEAT, clean_line
from incidents.calendar import Calendar
from incidents.channelkeys import Channel
from incidents.conditions import Facts, all_hold
from incidents.errors import Fault, FaultsFound
from incidents.frozenrules import Rules
from incidents.policyfaults import cross_faults
from incidents.policykeys import (
    DEPLOYS,
    LIVE_MODE,
    PIPELINES,
    SHADOW,
    Automation,
    Check,
    Contact,
    Decide,
    Escalation,
    Gates,
    HearingRule,
    Heartbeat,
    Kpi,
    Lever,
    Mode,
    OpenRule,
    Organisation,
    Person,
    Postmortem,
    Purpose,
    Retention,
    Service,
    Severity,
    SeverityRule,
    Signin,
    Silence,
    Source,
    StatusPage,
    Team,
)
from incidents.policymerge import Merged, merged
from incidents.policyvalues import People
from incidents.references import LOG, Lookup, Resolving
from incidents.units import spoken
from incidents.yamlfile import checked, read_yaml

SHIPPED = Path(__file__).with_name("default_policy.yaml")
DEFAULT_TEAM = "default"
SEVERITY = "severity"  # the label that says how bad it is, where its source names no other


class Decision(NamedTuple):
    """What happens to an alert, how long its first page waits, and why in one sentence."""

    decide: Decide
    wait: timedelta
    why: str


class Mapped(NamedTuple):
    """A severity that the labels say, and the place of the rule of `severity_map` that says so, from 1."""

    n: int
    severity: str


class Claim(NamedTuple):
    """The team that answers, and whether the policy gave it the service or it is only the default."""

    team: str
    claimed: bool


class Policy(Rules):
    """Everything of `firedoor.yaml`, over what ships."""

    version: Annotated[int, Field(ge=1, le=1, description="The version of this format.")] = 1
    organisation: Organisation = Field(default=Organisation(), description="Names, labels and the time zone.")
    severities: dict[str, Severity] = Field(description="The table: code → who hears by when; the first is the worst.")
    people: dict[str, Person] = Field(default_factory=dict, description="Id → a person and where to reach them.")
    teams: dict[str, Team] = Field(default_factory=dict, description="Id → a team and who fills its roles.")
    roles: dict[str, People] = Field(default_factory=dict, description="Organisation-wide audiences → people.")
    services: dict[str, Service] = Field(default_factory=dict, description="Id → a service and whose it is.")
    sources: dict[str, Source] = Field(default_factory=dict, description="Name → a sender of alerts.")
    open: tuple[OpenRule, ...] = Field(default=(), description="What happens to an alert: the first rule that fits.")
    severity_map: tuple[SeverityRule, ...] = Field(default=(), description="Severity from labels: the first that fits.")
    channels: dict[str, Channel] = Field(default_factory=dict, description="Name → a way to reach people.")
    hearing: HearingRule = Field(default=HearingRule(), description="What happens while somebody has not heard.")
    escalation: Escalation = Field(default=Escalation(), description="Who else is paged until somebody takes it.")
    heartbeats: dict[str, Heartbeat] = Field(default_factory=dict, description="Name → a signal that must keep coming.")
    silences: tuple[Silence, ...] = Field(default=(), description="Recurring quiet.")
    levers: dict[str, Lever] = Field(default_factory=dict, description="Name → a prepared act that limits harm.")
    checks: dict[str, Check] = Field(default_factory=dict, description="Name → a question with a good answer.")
    automation: Automation = Field(default=Automation(), description="What may happen by itself.")
    calendar: Calendar = Field(default=Calendar(), description="Meetings, working days and holidays.")
    gates: Gates = Field(default=Gates(), description="What must be done before people go, and before it is closed.")
    postmortem: Postmortem = Field(default=Postmortem(), description="How postmortems are written.")
    kpi: Kpi = Field(default=Kpi(), description="How numbers are counted.")
    retention: Retention = Field(default=Retention(), description="How long things are kept.")
    status_page: StatusPage = Field(default=StatusPage(), description="The public page.")
    signin: Signin = Field(default=Signin(), description="How people sign in.")

    _digest: str = PrivateAttr("")
    _notes: list[str] = PrivateAttr(default_factory=list)
    _secrets: dict[str, list[SecretStr]] = PrivateAttr(default_factory=dict)

    @property
    def digest(self) -> str:
        """The version in force: of the text, never of what its references lead to."""
        return self._digest

    @property
    def notes(self) -> list[str]:
        """What works otherwise than a reader of the file might think, in sentences."""
        return list(self._notes)

    @cached_property
    def roles_known(self) -> set[str]:
        """Every role that somebody defined or must reach, with or without people."""
        paged = {step.page for path in self.escalation.paths.values() for step in path}
        return {role for team in self.teams.values() for role in team.roles} | set(self.roles) | _asked(self) | paged

    @cached_property
    def hooks(self) -> Mapping[str, Source]:
        """Whatever may post to /hooks/, by the rest of its path: senders of alerts, each heartbeat, and the deploys."""
        beats = self.sources.get(HEARTBEAT) or Source(kind="heartbeat")
        deploys = self.sources.get(DEPLOYS) or Source(kind="deploys")
        senders = {name: source for name, source in self.sources.items() if name not in (HEARTBEAT, DEPLOYS)}
        return {
            **senders,
            **{f"{HEARTBEAT}/{name}": beats for name in self.heartbeats},
            **{f"{DEPLOYS}/{pipeline}": deploys for pipeline in PIPELINES},
        }

    def heartbeats_of(self, facts: Facts) -> list[str]:
        """The heartbeats that this alert keeps alive while it fires."""
        return [name for name, one in self.heartbeats.items() if one.when and all_hold(one.when, facts)]

    def service_of(self, facts: Facts) -> str | None:
        """The policy's service that claims the alert; else what its labels call it."""
        for name, service in self.services.items():
            if service.match and all_hold(service.match, facts):
                return name
        labels = facts.labels
        if labels.get("service"):
            return _name(labels["service"])
        if labels.get("cluster") and labels.get("namespace"):
            return _name(f"{labels['cluster']}/{labels['namespace']}")
        return _name(labels.get("job", ""))

    def services_deployed_as(self, name: str) -> list[str]:
        """The services that a deploy of this repository or application changes; one of its own last part where no
        service is known by the name: alerts often say it so."""
        known = [service for service, one in self.services.items() if one.is_deployed_as(name)]
        last = _name(name.rpartition("/")[2])
        return known or ([last] if last else [])

    def team_of(self, service: str | None) -> Claim:
        """The service's team, else the default team."""
        known = self.services.get(service) if service else None
        return Claim(known.team, True) if known else Claim(DEFAULT_TEAM, False)

    def mode_of(self, *, source: str | None, service: str | None, team: str) -> Mode:
        """The strictest wins: one of them in shadow, and nothing leaves."""
        named = (self.sources.get(source or ""), self.services.get(service or ""), self.teams.get(team))
        return SHADOW if any(one is not None and one.mode == SHADOW for one in named) else LIVE_MODE

    def severity_label(self, source: str) -> str:
        """The label in which a source says how bad an alert is."""
        known = self.sources.get(source)
        return known.severity_from if known else SEVERITY

    def mapped_severity(self, facts: Facts) -> str | None:
        """The severity that the labels say; None where no rule of `severity_map` fits."""
        rule = self.severity_rule(facts)
        return rule.severity if rule else None

    def severity_rule(self, facts: Facts) -> Mapped | None:
        """The first rule of `severity_map` that fits, with its place in it; 0 is a missed heartbeat's own severity."""
        if facts.source == HEARTBEAT:
            missed = self.heartbeats.get(facts.labels.get(HEARTBEAT, ""))
            return Mapped(0, missed.severity) if missed else None
        facts = self._named_severity(facts)
        fitting = (Mapped(n, one.severity) for n, one in enumerate(self.severity_map, 1) if all_hold(one.when, facts))
        return next(fitting, None)

    def decision(self, facts: Facts, severity: str | None, *, armed: bool) -> Decision:
        """What happens to an alert: an armed runbook opens at once, else the first rule of `open` that fits."""
        if armed:
            return Decision("open", timedelta(0), "An armed runbook matches: it opens, and pages at once.")
        if facts.source == HEARTBEAT:
            return Decision("open", timedelta(0), "A missed heartbeat opens by itself, and pages at once.")
        if beats := self.heartbeats_of(facts):
            return Decision("record", timedelta(0), f"It is the heartbeat “{beats[0]}”: only its silence opens.")
        facts = self._named_severity(facts)
        for n, rule in enumerate(self.open, 1):
            if (
                (rule.source is None or rule.source == facts.source)
                and (not rule.severity or severity in rule.severity)
                and all_hold(rule.when, facts)
            ):
                if rule.decide == "open" and severity is None:
                    return Decision("suggest", timedelta(0), f"{_because(n, rule, facts, severity)}: {_UNMAPPED}.")
                return Decision(rule.decide, rule.wait, _why(n, rule, facts, severity))
        return Decision("suggest", timedelta(0), "No rule of `open` fits: it is suggested, and a person may open it.")

    def contacts(self, person: str, purpose: Purpose) -> list[Contact]:
        """Where to reach somebody now, first choice first."""
        known = self.people.get(person)
        if known is None:
            return [Contact(channel=LOG)] if LOG in self.channels else []
        return [contact for contact in known.contacts if purpose in contact.for_]

    def channel_settings(self) -> dict[str, Mapping[str, str]]:
        """What each channel that is set up is built from: its `kind` and its settings, secrets in clear."""
        return {
            name: {"kind": channel.kind, **channel.settings}
            for name, channel in self.channels.items()
            if channel.is_ready
        }

    def secrets_of(self, source: str) -> list[bytes]:
        """What a source of the policy may prove itself by: its secret, and while that is replaced the one before."""
        return [one.get_secret_value().encode() for one in self._secrets.get(source, [])]

    def rules(self) -> Mapping[str, Any]:
        """The frozen part as JSON, with its own digest: the same for every incident, so it is made once."""
        return self._rules

    @cached_property
    def _rules(self) -> Mapping[str, Any]:
        # the keys' own serialisers write spans as seconds, and read_rules() reads them back
        frozen = self.model_dump(mode="json", by_alias=True, include=set(Rules.model_fields))
        return {**frozen, "digest": _digest(json.dumps(frozen, sort_keys=True))}

    def _named_severity(self, facts: Facts) -> Facts:
        """With the sender's own word for severity where `severity_map` looks for it."""
        label = self.severity_label(facts.source)
        if label == SEVERITY:
            return facts
        return replace(facts, labels={**facts.labels, SEVERITY: facts.labels.get(label, "")})


def load_policy(text: str | None, file: str, *, lookup: Lookup) -> Policy:
    """The policy of a file over the shipped one; None is the shipped one alone. FaultsFound has all faults."""
    shipped = SHIPPED.read_text(encoding="utf-8")
    both = over_the_shipped(text, file)
    faults: list[Fault] = []
    policy = None
    try:
        policy = checked(Policy, both.document, file=file)
    except FaultsFound as found:
        faults += found.faults
    faults += cross_faults(both, file)
    if faults or policy is None:
        raise FaultsFound(sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line)))
    return _settled(policy, lookup, _digest(f"{shipped}\0{text or ''}"))


def over_the_shipped(text: str | None, file: str) -> Merged:
    """The text of a policy over the shipped one, each part with its place."""
    own = None if text is None else read_yaml(text, file)
    return merged(read_yaml(SHIPPED.read_text(encoding="utf-8"), SHIPPED.name), own)


def _settled(policy: Policy, lookup: Lookup, digest: str) -> Policy:
    """Follow the references, drop what leads nowhere with a note, and name who has no name."""
    resolving = Resolving(lookup)
    channels = {name: resolving.channel(name, channel) for name, channel in policy.channels.items()}
    people = {name: resolving.person(name, person, channels) for name, person in policy.people.items()}
    teams = {name: team if team.name else team.model_copy(update={"name": name}) for name, team in policy.teams.items()}
    secrets = {name: resolving.secrets(f"source {name}", source) for name, source in policy.sources.items()}
    for name, beat in policy.heartbeats.items():
        secrets[f"{HEARTBEAT}/{name}"] = resolving.secrets(f"heartbeat {name}", beat)
    settled = policy.model_copy(update={"channels": channels, "people": people, "teams": teams})
    settled._digest = digest
    settled._notes = resolving.notes + _empty_roles(policy) + _not_yet(policy)
    settled._secrets = {name: secret for name, secret in secrets.items() if secret}
    return settled


def _empty_roles(policy: Policy) -> list[str]:
    """Roles that the severity table asks and nobody fills."""
    asked = _asked(policy)
    places = [(f" of the team {name}", team.roles) for name, team in policy.teams.items()] + [("", policy.roles)]
    defined = {role for _, roles in places for role in roles}
    empty = [f"{role}{where}" for where, roles in places for role in roles if role in asked and not roles[role]]
    return [f"Nobody is in the role {role}: it hears of nothing." for role in sorted({*empty, *asked - defined})]


def _not_yet(policy: Policy) -> list[str]:
    """What the file says and nothing does yet: whoever wrote it must not wait for it."""
    organisation = policy.organisation
    said = [
        *(f"organisation.{name}_labels" for name in ("severity", "status") if _has_own(organisation, name)),
        *(f"severities.{code}.repeat" for code, row in policy.severities.items() if row.repeat),
        *(f"severities.{code}.stand_down" for code, row in policy.severities.items() if row.stand_down == "clock"),
        *(f"people.{name}.quiet_hours" for name, person in policy.people.items() if person.quiet_hours),
        *(f"people.{name}.eligible" for name, person in policy.people.items() if person.eligible),
        *(f"services.{name}.clients" for name, service in policy.services.items() if service.clients),
    ]
    return [f"{name} is read, and does nothing yet: a later release does it." for name in said]


def _has_own(organisation: Organisation, name: str) -> bool:
    return bool(getattr(organisation, f"{name}_labels") != "nwire")


def _asked(policy: Policy) -> set[str]:
    return {role for row in policy.severities.values() for hears in row.hears for role in hears.who}


def _name(label: str) -> str | None:
    """A label as the name of a service: one short line that every database and every subject line can hold."""
    return label or None if label.isprintable() and len(label) <= 200 else clean_line(label) or None


_DONE = {"open": "it opens", "suggest": "it is suggested, and a person may open it", "record": "it is recorded only"}
_UNMAPPED = "it would open, but no rule of `severity_map` fits, so it is suggested"


def _why(n: int, rule: OpenRule, facts: Facts, severity: str | None) -> str:
    wait = f", and pages after {spoken(rule.wait)} unless it clears" if rule.decide == "open" and rule.wait else ""
    return f"{_because(n, rule, facts, severity)}: {_DONE[rule.decide]}{wait}."


def _because(n: int, rule: OpenRule, facts: Facts, severity: str | None) -> str:
    """Which rule decided, so that whoever wants it otherwise knows where to look, and what made it fit."""
    reasons = [_one_why(entry, facts) for entry in rule.when]
    if rule.severity:
        reasons.append(f"the severity is {severity}")
    if rule.source:
        reasons.append(f"it came from {rule.source}")
    return f"Rule {n} of `open` decides ({' and '.join(reasons) or 'no earlier one fits'})"


def _one_why(entry: Any, facts: Facts) -> str:
    held = next(one for one in entry if one.holds(facts)) if isinstance(entry, tuple) else entry
    return str(held.why(facts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
