"""An organisation's policy over the shipped one: key by key, and what each part was written in.

1. A top-level key that the file gives replaces the shipped one.
2. The maps of `DEEPER` are merged entry by entry: one severity can be changed, one source added.
3. `escalation.paths` and `escalation.laps` are merged by severity too, so that no severity loses its path by accident.
4. With `people` of its own, the shipped `me` leaves the shipped teams and roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from incidents.yamlfile import Document, Node

DEEPER = ("severities", "channels", "sources", "escalation", "hearing", "organisation", "calendar")
DEEPEST = (("escalation", "paths"), ("escalation", "laps"))
SHIPPED_NAME = "default_policy.yaml"


@dataclass(frozen=True)
class Merged:
    """The whole policy as text, and which parts are the shipped ones."""

    document: Document
    shipped: frozenset[tuple[str, ...]] = frozenset()

    def where(self, path: Sequence[str | int], file: str) -> tuple[str, int]:
        """The file and the line of a part."""
        is_shipped = any(tuple(path[:n]) in self.shipped for n in range(1, 4))
        return (SHIPPED_NAME if is_shipped else file), self.document.line(path)


def merged(shipped: Document, own: Document | None) -> Merged:
    """The shipped policy with everything in its place that the file gives."""
    if own is None:
        return Merged(shipped, frozenset((key,) for key in shipped.value))
    if not isinstance(own.value, dict):
        if own.value == "":  # an empty file asks for nothing
            return Merged(shipped, frozenset((key,) for key in shipped.value))
        return Merged(own)
    kept: set[tuple[str, ...]] = set()
    root = _over(shipped.root, own.root, (), kept)
    if "people" in own.root.children:
        root = _without_strangers(root, kept)
    return Merged(Document(root), frozenset(kept))


def _over(below: Node, above: Node, path: tuple[str, ...], kept: set[tuple[str, ...]]) -> Node:
    children: dict[str | int, Node] = {}
    for key, child in below.children.items():
        at = (*path, str(key))
        given = above.children.get(key)
        if given is None:
            children[key] = child
            kept.add(at)
        elif _is_merged(at) and isinstance(given.value, dict):
            children[key] = _over(child, given, at, kept)
        else:
            children[key] = given
    children |= {key: child for key, child in above.children.items() if key not in children}
    return _map_of(children, above.line)


def _is_merged(path: tuple[str, ...]) -> bool:
    return (len(path) == 1 and path[0] in DEEPER) or path in DEEPEST


def _without_strangers(root: Node, kept: set[tuple[str, ...]]) -> Node:
    """Take people that the file doesn't have out of the shipped roles; what is empty then is said by the checks."""
    known = root.children["people"].children
    children = dict(root.children)
    if ("roles",) in kept:
        children["roles"] = _only(children["roles"], known)
    if ("teams",) in kept:
        teams = {}
        for name, team in children["teams"].children.items():
            teams[name] = _map_of({**team.children, "roles": _only(team.children["roles"], known)}, team.line)
        children["teams"] = _map_of(teams, children["teams"].line)
    return _map_of(children, root.line)


def _only(roles: Node, known: dict[Any, Any]) -> Node:
    left = {}
    for role, people in roles.children.items():
        names = [name for name in people.value if name in known]
        left[role] = Node(names, people.line, {n: Node(name, people.line) for n, name in enumerate(names)})
    return _map_of(left, roles.line)


def _map_of(children: dict[Any, Node], line: int) -> Node:
    return Node({key: child.value for key, child in children.items()}, line, children)
