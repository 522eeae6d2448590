"""What a policy names must exist, and its times must make sense: every such fault at once, read from the text itself.

The text and not the model is walked, so that one misspelt key doesn't hide the wrong names in the rest of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from incidents.channelkeys import EVERY, KINDS
from incidents.errors import Fault
from incidents.policymerge import SHIPPED_NAME, Merged
from incidents.units import duration

Found = tuple[tuple[str | int, ...], str, str]
UNDEFINED = "which nobody defines"
SETTINGS = {setting for kind in KINDS.values() for setting in kind.takes}
BESIDE_ALERTS = ("heartbeat", "deploys")
HEARTBEAT_NAME = r"[A-Za-z0-9._-]{1,100}"


def cross_faults(both: Merged, file: str) -> list[Fault]:
    """Every fault of names and times, with the line where it stands."""
    policy = both.document.value
    if not isinstance(policy, dict):
        return []
    walks = (
        _teams,
        _signin,
        _audiences,
        _contacts,
        _services,
        _severities,
        _sources,
        _beside_alerts,
        _paths,
        _channels,
        _shares,
        _clocks,
    )
    found = [one for walk in walks for one in walk(policy)]
    faults = [Fault(*both.where(path, file), what, accepted) for path, what, accepted in found]
    # The shipped table asks five roles. A small team that leaves some out gets a note; what it wrote itself must exist.
    return [fault for fault in faults if fault.file != SHIPPED_NAME or UNDEFINED not in fault.what]


def _signin(policy: dict[str, Any]) -> Iterator[Found]:
    """A line that gives a role to nobody's team or person would let people in as less than was meant."""
    people, teams = _map(policy.get("people")), _map(policy.get("teams"))
    for n, line in enumerate(_list(_map(policy.get("signin")).get("roles"))):
        person = _map(line).get("person")
        if isinstance(person, str) and person not in people:
            yield ("signin", "roles", n, "person"), f"There is nobody called `{person}`.", _all(people)
        for team in _list(_map(line).get("teams")):
            if isinstance(team, str) and team not in teams:
                yield ("signin", "roles", n, "teams"), f"There is no team `{team}`.", _all(teams)


def _teams(policy: dict[str, Any]) -> Iterator[Found]:
    people, teams = _map(policy.get("people")), _map(policy.get("teams"))
    if "default" not in teams:
        yield ("teams",), "There is no team `default`: alerts that no service claims go to it.", "a team called default"
    places = [(("teams", name, "roles"), _map(_map(team).get("roles"))) for name, team in teams.items()]
    for path, roles in [*places, (("roles",), _map(policy.get("roles")))]:
        for role, listed in roles.items():
            for n, person in _words(listed):
                if person not in people:
                    yield (*path, role, n), f"The role `{role}` names `{person}`, who is not in `people`.", _all(people)
    wide = _map(policy.get("roles"))
    for name, team in teams.items():
        own = _map(_map(team).get("roles"))
        inherits = name != "default" and "oncall" not in own
        if not inherits and "oncall" not in own and wide.get("oncall"):
            continue
        if not inherits and not own.get("oncall"):
            wanted = "oncall: [ada]" if name == "default" else "oncall: [ada], or no `oncall` to ask the default team's"
            yield ("teams", name, "roles", "oncall"), f"Nobody is on call in the team `{name}`.", wanted


def _audiences(policy: dict[str, Any]) -> Iterator[Found]:
    roles = _roles(policy)
    for code, row in _map(policy.get("severities")).items():
        for n, hears in enumerate(_list(_map(row).get("hears"))):
            for m, role in _words(_map(hears).get("who")):
                if role not in roles:
                    path = ("severities", code, "hears", n, "who", m)
                    yield path, f"`{code}` must reach the role `{role}`, {UNDEFINED}.", _all(roles)


def _contacts(policy: dict[str, Any]) -> Iterator[Found]:
    channels = _map(policy.get("channels"))
    for name, person in _map(policy.get("people")).items():
        for n, contact in enumerate(_list(_map(person).get("contacts"))):
            channel = _map(contact).get("channel")
            path = ("people", name, "contacts", n)
            if isinstance(channel, str) and channel not in channels:
                yield (
                    (*path, "channel"),
                    f"`{name}` is reached by `{channel}`, which is not in `channels`.",
                    _all(channels),
                )
            kind = KINDS.get(str(_map(channels.get(str(channel))).get("kind")))
            address = str(_map(contact).get("address", ""))
            if kind and kind.address == "secret" and address and not address.startswith(("env:", "file:")):
                yield (
                    (*path, "address"),
                    f"The address of `{name}` on `{channel}` is a secret.",
                    "env:NAME or file:PATH",
                )


def _services(policy: dict[str, Any]) -> Iterator[Found]:
    teams, services = _map(policy.get("teams")), _map(policy.get("services"))
    for name, service in services.items():
        team = _map(service).get("team", "default")
        if isinstance(team, str) and team not in teams:
            yield ("services", name, "team"), f"`{name}` belongs to the team `{team}`, which is unknown.", _all(teams)
        for n, needed in _words(_map(service).get("depends_on")):
            if needed not in services:
                path = ("services", name, "depends_on", n)
                yield path, f"`{name}` depends on `{needed}`, which is not in `services`.", _all(services)


def _severities(policy: dict[str, Any]) -> Iterator[Found]:
    codes = _map(policy.get("severities"))
    named: list[tuple[tuple[str | int, ...], Any]] = []
    for n, rule in enumerate(_list(policy.get("severity_map"))):
        named.append((("severity_map", n, "severity"), _map(rule).get("severity")))
    for n, rule in enumerate(_list(policy.get("open"))):
        listed = enumerate(_list(_map(rule).get("severity")))
        named += [(("open", n, "severity", m), code) for m, code in listed]
    for name, heartbeat in _map(policy.get("heartbeats")).items():
        named.append((("heartbeats", name, "severity"), _map(heartbeat).get("severity")))
    for key in ("paths", "laps"):
        named += [(("escalation", key, code), code) for code in _map(_map(policy.get("escalation")).get(key))]
    for path, code in named:
        if isinstance(code, str) and code not in codes:
            yield path, f"There is no severity `{code}`.", _all(codes)
    for n, (code, row) in enumerate(codes.items()):
        if n < 3 and _map(row).get("stand_down") == "clock":
            path = ("severities", code, "stand_down")
            yield path, f"Only people stand down a `{code}`; the clock may do it at P3.", "person"


def _sources(policy: dict[str, Any]) -> Iterator[Found]:
    sources = _map(policy.get("sources"))
    for n, rule in enumerate(_list(policy.get("open"))):
        name = _map(rule).get("source")
        if isinstance(name, str) and name not in sources:
            yield ("open", n, "source"), f"There is no source `{name}`.", _all(sources)
    for name, source in sources.items():
        kind = _map(source).get("kind")
        if "mapping" in _map(source) and kind != "generic":
            what = f"The kind of `{name}` is read without a mapping of yours."
            yield ("sources", name, "mapping"), what, "kind: generic, or no mapping"


def _beside_alerts(policy: dict[str, Any]) -> Iterator[Found]:
    """Heartbeats and deploys have one source each, which is called like its kind."""
    for name, source in _map(policy.get("sources")).items():
        kind = _map(source).get("kind")
        if name != kind and (name in BESIDE_ALERTS or kind in BESIDE_ALERTS):
            wanted = kind if kind in BESIDE_ALERTS else name
            yield ("sources", name, "kind"), f"`{name}` can't be of the kind `{kind}`.", f"{wanted}: {{kind: {wanted}}}"
    for name in _map(policy.get("heartbeats")):
        if not (isinstance(name, str) and re.fullmatch(HEARTBEAT_NAME, name)):
            yield ("heartbeats", name), f"`{name}` can't stand in an address.", "letters, digits, `-`, `_` and `.`"


def _paths(policy: dict[str, Any]) -> Iterator[Found]:
    roles = _roles(policy)
    for code, steps in _map(_map(policy.get("escalation")).get("paths")).items():
        before: timedelta | None = None
        for n, step in enumerate(_list(steps)):
            path = ("escalation", "paths", code, n)
            role = _map(step).get("page")
            if isinstance(role, str) and role not in roles:
                yield (*path, "page"), f"The path of `{code}` pages `{role}`, {UNDEFINED}.", _all(roles)
            after = _duration(_map(step).get("after"))
            if after is not None and before is not None and after <= before:
                yield (
                    (*path, "after"),
                    f"The times of the path of `{code}` do not rise.",
                    "each step later than the last",
                )
            before = after or before


def _channels(policy: dict[str, Any]) -> Iterator[Found]:
    channels = _map(policy.get("channels"))
    for name, channel in channels.items():
        kind = str(_map(channel).get("kind"))
        if kind not in KINDS:
            continue
        for key in KINDS[kind].needs:
            if key not in channel:
                yield ("channels", name), f"The channel `{name}` needs `{key}`.", f"{key}: env:NAME"
        for key in channel:
            if key in SETTINGS and key not in KINDS[kind].takes:
                yield (
                    ("channels", name, key),
                    f"A channel of kind {kind} has no `{key}`.",
                    _all((*EVERY, *KINDS[kind].takes)),
                )
        yield from _fallback(("channels", name, "fallback"), channel.get("fallback"), channels)
    yield from _fallback(("hearing", "fallback"), _map(policy.get("hearing")).get("fallback"), channels)


def _fallback(path: tuple[str | int, ...], name: Any, channels: dict[str, Any]) -> Iterator[Found]:
    if isinstance(name, str) and name not in channels:
        yield path, f"There is no channel `{name}` to fall back to.", _all(channels)


def _shares(policy: dict[str, Any]) -> Iterator[Found]:
    hearing = _map(policy.get("hearing"))
    contact, person = (_share(hearing.get(key)) for key in ("next_contact_at", "next_person_at"))
    if contact is not None and person is not None and contact >= person:
        path = ("hearing", "next_person_at")
        yield path, "The next person would be asked before the next contact.", "more than next_contact_at"


def _clocks(policy: dict[str, Any]) -> Iterator[Found]:
    for n, silence in enumerate(_list(policy.get("silences"))):
        owner = _map(silence).get("owner")
        if isinstance(owner, str) and owner not in _map(policy.get("people")) | _map(policy.get("teams")):
            yield (
                ("silences", n, "owner"),
                f"`{owner}` is neither a person nor a team.",
                _all(_map(policy.get("people"))),
            )


def _roles(policy: dict[str, Any]) -> set[str]:
    own = {role for team in _map(policy.get("teams")).values() for role in _map(_map(team).get("roles"))}
    return own | set(_map(policy.get("roles")))


def _duration(text: Any) -> timedelta | None:
    try:
        return duration(text)
    except ValueError:
        return None


def _share(text: Any) -> int | None:
    found = re.fullmatch(r"([0-9]{1,3}) ?%?", str(text))
    return int(found[1]) if found else None


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(value: Any) -> list[tuple[int, str]]:
    """The names of a list, each with its place; what is no name is another fault, and found elsewhere."""
    return [(n, one) for n, one in enumerate(_list(value)) if isinstance(one, str)]


def _all(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none yet"
