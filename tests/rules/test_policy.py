"""The policy: what ships, what is merged, what is refused, and what it decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

import pytest

from incidents.conditions import Facts
from incidents.errors import Fault, FaultsFound
from incidents.frozenrules import read_rules
from incidents.policy import Policy, load_policy
from incidents.units import WorkingDays

MAIL = {
    "env:FIREDOOR_SMTP_URL": "smtp://user:hunter2@mail.example.com",
    "env:FIREDOOR_MAIL_TO": "oncall@example.com",
    "env:FIREDOOR_MAIL_FROM": "firedoor@example.com",
}
MINUTE = timedelta(minutes=1)


def load(text: str | None = None, values: Mapping[str, str] = MAIL) -> Policy:
    return load_policy(text, "firedoor.yaml", lookup=values.get)


def faults(text: str) -> list[Fault]:
    with pytest.raises(FaultsFound) as found:
        load(text)
    return found.value.faults


def facts(**labels: str) -> Facts:
    return Facts(source="alertmanager", labels=labels)


def test_the_shipped_policy_is_the_table_of_the_seeds() -> None:
    policy = load()

    p0, p1, p2, p3 = (policy.severities[code] for code in ("P0", "P1", "P2", "P3"))
    assert [(row.who, row.within, row.how) for row in p0.hears] == [
        (("oncall", "tech_lead", "product_owner"), 5 * MINUTE, "page"),
        (("leadership", "affected_clients"), 30 * MINUTE, "tell"),
    ]
    assert p1.hears[2].at == "next_sync"
    assert p2.acknowledge_within == 15 * MINUTE
    assert p3.acknowledge_within is None
    assert p3.resolve_after == 10 * MINUTE
    assert p0.postmortem.complete_within == WorkingDays(5)
    assert [(step.after, step.page, step.everyone) for step in policy.escalation.paths["P2"]] == [
        (15 * MINUTE, "tech_lead", False),
        (30 * MINUTE, "oncall", True),
    ]
    assert policy.escalation.laps == {"P2": 3}


def test_the_shipped_policy_works_without_mail_and_says_so() -> None:
    policy = load(values={})

    assert policy.notes[0].startswith("email is not set up (FIREDOOR_SMTP_URL is empty): ")
    assert policy.notes[0].endswith("its pages are only written to the log channel, which wakes nobody.")
    assert [contact.channel for contact in policy.contacts("me", "page")] == ["log"]
    assert list(policy.channel_settings()) == ["log"]


def test_with_mail_the_first_contact_is_the_mail_address() -> None:
    assert [(one.channel, one.address) for one in load().contacts("me", "page")] == [
        ("email", "oncall@example.com"),
        ("log", ""),
    ]


def test_a_missing_address_drops_that_contact_only() -> None:
    policy = load(values={"env:FIREDOOR_SMTP_URL": "smtp://localhost"})

    assert [contact.channel for contact in policy.contacts("me", "tell")] == ["log"]
    assert any("FIREDOOR_MAIL_TO is empty" in note for note in policy.notes)


def test_a_person_without_a_contact_is_reached_by_the_log_with_a_note() -> None:
    policy = load("people: {ada: {name: Ada}}\nteams: {default: {roles: {oncall: [ada]}}}")

    assert [contact.channel for contact in policy.contacts("ada", "page")] == ["log"]
    assert any("ada has no contact left to page" in note for note in policy.notes)


def test_a_person_whom_the_policy_no_longer_knows_is_reached_by_the_log() -> None:
    assert [contact.channel for contact in load().contacts("gone", "page")] == ["log"]


def test_secrets_are_in_no_text_of_the_policy() -> None:
    policy = load()

    shown = f"{policy!r}{policy}{policy.notes}{policy.digest}{json.dumps(policy.rules())}{policy.model_dump_json()}"

    assert "hunter2" not in shown
    assert policy.channel_settings()["email"]["url"] == MAIL["env:FIREDOOR_SMTP_URL"]


def test_the_digest_is_of_the_text_and_not_of_what_it_refers_to() -> None:
    assert load().digest == load(values={}).digest
    assert load().digest != load("version: 1").digest


def test_one_severity_can_be_changed_and_one_source_added() -> None:
    policy = load("severities: {P3: {label: a scratch}}\nsources: {prometheus: {kind: alertmanager}}")

    assert list(policy.severities) == ["P0", "P1", "P2", "P3"]
    assert policy.severities["P3"].label == "a scratch"
    assert policy.severities["P3"].hears == ()
    assert set(policy.sources) == {"alertmanager", "sentry", "generic", "prometheus"}


def test_one_path_can_be_changed_without_losing_the_others() -> None:
    policy = load("escalation: {paths: {P1: [{after: 2m, page: oncall}]}}")

    assert [step.after for step in policy.escalation.paths["P1"]] == [2 * MINUTE]
    assert len(policy.escalation.paths["P0"]) == 3
    assert policy.escalation.still_on_it == 30 * MINUTE


def test_a_list_replaces_the_shipped_list() -> None:
    assert load("open: [{decide: record}]").decision(facts(), None, armed=False).decide == "record"


def test_an_empty_file_is_the_shipped_policy() -> None:
    assert load("").severities == load().severities


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("organisatoin: {}", 1, "Unknown key `organisatoin`"),
        ("version: 2", 1, "version"),
        ("version: 1\nroles: {leadership: [nobody]}", 2, "`nobody`, who is not in `people`"),
        ("severities:\n  P1:\n    label: x\n    hears:\n      - {who: [pilots], within: 5m}", 5, "role `pilots`"),
        ("severities: {P1: {label: x, hears: [{who: [oncall]}]}}", 1, "neither `within` nor `at`"),
        ("severities: {P1: {label: x, hears: [{who: [oncall], within: 5m, at: next_sync}]}}", 1, "both"),
        ("severities: {P1: {label: x, stand_down: clock}}", 1, "Only people stand down"),
        ("people:\n  me: {contacts: [{channel: pigeon}]}", 2, "`pigeon`, which is not in `channels`"),
        ("services:\n  a: {team: ghosts}", 2, "the team `ghosts`"),
        ("severity_map:\n  - {when: ['x=\"y\"'], severity: P9}", 2, "no severity `P9`"),
        ("severity_map:\n  - {when: ['x=='], severity: P1}", 2, "severity_map"),
        ("escalation:\n  paths:\n    P0: [{after: 5m, page: pilots}]", 3, "pages `pilots`"),
        ("escalation:\n  paths:\n    P0: [{after: 5m, page: oncall}, {after: 5m, page: oncall}]", 3, "do not rise"),
        ("teams: {pay: {roles: {oncall: [me]}}}", 1, "no team `default`"),
        ("channels: {hook: {kind: webhook, url: 'https://example.com'}}", 1, "needs `secret`"),
        ("channels: {log: {kind: log, url: x}}", 1, "has no `url`"),
        ("hearing: {next_contact_at: 50}", 1, "share"),
        ("hearing: {next_contact_at: 90%, next_person_at: 80%}", 1, "before the next contact"),
        ("organisation: {id_format: 'INC-{seq.__class__}'}", 1, "can't name an incident"),
        ("organisation: {tz: Mars/Base}", 1, "not a time zone"),
        ("sources: {x: {kind: alertmanager, secret: {}}}", 1, "one place"),
        ("sources: {x: {kind: alertmanager, secret: hunter2}}", 1, "never stands in the policy"),
    ],
)
def test_a_fault_says_where_and_what(text: str, line: int, what: str) -> None:
    found = faults(text)

    assert [fault.line for fault in found if what in fault.what] == [line], "\n".join(map(str, found))
    assert {fault.file for fault in found} == {"firedoor.yaml"}


# Found by `make fuzz`: the reader of names and times broke where it should have refused.
@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("version: 1\nroles: {leadership: [[ada]]}", "`roles.leadership[0]` must be text."),
        ("version: 1\nroles: {leadership: [{ada: 1}]}", "`roles.leadership[0]` must be text."),
        ("teams:\n  default: {roles: {oncall: [[ada]]}}", "`teams.default.roles.oncall[0]` must be text."),
        (
            "severities:\n  P1: {hears: [{who: [[oncall]], within: 5m}]}",
            "`severities.P1.hears[0].who[0]` must be text.",
        ),
        ("services:\n  shop: {depends_on: [[db]]}", "`services.shop.depends_on[0]` must be text."),
        ("channels:\n  phone: {kind: [webhook]}", "`channels.phone.kind` can't be `['webhook']`."),
        ("version: 1\nhearing: {next_contact_at: ²%, next_person_at: 90%}", "share"),
    ],
)
def test_a_list_or_an_odd_digit_where_a_name_or_a_number_should_be_is_a_fault_of_its_line(text: str, what: str) -> None:
    found = faults(text)

    assert [fault.line for fault in found if what in fault.what] == [2], "\n".join(map(str, found))


@pytest.mark.parametrize("name", ["people", "teams", "roles", "channels", "severities", "services", "sources"])
def test_a_list_where_a_map_should_be_is_a_fault_of_its_line(name: str) -> None:
    found = faults(f"version: 1\n{name}: [one]")

    assert [(fault.file, fault.line) for fault in found if fault.what == f"`{name}` must be a map."] == [
        ("firedoor.yaml", 2)
    ]


def test_all_faults_are_told_at_once() -> None:
    found = faults("organisatoin: {}\nroles: {leadership: [nobody]}\nescalation: {still_on_it: soon}\nseverity_map: 3")

    assert [fault.line for fault in found] == [1, 2, 3, 4]


def test_roles_of_the_shipped_table_may_be_left_out_by_a_small_team() -> None:
    policy = load("people: {ada: {}}\nteams: {default: {roles: {oncall: [ada]}}}")

    assert "Nobody is in the role product_owner: it hears of nothing." in policy.notes


def test_what_is_read_and_does_nothing_yet_says_so() -> None:
    text = """version: 1
organisation: {status_labels: alios}
severities: {P3: {label: annoyance, repeat: 5m}}
teams: {default: {roles: {oncall: [ada]}}}
people: {ada: {name: Ada, quiet_hours: "22:00-07:00", contacts: [{channel: log}]}}
services: {shop: {clients: [Acme]}}
"""
    notes = load_policy(text, "firedoor.yaml", lookup=lambda _: None).notes

    said = [note.partition(" is read")[0] for note in notes if "does nothing yet" in note]
    assert said == [
        "organisation.status_labels",
        "severities.P3.repeat",
        "people.ada.quiet_hours",
        "services.shop.clients",
    ]


@pytest.mark.parametrize(
    ("label", "severity", "decide", "wait"),
    [
        ("critical", "P1", "open", MINUTE),
        ("page", "P1", "open", MINUTE),
        ("error", "P2", "suggest", timedelta(0)),
        ("warning", "P3", "suggest", timedelta(0)),
        ("info", None, "record", timedelta(0)),
        ("none", None, "record", timedelta(0)),
        ("odd", None, "suggest", timedelta(0)),
    ],
)
def test_the_shipped_rules_decide(label: str, severity: str | None, decide: str, wait: timedelta) -> None:
    policy, alert = load(), facts(severity=label)

    decision = policy.decision(alert, policy.mapped_severity(alert), armed=False)

    assert policy.mapped_severity(alert) == severity
    assert (decision.decide, decision.wait) == (decide, wait)
    assert decision.why.endswith(".")


def test_an_armed_runbook_opens_at_once_whatever_the_labels_say() -> None:
    decision = load().decision(facts(severity="info"), None, armed=True)

    assert (decision.decide, decision.wait) == ("open", timedelta(0))


def test_a_source_may_call_severity_by_another_name() -> None:
    policy = load("sources: {alertmanager: {kind: alertmanager, severity_from: priority}}")

    assert policy.mapped_severity(facts(priority="critical")) == "P1"


def test_a_rule_may_be_for_one_source_only() -> None:
    policy = load("open: [{source: sentry, decide: record}, {decide: open}]")

    assert policy.decision(facts(), "P2", armed=False).decide == "open"


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"app": "shop", "service": "other"}, "checkout"),
        ({"service": "auth"}, "auth"),
        ({"cluster": "prod", "namespace": "payments"}, "prod/payments"),
        ({"cluster": "prod", "job": "node"}, "node"),
        ({}, None),
    ],
)
def test_the_service_of_an_alert(labels: dict[str, str], service: str | None) -> None:
    policy = load("services: {checkout: {match: ['app=\"shop\"']}}")

    assert policy.service_of(facts(**labels)) == service


def test_the_team_is_the_services_and_else_the_default_which_did_not_claim_it() -> None:
    policy = load(
        "teams: {default: {roles: {oncall: [me]}}, pay: {roles: {oncall: [me]}}}\nservices: {checkout: {team: pay}}"
    )

    assert policy.team_of("checkout") == ("pay", True)
    assert policy.team_of("auth") == ("default", False)
    assert policy.team_of(None) == ("default", False)


def test_ties_go_up() -> None:
    policy = load()

    assert policy.worst(["P3", "P1", "P2"]) == "P1"
    assert policy.rank("P0") == 0


def test_frozen_rules_survive_json_and_are_built_once() -> None:
    policy = load()
    frozen = json.loads(json.dumps(policy.rules()))

    rules = read_rules(frozen)

    assert rules.severities == policy.severities
    assert rules.escalation == policy.escalation
    assert rules.hearing.next_contact_at == 0.5
    assert rules.calendar == policy.calendar
    assert rules.worst(["P2", "P1"]) == "P1"
    assert read_rules(json.loads(json.dumps(frozen))) is rules


@pytest.mark.parametrize(("profile", "shown"), [("nwire", "P0"), ("alios", "P1"), ("words", "Critical")])
def test_a_profile_changes_what_people_read_and_nothing_else(profile: str, shown: str) -> None:
    policy = load(f"organisation: {{severity_labels: {profile}}}")

    assert policy.labels["severity"]["P0"] == shown
    assert policy.rank("P0") == 0


@pytest.mark.parametrize("secret", ["{env: AM}", "env:AM"])
def test_the_policy_names_a_sources_secret_without_showing_it(secret: str) -> None:
    policy = load(
        f"sources: {{alertmanager: {{kind: alertmanager, secret: {secret}}}}}", {**MAIL, "env:AM": "open sesame"}
    )

    assert policy.secrets_of("alertmanager") == [b"open sesame"]
    assert "sesame" not in repr(policy)


# --- the sentence names the rule ---


@pytest.mark.parametrize(
    ("rules", "severity", "decide", "why"),
    [
        ("[{decide: record}]", None, "record", "Rule 1 of `open` decides (no earlier one fits): it is recorded only."),
        (
            "[{source: sentry, decide: record}, {severity: [P1, P2], decide: open, wait: 2m}]",
            "P2",
            "open",
            "Rule 2 of `open` decides (the severity is P2): it opens, and pages after 2 min unless it clears.",
        ),
        (
            "[{when: ['env=\"prod\"'], source: alertmanager, decide: suggest}]",
            "P1",
            "suggest",
            'Rule 1 of `open` decides (env="prod": it is "prod" and it came from alertmanager): '
            "it is suggested, and a person may open it.",
        ),
        (
            "[{decide: open}]",
            None,
            "suggest",
            "Rule 1 of `open` decides (no earlier one fits): it would open, but no rule of `severity_map` fits, "
            "so it is suggested.",
        ),
        ("[]", "P1", "suggest", "No rule of `open` fits: it is suggested, and a person may open it."),
    ],
)
def test_a_decision_names_the_rule_that_decided(rules: str, severity: str | None, decide: str, why: str) -> None:
    decision = load(f"open: {rules}").decision(facts(env="prod"), severity, armed=False)

    assert (decision.decide, decision.why) == (decide, why)


def test_the_first_rule_of_the_severity_map_that_fits_is_the_one() -> None:
    policy = load(
        "severity_map:\n  - {when: ['severity=\"bad\"', 'env=\"prod\"'], severity: P1}\n"
        "  - {when: ['severity=\"bad\"'], severity: P3}\n"
    )

    assert policy.severity_rule(facts(severity="bad", env="prod")) == (1, "P1")
    assert policy.severity_rule(facts(severity="bad", env="test")) == (2, "P3")
    assert policy.severity_rule(facts(severity="worse")) is None
