"""Who fills a role of a team."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from incidents.errors import FaultsFound
from incidents.oncall import members, roles_of
from incidents.policy import Policy, load_policy

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PEOPLE = "people: {ada: {name: Ada}, ben: {name: Ben}, cy: {name: Cy}}\nroles: {leadership: [cy], tech_lead: [cy]}\n"


def policy(teams: str) -> Policy:
    return load_policy(PEOPLE + teams, "firedoor.yaml", lookup=lambda _: None)


def test_a_team_fills_its_own_roles_in_order() -> None:
    known = policy("teams: {default: {roles: {oncall: [ada]}}, pay: {roles: {oncall: [ben, ada], tech_lead: [ben]}}}")

    assert members(known, "pay", "oncall", now=NOW) == ["ben", "ada"]
    assert members(known, "pay", "tech_lead", now=NOW) == ["ben"]


def test_a_role_that_a_team_leaves_out_is_the_organisations_then_the_default_teams() -> None:
    known = policy("teams: {default: {roles: {oncall: [ada], product_owner: [ben]}}, pay: {roles: {}}}")

    assert roles_of(known, "pay", NOW) == {
        "leadership": ["cy"],
        "tech_lead": ["cy"],
        "oncall": ["ada"],
        "product_owner": ["ben"],
    }


def test_an_empty_role_is_nobody_on_purpose() -> None:
    known = policy("teams: {default: {roles: {oncall: [ada]}}, pay: {roles: {tech_lead: []}}}")

    assert members(known, "pay", "tech_lead", now=NOW) == []


def test_a_team_that_is_gone_is_answered_by_the_default_team() -> None:
    known = policy("teams: {default: {roles: {oncall: [ada]}}}")

    assert members(known, "gone", "oncall", now=NOW) == ["ada"]


def test_a_role_that_nobody_knows_has_nobody() -> None:
    assert members(policy("teams: {default: {roles: {oncall: [ada]}}}"), "default", "pilot", now=NOW) == []


@pytest.mark.parametrize("roles", ["oncall: []", "tech_lead: [ada]"])
def test_nobody_on_call_is_a_fault_before_any_incident(roles: str) -> None:
    with pytest.raises(FaultsFound, match="Nobody is on call in the team `default`"):
        policy(f"teams: {{default: {{roles: {{{roles}}}}}}}")


def test_an_empty_on_call_list_of_another_team_is_a_fault_too() -> None:
    with pytest.raises(FaultsFound, match="Nobody is on call in the team `pay`"):
        policy("teams: {default: {roles: {oncall: [ada]}}, pay: {roles: {oncall: []}}}")


@pytest.mark.parametrize("shape", ["{rotation: {weekly: [ada]}}", "{ical: https://example.com/x.ics}"])
def test_rotations_are_refused_with_a_sentence(shape: str) -> None:
    with pytest.raises(FaultsFound, match="rotations come later: list people"):
        policy(f"teams: {{default: {{roles: {{oncall: {shape}}}}}}}")
