"""Conditions as people write them in runbooks and the policy: `env=~"prod.*"`, `value > 500ms`, `count(10m) >= 5`."""

from __future__ import annotations

import math
import operator
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import re2

from incidents.alerts import REMEMBERED_FIRINGS
from incidents.units import NotAccepted, duration, number, spoken

ACCEPTED = (
    'label="x", label!="x", label=~"x.*", label!~"x.*", annotation:name=~"x.*", source=name, '
    "value > 500ms, count(10m) >= 5"
)
LONGEST = 2000

_NAME = r"""(?P<name>"(?:[^"\\]|\\.)*"|[^\s{}!=~,\\"'`<>()]+)"""
_MATCHER = re.compile(rf"(?P<kind>annotation:|label:)?{_NAME}\s*(?P<op>=~|!~|!=|=)\s*(?P<value>.*)", re.DOTALL)
_NUMERIC = re.compile(
    r"(?P<left>value|count\s*\(\s*(?P<within>[^()]*?)\s*\))\s*(?P<op>>=|<=|==|!=|>|<)\s*(?P<right>.*)"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_UNQUOTED = re.compile(r"""[^\s{}!=~,\\"'`]+""")
_UNQUOTED_REGEX = re.compile(r"""[^\s{},"'`]+""")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}

# An annotation may have several lines: `.` crosses them, as in Prometheus.
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What conditions may look at, of one alert. `recent` are the times it fired, the newest one included."""

    source: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    severity: str | None = None
    recent: Sequence[datetime] = ()
    now: datetime | None = None


@dataclass(frozen=True)
class Condition(ABC):
    """One condition. `text` is what was written."""

    text: str

    @abstractmethod
    def holds(self, facts: Facts) -> bool: ...

    @abstractmethod
    def why(self, facts: Facts) -> str:
        """Why it holds or not, for people."""

    @property
    def key(self) -> tuple[str, str] | None:
        """(label, value) where only that value of that label can hold: what an index may use."""
        return None

    @property
    @abstractmethod
    def looks_at(self) -> tuple[str, str]:
        """What of an alert it asks for, and nothing else: label, annotation, source, value or recent; and its name."""

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> Any:  # a compiled pattern can't be copied; the text says it all
        return parse, (self.text,)


@dataclass(frozen=True)
class Matches(Condition):
    """A label, an annotation or the source against a text or a pattern. What is missing is the empty text."""

    kind: str
    name: str
    op: str
    wanted: str
    pattern: Any = field(default=None, compare=False, repr=False)

    def found(self, facts: Facts) -> str:
        if self.kind == "source":
            return facts.source
        return (facts.annotations if self.kind == "annotation" else facts.labels).get(self.name, "")

    def holds(self, facts: Facts) -> bool:
        found = self.found(facts)
        same = found == self.wanted if self.pattern is None else _fits(self.pattern, found)
        return same is (self.op in ("=", "=~"))

    def why(self, facts: Facts) -> str:
        found = self.found(facts)
        said = f'it is "{found if len(found) <= 80 else found[:79] + "…"}"' if found else "it is missing or empty"
        return f"{self.text}: {said}"

    @property
    def key(self) -> tuple[str, str] | None:
        return (self.name, self.wanted) if self.kind == "label" and self.op == "=" and self.wanted else None

    @property
    def looks_at(self) -> tuple[str, str]:
        return (self.kind, self.name)


@dataclass(frozen=True)
class Compares(Condition):
    """The alert's value against a number, both in base units: seconds, bytes, a ratio. No value: it does not hold."""

    op: str
    limit: float

    def holds(self, facts: Facts) -> bool:
        if facts.value is None or math.isnan(facts.value):
            return False
        return _COMPARE[self.op](facts.value, self.limit)

    def why(self, facts: Facts) -> str:
        if facts.value is None or math.isnan(facts.value):
            return f"{self.text}: the alert carries no value"
        return f"{self.text}: the value is {facts.value:g}"

    @property
    def looks_at(self) -> tuple[str, str]:
        return ("value", "")


@dataclass(frozen=True)
class Counts(Condition):
    """How often the alert fired within a span."""

    within: timedelta
    op: str
    limit: int

    def times(self, facts: Facts) -> int:
        if facts.now is None:
            return len(facts.recent)
        since = facts.now - self.within
        return sum(1 for at in facts.recent if at >= since)

    def holds(self, facts: Facts) -> bool:
        return _COMPARE[self.op](self.times(facts), self.limit)

    def why(self, facts: Facts) -> str:
        return f"{self.text}: it fired {self.times(facts)} times in {spoken(self.within)}"

    @property
    def looks_at(self) -> tuple[str, str]:
        return ("recent", "")


Entry = Condition | tuple[Condition, ...]  # one condition, or several of which any may hold


def all_hold(entries: Sequence[Entry], facts: Facts) -> bool:
    """Whether every entry holds."""
    return all(
        any(one.holds(facts) for one in entry) if isinstance(entry, tuple) else entry.holds(facts) for entry in entries
    )


def ask_for_nothing(entries: Sequence[Entry]) -> bool:
    """Whether an alert that says nothing at all meets them: then they choose nothing (Alertmanager's rule, too)."""
    return all_hold(entries, Facts())


def seen_by(entries: Iterable[Entry]) -> set[tuple[str, str]]:
    """Whatever of an alert the entries look at."""
    return {one.looks_at for entry in entries for one in (entry if isinstance(entry, tuple) else (entry,))}


def parse(text: str) -> Condition:
    """Read one condition; a ValueError says what is accepted."""
    if not isinstance(text, str) or len(text) > LONGEST or not text.strip():
        raise NotAccepted("this is not a condition", ACCEPTED)
    text = text.strip()
    if (found := _NUMERIC.fullmatch(text)) and not found["right"].startswith(("~", '"')):
        return _numeric(text, found)
    if found := _MATCHER.fullmatch(text):
        return _matcher(text, found)
    raise NotAccepted(f"`{_short(text)}` is not a condition", ACCEPTED)


def _numeric(text: str, found: re.Match[str]) -> Condition:
    if found["left"] == "value":
        limit, _ = number(found["right"].strip())
        return Compares(text, found["op"], limit)
    within = duration(found["within"])
    times = found["right"].strip()
    if not re.fullmatch(r"\d{1,3}", times, re.ASCII) or int(times) > REMEMBERED_FIRINGS:
        raise NotAccepted(f"`{_short(times)}` is not a count", f"a whole number up to {REMEMBERED_FIRINGS}")
    return Counts(text, within, found["op"], int(times))


def _matcher(text: str, found: re.Match[str]) -> Condition:
    written, op = found["name"], found["op"]
    name = _unescaped(written[1:-1]) if written.startswith('"') else written
    if not name:
        raise NotAccepted("the label has no name", ACCEPTED)
    kind = (found["kind"] or "").rstrip(":") or ("source" if written == "source" else "label")
    if written == "value" and found["kind"] is None:
        raise NotAccepted("`value` is compared as a number", 'value == 5, value > 500ms; label:value="x" for a label')
    wanted = _value(found["value"].strip(), op)
    return Matches(text, kind, name, op, wanted, _compiled(wanted) if "~" in op else None)


def _value(text: str, op: str) -> str:
    if quoted := _QUOTED.fullmatch(text):
        return _unescaped(quoted[1])
    if (_UNQUOTED_REGEX if "~" in op else _UNQUOTED).fullmatch(text):
        return text
    raise NotAccepted(
        f"`{_short(text)}` is not a value", 'one text in double quotes, like "x"; in it \\" and \\\\ and \\n'
    )


def _unescaped(text: str) -> str:
    r"""As Alertmanager reads matchers: \", \\ and \n; any other backslash stays, so a pattern's \d needs no second."""
    return _ESCAPE.sub(lambda found: {'"': '"', "\\": "\\", "n": "\n"}.get(found[1], found[0]), text)


def _compiled(pattern: str) -> Any:
    try:
        return re2.compile(pattern, _OPTIONS)
    except (re2.error, UnicodeError) as wrong:
        said = (
            wrong.args[0].decode("utf-8", "replace") if wrong.args and isinstance(wrong.args[0], bytes) else str(wrong)
        )
        raise NotAccepted(
            f"`{_short(pattern)}` is not a pattern: {said}", "RE2 syntax, which matches the whole text"
        ) from None


def _fits(pattern: Any, found: str) -> bool:
    try:
        return pattern.fullmatch(found) is not None
    except UnicodeEncodeError:  # half a surrogate pair: RE2 reads UTF-8
        return pattern.fullmatch(found.encode("utf-8", "replace").decode()) is not None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"
