"""Who fills a role of a team now."""

from __future__ import annotations

from datetime import datetime

from incidents.policy import DEFAULT_TEAM, Policy


def members(policy: Policy, team: str, role: str, *, now: datetime) -> list[str]:
    """The people of a role, first choice first: the team's, else the organisation's, else the default team's.

    An entry that is there and empty means nobody, on purpose; it inherits nothing.
    """
    for roles in _places(policy, team):
        if role in roles:
            return list(roles[role])
    return []


def roles_of(policy: Policy, team: str, now: datetime) -> dict[str, list[str]]:
    """Every role that an incident of this team can ask, with its people."""
    names = {role: None for roles in _places(policy, team) for role in roles}
    return {role: members(policy, team, role, now=now) for role in names}


def _places(policy: Policy, team: str) -> list[dict[str, tuple[str, ...]]]:
    """Where a role is looked up, in order. An incident may name a team that the policy no longer has."""
    own = policy.teams.get(team)
    return [own.roles if own else {}, policy.roles, policy.teams[DEFAULT_TEAM].roles]
