"""The library: which runbook an alert matches, and why the others don't."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from incidents.conditions import Facts
from incidents.errors import Fault
from incidents.runbookfile import Runbook
from incidents.runbookkeys import Example

Key = tuple[str, str]
_EXAMPLES_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a runbook matches an alert, and why, for people."""

    name: str
    matched: bool
    why: str


class Shelves:
    """Runbooks in the order in which they win, found by exact label values; the others are tried one by one."""

    def __init__(self, runbooks: Iterable[Runbook]) -> None:
        self._index: dict[Key, list[Runbook]] = {}
        self._scanned: list[Runbook] = []
        self._fill(sorted(runbooks, key=_order))

    def _fill(self, runbooks: list[Runbook]) -> None:
        """File each runbook under the clause that the fewest others share."""
        shared = Counter(key for runbook in runbooks for keys in _keys(runbook) for key in keys)
        for runbook in runbooks:
            choices = sorted(_keys(runbook), key=lambda keys: sum(shared[key] for key in keys))
            for key in choices[0] if choices else ():
                self._index.setdefault(key, []).append(runbook)
            if not choices:
                self._scanned.append(runbook)

    def _near(self, facts: Facts) -> Iterator[Iterable[Runbook]]:
        yield self._scanned
        yield from (self._index.get(key, ()) for key in facts.labels.items())

    def best(self, facts: Facts) -> Runbook | None:
        """The first of each shelf is the best of it."""
        firsts = (next((one for one in shelf if one.holds(facts)), None) for shelf in self._near(facts))
        return min((one for one in firsts if one is not None), key=_order, default=None)

    def every(self, facts: Facts) -> list[Runbook]:
        """All that match, the one that wins first."""
        found = {one.name: one for shelf in self._near(facts) for one in shelf if one.holds(facts)}
        return sorted(found.values(), key=_order)


class Library:
    """All runbooks, read together and never changed afterwards.

    Matching looks only at runbooks that ask for a label the alert has, by exact value; those that can't be found so
    are tried one by one.
    """

    def __init__(self, runbooks: Iterable[Runbook]) -> None:
        self.all: tuple[Runbook, ...] = tuple(sorted(runbooks, key=lambda runbook: runbook.name))
        self._by_name = {runbook.name: runbook for runbook in self.all}
        self._armed = Shelves(one for one in self.all if one.armed)
        self._lenders = Shelves(one for one in self.all if not one.armed and not one.faults and not one.fallback)

    def get(self, name: str) -> Runbook | None:
        return self._by_name.get(name)

    @property
    def fallback(self) -> Runbook | None:
        """The generic checklist: it lends its steps where nothing matched."""
        return next((one for one in self.all if one.fallback and not one.draft and not one.faults), None)

    def match(self, facts: Facts) -> Runbook | None:
        """The armed runbook for an alert: higher priority first, then more conditions, then the name."""
        return self._armed.best(facts)

    def lend(self, facts: Facts) -> Runbook | None:
        """The best runbook that matches and is not armed, a draft above all: it decides nothing and lends its steps."""
        return self._lenders.best(facts)

    def contenders(self, facts: Facts) -> list[Runbook]:
        """All armed runbooks that match, in the order in which they win."""
        return self._armed.every(facts)

    def explain(self, facts: Facts) -> list[Explanation]:
        """Every runbook, the one that matched first, each with the reason."""
        winner = self.match(facts)
        said = [Explanation(one.name, one is winner, _why(one, facts, winner)) for one in self.all]
        return sorted(said, key=lambda one: not one.matched)


def _order(runbook: Runbook) -> tuple[int, int, str]:
    return (-runbook.priority, -len(runbook.when), runbook.name)


def _keys(runbook: Runbook) -> list[tuple[Key, ...]]:
    """Per clause that only exact label values can fulfil: those values."""
    clauses = [tuple(dict.fromkeys(one.key for one in clause)) for clause in runbook.when]
    return [tuple(key for key in keys if key) for keys in clauses if all(keys)]


def _why(runbook: Runbook, facts: Facts, winner: Runbook | None) -> str:
    failed = next((clause for clause in runbook.when if not any(one.holds(facts) for one in clause)), None)
    if failed is not None:
        return "; ".join(one.why(facts) for one in failed)
    if not runbook.when:
        return f"It has no conditions that could match: {runbook.unarmed}."
    if runbook.unarmed:
        return f"Its conditions hold, but it is not armed: {runbook.unarmed}."
    held = "; ".join(next(one for one in clause if one.holds(facts)).why(facts) for clause in runbook.when)
    if winner is not None and winner is not runbook:
        return f"Its conditions hold, but “{winner.name}” comes first ({_precedence(winner, runbook)})."
    return f"All its conditions hold: {held}"


def _precedence(winner: Runbook, other: Runbook) -> str:
    if winner.priority != other.priority:
        return f"priority {winner.priority} against {other.priority}"
    if len(winner.when) != len(other.when):
        return f"{len(winner.when)} conditions against {len(other.when)}"
    return "the same priority and as many conditions, so the name decides"


def facts_of_example(example: Example) -> Facts:
    """The alert that an example stands for."""
    return Facts(
        source=example.source,
        labels=example.labels,
        annotations=example.annotations,
        value=example.value,
        severity=example.labels.get("severity"),
        recent=(_EXAMPLES_AT,) * max(0, example.fired),
        now=_EXAMPLES_AT,
    )


def check_library(
    library: Library,
    *,
    roles: Collection[str],
    services: Collection[str] = (),
    teams: Collection[str] = (),
    severities: Collection[str] = (),
) -> list[Fault]:
    """What one file alone can't show: its examples against all runbooks, and the names it takes from the policy.

    An empty collection is not checked against: the shipped policy names no services.
    """
    faults = [fault for runbook in library.all for fault in _unknown_names(runbook, roles, services, teams, severities)]
    faults += [fault for runbook in library.all if not runbook.faults for fault in _broken_examples(runbook, library)]
    fallbacks = [one for one in library.all if one.fallback and not one.draft]
    faults += [Fault(one.file, 1, f"“{fallbacks[0].name}” is the fallback already.", "one") for one in fallbacks[1:]]
    return faults


def _unknown_names(
    runbook: Runbook,
    roles: Collection[str],
    services: Collection[str],
    teams: Collection[str],
    severities: Collection[str],
) -> Iterator[Fault]:
    named = [("owner", runbook.owner, teams)] if runbook.owner else []
    named += [("service", runbook.service, services)] if runbook.service else []
    yield from _unknown(runbook, named)
    yield from (one for one in names_to_page_by(runbook, roles, severities) if one not in runbook.faults)


def names_to_page_by(runbook: Runbook, roles: Collection[str], severities: Collection[str]) -> Iterator[Fault]:
    """A severity or a role that the policy does not know: nobody could be paged by it, so it must not be armed."""
    named = [("escalation.page", step.page, roles) for step in runbook.escalation]
    named += [("severity", runbook.severity, severities)] if runbook.severity else []
    yield from _unknown(runbook, named)


def _unknown(runbook: Runbook, named: Iterable[tuple[str, str, Collection[str]]]) -> Iterator[Fault]:
    for key, name, known in dict.fromkeys((key, name, tuple(known)) for key, name, known in named):
        if known and name not in known:
            yield Fault(
                runbook.file, 1, f"`{key}` names `{name}`, which the policy does not know.", ", ".join(sorted(known))
            )


def _broken_examples(runbook: Runbook, library: Library) -> Iterator[Fault]:
    for at, example in enumerate(runbook.examples.match):
        facts = facts_of_example(example)
        if not runbook.holds(facts):
            yield Fault(runbook.file, 1, f"`examples.match[{at}]` does not match: {_why(runbook, facts, None)}.")
        elif runbook.armed and (winner := library.match(facts)) is not runbook and winner is not None:
            yield Fault(
                runbook.file, 1, f"`examples.match[{at}]` opens “{winner.name}” instead.", "one runbook an example"
            )
    for at, example in enumerate(runbook.examples.no_match):
        if runbook.holds(facts_of_example(example)):
            yield Fault(runbook.file, 1, f"`examples.no_match[{at}]` matches, and must not.")


def claimed_twice(library: Library) -> list[Fault]:
    """Two armed runbooks that match one example: it works, and yet somebody may expect the other one."""
    found: dict[tuple[str, str], Fault] = {}
    for runbook in (one for one in library.all if one.armed):
        for at, example in enumerate(runbook.examples.match):
            first, *others = library.contenders(facts_of_example(example)) or [runbook]
            for other in others if first is runbook else ():
                said = f"“{other.name}” matches `examples.match[{at}]` too; “{first.name}” opens it"
                why = _precedence(first, other)
                found.setdefault((first.name, other.name), Fault(runbook.file, 1, f"{said} ({why})."))
    return list(found.values())
