"""Who may do what: four roles, each with all that the one before may, and a team scope. What is not listed is refused.

Reading is open to every role, whatever its teams: in an incident nobody should have to ask what others can see.
The raw body of a delivery alone needs a role that acts: a sender may have put anything into it.
Only what an account *does* is bound to its teams.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypedDict

from incidents.errors import NotAllowed

VIEWER, RESPONDER, OPERATOR, ADMIN = ROLES = ("viewer", "responder", "operator", "admin")

MEANS = {
    VIEWER: "sees everything but raw deliveries, and changes nothing",
    RESPONDER: "takes incidents, works on them, silences, declares and reads raw deliveries",
    OPERATOR: "also pulls levers, takes deliveries in again, ends hold mode and reads the audit",
    ADMIN: "also turns sources live and gives out accounts and tokens",
}

# What is done beside an incident's own verbs (those say it themselves, in `verbs.VERBS`).
NEEDS = {
    "read": VIEWER,
    "simulate": VIEWER,
    "own_tokens": VIEWER,
    "own_password": VIEWER,
    "respond": RESPONDER,  # whatever a form of the console does, unless its page says otherwise
    "read_delivery": RESPONDER,  # its body, as it came: there may be a secret in it, or what belongs to a customer
    "declare": RESPONDER,
    "open_alert": RESPONDER,
    "silence": RESPONDER,
    "lift_silence": RESPONDER,
    "replay": OPERATOR,
    "resume": OPERATOR,
    "audit": OPERATOR,
    "golive": ADMIN,
    "accounts": ADMIN,
    "tokens": ADMIN,
}
OF_ALL_TEAMS = ("replay", "resume", "accounts", "tokens")  # no team's own: a team scope does not reach so far

# What a token may at most do, whatever its account may.
SCOPES = {"read": VIEWER, "respond": RESPONDER, "operate": OPERATOR, "admin": ADMIN}


class Acting(Protocol):
    """As much of an actor as a permission asks about."""

    @property
    def role(self) -> str: ...
    @property
    def teams(self) -> tuple[str, ...]: ...


def allows(actor: Acting, what: str, team: str | None = None, *, needs: str | None = None) -> None:
    """Raises NotAllowed where the actor's role is too low, or where the team is none of theirs.

    `what` is a verb or a deed of NEEDS; a verb brings the role that it `needs`. An unknown one needs what nobody has.
    """
    needed = needs or NEEDS.get(what)
    if needed is None or not reaches(actor.role, needed):
        raise NotAllowed(
            "permission.role",
            f"This needs the role {needed or 'nobody has'}; yours is {actor.role}. Nothing was changed. "
            "An admin can change your role.",
        )
    if actor.teams and what in OF_ALL_TEAMS:
        raise NotAllowed(
            "permission.team",
            f"This concerns every team, and your account acts for {' and '.join(actor.teams)} alone. "
            "Nothing was changed. Ask somebody whose account acts for all teams.",
        )
    if team is not None:
        within(actor, (team,))


def within(actor: Acting, teams: Iterable[str]) -> None:
    """Raises NotAllowed where one of the teams is none of the actor's. An account without teams acts for all."""
    foreign = sorted(set(teams) - set(actor.teams)) if actor.teams else []
    if foreign:
        raise NotAllowed(
            "permission.team",
            f"This belongs to team {foreign[0]}, and your account acts for {' and '.join(actor.teams)} alone. "
            "Nothing was changed. You may read it; ask somebody of that team.",
        )


class Lack(TypedDict):
    """What an account lacks for a deed, as plain facts: a page says it where the press would stand."""

    code: str  # of the refusal: permission.role, permission.team
    needs: str  # the role
    team: str  # whose it is; empty where it is nobody's alone


def lack(actor: Acting, what: str, teams: Iterable[str] = (), *, needs: str | None = None) -> Lack | None:
    """What the refusal would be about, asked before the press; None where there would be none."""
    try:
        allows(actor, what, needs=needs)
        within(actor, teams)
    except NotAllowed as refused:
        foreign = sorted({*teams} - {*actor.teams})
        return Lack(code=refused.code, needs=needs or NEEDS.get(what, ""), team=foreign[0] if foreign else "")
    return None


def reaches(role: str, needed: str) -> bool:
    """Whether a role may do what needs another. A role that is not one of ours reaches nothing."""
    return role in ROLES and needed in ROLES and ROLES.index(role) >= ROLES.index(needed)


def narrowed(role: str, scopes: Iterable[str] | None) -> str:
    """The role of a token: its account's, or its highest scope's where that is less."""
    if scopes is None:
        return role
    most = max((ROLES.index(SCOPES[one]) for one in scopes if one in SCOPES), default=0)
    return ROLES[min(most, ROLES.index(role))] if role in ROLES else VIEWER
