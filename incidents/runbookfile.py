"""A runbook: one Markdown file with what the machine does about a condition and what a person reads at 3 a.m."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from incidents.conditions import Condition, Facts
from incidents.errors import Fault, FaultsFound
from incidents.runbookkeys import LAST_RESORT, PHASES, RANKS, SAID, Examples, Front, Lever, Rung, WrittenStep
from incidents.units import NotAccepted, duration, spoken
from incidents.yamlfile import Document, checked, read_yaml

HEADINGS = ("Meaning", "Impact", "First five minutes", "Containment", "When it is over", "Escalation")
REVIEW_EVERY = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the worklist, as it is written into a row."""

    n: int
    phase: str
    text: str
    lever: str | None = None
    rank: float | None = None
    command: str | None = None
    expect: str | None = None
    on_fail: str = "next"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Runbook:
    """A runbook as it was read. One with faults keeps what could be read, and is not armed."""

    name: str
    title: str
    owner: str
    digest: str
    body: str
    service: str | None = None
    severity: str | None = None
    category: str = ""
    priority: int = 0
    when: tuple[tuple[Condition, ...], ...] = ()
    group_by: tuple[str, ...] = ()
    opens: str = "open"
    fallback: bool = False
    draft: bool = False
    examples: Examples = field(default_factory=Examples)
    impact: str | Mapping[str, str] = ""
    levers: tuple[Lever, ...] = ()
    steps: tuple[WrittenStep, ...] = ()
    escalation: tuple[Rung, ...] = ()
    status_message: str = ""
    reviewed: date | None = None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    ranks: Mapping[str, float] = field(default_factory=lambda: RANKS)

    @property
    def file(self) -> str:
        return f"{self.name}.md"

    @property
    def unarmed(self) -> str:
        """Why it is not armed; "" when it is."""
        if self.faults:
            return f"it has {len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}, first: {self.faults[0]}"
        if self.draft:
            return "it is a draft"
        if self.fallback:
            return "it is the fallback, which only lends its steps"
        if self.opens != "open":
            return f"it says `opens: {self.opens}`"
        return "" if self.severity else "it names no severity"

    @property
    def armed(self) -> bool:
        return not self.unarmed

    def holds(self, facts: Facts) -> bool:
        """All of `when` hold; of a nested list, any. Without conditions nothing matches."""
        return bool(self.when) and all(any(one.holds(facts) for one in clause) for clause in self.when)

    def review_warning(self, today: date) -> Fault | None:
        """A runbook is reviewed once a year."""
        if self.reviewed is None:
            return Fault(self.file, 1, "It was never reviewed.", "reviewed: a date such as 2026-10-01")
        if today - self.reviewed <= REVIEW_EVERY:
            return None
        return Fault(self.file, 1, f"It was last reviewed on {self.reviewed}, over a year ago.", "a review each year")

    def worklist(self) -> list[Step]:
        """The steps as rows: confirm, then contain (the levers safest first), then diagnose, fix, verify."""
        unnumbered = [
            *self._steps("confirm"),
            *self._levers(),
            *(step for phase in PHASES[1:] for step in self._steps(phase)),
        ]
        return [Step(n, **step) for n, step in enumerate(unnumbered, 1)]

    def _steps(self, phase: str) -> Iterator[dict[str, Any]]:
        for step in self.steps:
            if step.phase == phase:
                facts = {"check": step.check, "timeout": spoken(step.timeout) if step.timeout else ""}
                yield {
                    "phase": phase,
                    "text": step.text,
                    "command": step.command or None,
                    "expect": step.expect or None,
                    "on_fail": step.on_fail,
                    "facts": {name: said for name, said in facts.items() if said},
                }

    def _levers(self) -> Iterator[dict[str, Any]]:
        for lever in sorted(self.levers, key=lambda one: self.ranks.get(one.lever, 0)):
            facts = {
                "verdict": lever.verdict,
                "if": lever.if_,
                "reason": lever.reason,
                "with": lever.with_,
                "mode": lever.mode,
                "check": lever.check,
                "cost": lever.cost,
            }
            yield {
                "phase": "contain",
                "text": _lever_text(lever),
                "lever": lever.lever,
                "rank": self.ranks.get(lever.lever),
                "expect": lever.expect or None,
                "facts": {name: said for name, said in facts.items() if said},
            }


def _lever_text(lever: Lever) -> str:
    what = SAID.get(lever.lever, lever.lever.replace("_", " ").capitalize())
    with_ = ", ".join(f"{name} {value}" for name, value in lever.with_.items())
    only = f" — only if: {lever.if_.rstrip('.')}" if lever.verdict == "if" else ""
    return f"{what}{f' ({with_})' if with_ else ''}{only}."


_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


def parse_runbook(text: str, name: str, *, ranks: Mapping[str, float] = RANKS) -> Runbook:
    """Read one file. Whatever is in it, a runbook comes back: its faults are listed on it, and it is not armed."""
    file, digest = f"{name}.md", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found = _FRONT.match(text)
    if found is None:
        fault = Fault(file, 1, "There is no front matter.", "`---`, YAML, `---` at the top of the file")
        return Runbook(name, name, "", digest, text, faults=(fault,))
    body = text[found.end() :]
    try:
        document = read_yaml(found[1], file, first_line=2)
    except FaultsFound as wrong:
        return Runbook(name, name, "", digest, body, faults=tuple(wrong.faults))
    faults = list(_lint(document, file, ranks))
    try:
        front = checked(Front, document, file=file)
    except FaultsFound as wrong:
        faults += wrong.faults
        return _unread(name, digest, body, document, faults)
    return Runbook(
        name=name,
        digest=digest,
        body=body,
        faults=_in_order(faults),
        warnings=_in_order(_warned(front, document, body, file, text.count("\n", 0, found.end()) + 1)),
        ranks=ranks,
        **{key: _frozen(getattr(front, key)) for key in Front.model_fields if key != "when"},
        when=tuple(tuple(clause) for clause in front.when),
    )


def _unread(name: str, digest: str, body: str, document: Document, faults: list[Fault]) -> Runbook:
    """What people need to recognise a runbook that could not be read."""
    value = document.value if isinstance(document.value, dict) else {}
    title, owner = value.get("title"), value.get("owner")
    return Runbook(
        name,
        title if isinstance(title, str) and title else name,
        owner if isinstance(owner, str) else "",
        digest,
        body,
        faults=_in_order(faults),
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _in_order(faults: Any) -> tuple[Fault, ...]:
    return tuple(sorted(dict.fromkeys(faults), key=lambda fault: fault.line))


def _lint(document: Document, file: str, ranks: Mapping[str, float]) -> Iterator[Fault]:
    """What the keys alone can't say. It looks at the text, so that it speaks even when a key elsewhere is wrong."""
    value = document.value
    if not isinstance(value, dict):
        return
    if not value.get("when") and value.get("fallback") not in ("true", "yes"):
        yield Fault(file, document.line(["when"]), "`when` is missing: nothing would match.", 'such as alertname="X"')
    for at, step in _maps(value.get("steps")):
        if step.get("phase") != "diagnose" and not step.get("expect"):
            said = f"`steps[{at}]` has no expected outcome."
            yield Fault(file, document.line(["steps", at]), said, "expect: what the person should see")
    yield from _lint_levers(value, document, file, ranks)
    yield from _lint_escalation(value, document, file)


def _lint_levers(value: Any, document: Document, file: str, ranks: Mapping[str, float]) -> Iterator[Fault]:
    seen: set[str] = set()
    for at, lever in _maps(value.get("levers")):
        name, verdict = lever.get("lever"), lever.get("verdict")
        for what, accepted in _wrong_with_lever(lever, name, verdict, ranks):
            yield Fault(file, document.line(["levers", at]), f"`levers[{at}]` {what}.", accepted)
        if isinstance(name, str) and name in seen:
            yield Fault(file, document.line(["levers", at]), f"The lever `{name}` is listed twice.", "each lever once")
        seen.add(str(name))


def _wrong_with_lever(lever: Any, name: Any, verdict: Any, ranks: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    if isinstance(name, str) and name and name not in ranks:
        yield f"names the lever `{name}`, which is not known", ", ".join(sorted(ranks, key=lambda one: ranks[one]))
    if verdict == "skip" and not lever.get("reason"):
        yield "is skipped without a reason", "reason: why it must not be pulled"
    if verdict == "if" and not lever.get("if"):
        yield "is pulled under a condition that is missing", "if: when it may be pulled"
    if verdict in ("pull", "if") and not lever.get("expect"):
        yield "has no expected outcome", "expect: what the person should see"
    if name == LAST_RESORT and verdict == "pull":
        yield "pulls correct_data: data is never corrected before the harm is contained", "verdict: skip or if"
    if name == "roll_back_migration" and verdict in ("pull", "if") and lever.get("reversible") not in ("true", "yes"):
        yield "rolls back a migration that nobody wrote to be reversible", "reversible: true, or verdict: skip"


def _lint_escalation(value: Any, document: Document, file: str) -> Iterator[Fault]:
    before: timedelta | None = None
    for at, rung in _maps(value.get("escalation")):
        try:
            after = duration(rung.get("after", ""))
        except NotAccepted:
            continue
        if before is not None and after <= before:
            line = document.line(["escalation", at, "after"])
            said = f"`escalation[{at}].after` is {spoken(after)}, but the step before it is {spoken(before)}."
            yield Fault(file, line, said, "times that rise")
        before = after


def _maps(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(value, list):
        yield from ((at, one) for at, one in enumerate(value) if isinstance(one, dict))


def _warned(front: Front, document: Document, body: str, file: str, first: int) -> Iterator[Fault]:
    """What does not disarm it: a person should look."""
    written = {found.strip().lower() for found in re.findall(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", body, re.MULTILINE)}
    for heading in HEADINGS:
        if heading.lower() not in written:
            yield Fault(file, first, f"The heading “{heading}” is missing.", f"## {heading}")
    if front.opens == "open" and not (front.severity or front.draft or front.fallback):
        yield Fault(file, document.line(["severity"]), "It names no severity, so it opens nothing.", "severity: P1")
    if not (front.fallback or front.draft or front.examples.match):
        yield Fault(
            file, document.line(["examples"]), "No example says what it must match.", "examples: match and no_match"
        )
