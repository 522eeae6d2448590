"""Roles and team scopes: each role has all of the one before, and what is not listed is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from incidents import permissions
from incidents.errors import NotAllowed
from incidents.permissions import ADMIN, NEEDS, OPERATOR, RESPONDER, ROLES, SCOPES, VIEWER, allows, narrowed
from incidents.verbs import VERBS


@dataclass(frozen=True)
class Who:
    role: str
    teams: tuple[str, ...] = ()


def may(who: Who, what: str, team: str | None = None, needs: str | None = None) -> bool:
    try:
        allows(who, what, team, needs=needs)
    except NotAllowed as refused:
        return _refused(refused)
    return True


def _refused(refused: NotAllowed) -> bool:
    assert refused.status == 403
    assert "Nothing was changed" in refused.sentence
    return False


@pytest.mark.parametrize("what", NEEDS)
def test_each_role_has_all_that_the_ones_before_have(what: str) -> None:
    allowed = [may(Who(role), what) for role in ROLES]

    assert allowed == sorted(allowed), "once allowed, allowed for every higher role"
    assert allowed[-1], "an admin may do everything"
    assert allowed.index(True) == ROLES.index(NEEDS[what])


def test_a_viewer_has_no_verb_and_a_responder_has_each() -> None:
    for verb in VERBS.values():
        assert not may(Who(VIEWER), verb.name, needs=verb.needs)
        assert may(Who(RESPONDER), verb.name, needs=verb.needs)


@pytest.mark.parametrize("role", [*ROLES, "", "root", "Admin"])
def test_what_is_not_listed_is_refused_whatever_the_role(role: str) -> None:
    assert not may(Who(role), "launch")
    assert not may(Who(role), "launch", needs="nobody")


@pytest.mark.parametrize("role", ["", "root", "Admin", "admin "])
def test_a_role_that_is_none_of_ours_may_nothing(role: str) -> None:
    assert not any(may(Who(role), what) for what in NEEDS)


def test_an_account_of_some_teams_acts_for_those_and_reads_all() -> None:
    ada = Who(RESPONDER, ("shop", "search"))

    assert may(ada, "declare", "shop")
    assert not may(ada, "declare", "pay")
    assert may(Who(RESPONDER), "declare", "pay"), "without teams: all of them"
    assert may(ada, "read")


def test_what_concerns_every_team_is_refused_to_an_account_of_some() -> None:
    for what in permissions.OF_ALL_TEAMS:
        assert not may(Who(ADMIN, ("shop",)), what)
        assert may(Who(ADMIN), what)


def test_a_token_does_what_its_scope_says_and_never_more_than_its_account() -> None:
    assert narrowed(ADMIN, None) == ADMIN
    assert [narrowed(ADMIN, [scope]) for scope in SCOPES] == list(ROLES)
    assert narrowed(VIEWER, ["admin"]) == VIEWER
    assert narrowed(OPERATOR, ["read", "respond"]) == RESPONDER
    assert narrowed(ADMIN, []) == narrowed(ADMIN, ["unknown"]) == VIEWER
