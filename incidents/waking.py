"""Whom the table and the paths page when it is worst, and whether any of their contacts can wake them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from incidents.channelkeys import KINDS
from incidents.errors import Fault
from incidents.policymerge import SHIPPED_NAME, Merged
from incidents.units import yes_or_no

WORST = 2  # of the severities in their order: P0 and P1
WANTED = "a contact on a channel that wakes, like pushover, ntfy or webhook, or `wakes: true` where you know better"


def unwoken(both: Merged, file: str) -> tuple[list[Fault], list[str]]:
    """A fault for each person who is paged at the worst severities and whom nothing wakes; then the warnings.

    What the policy says counts, not what is set up here: in CI no secret is set. The shipped person has mail and log
    alone and must work untouched on the first day, so of that one it is a warning.
    """
    policy = both.document.value
    faults, warnings = [], []
    for person in sorted(_paged(policy)):
        known = _map(_map(policy.get("people")).get(person))
        if any(_wakes(contact, policy) for contact in _list(known.get("contacts"))):
            continue
        where, line = both.where(("people", person, "contacts"), file)
        what = f"`{person}` is paged at {' and '.join(_worst(policy))}, and no contact of theirs wakes anybody."
        if where == SHIPPED_NAME:
            warnings.append(f"the shipped policy pages by mail and log, which wake nobody: give people {WANTED}")
        else:
            faults.append(Fault(where, line, what, WANTED))
    return faults, warnings


def _worst(policy: dict[str, Any]) -> list[str]:
    return list(_map(policy.get("severities")))[:WORST]


def _paged(policy: dict[str, Any]) -> set[str]:
    roles = set(_paged_roles(policy))
    places = [
        _map(policy.get("roles")),
        *(_map(_map(team).get("roles")) for team in _map(policy.get("teams")).values()),
    ]
    return {person for place in places for role in roles for person in _list(place.get(role))}


def _paged_roles(policy: dict[str, Any]) -> Iterator[str]:
    paths = _map(_map(policy.get("escalation")).get("paths"))
    for code in _worst(policy):
        for hears in _list(_map(_map(policy.get("severities"))[code]).get("hears")):
            if _map(hears).get("how") == "page":
                yield from _list(hears.get("who"))
        yield from (_map(step).get("page", "") for step in _list(paths.get(code)))


def _wakes(contact: Any, policy: dict[str, Any]) -> bool:
    told = _map(contact)
    kind = KINDS.get(str(_map(_map(policy.get("channels")).get(str(told.get("channel")))).get("kind")))
    if kind is None or "page" not in told.get("for", ("page",)):
        return False
    return yes_or_no(told["wakes"]) if "wakes" in told else kind.wakes  # another word was refused before we look


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
