"""The rules that are frozen into an incident: a later edit of the policy does not change what is running."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from incidents.calendar import Calendar
from incidents.labels import labels_of
from incidents.policykeys import Escalation, HearingRule, Key, Lever, Organisation, Severity


class Rules(Key):
    """The part of the policy that is frozen into an incident: a later edit doesn't change what is running."""

    organisation: Organisation
    severities: dict[str, Severity]
    hearing: HearingRule
    escalation: Escalation
    calendar: Calendar
    levers: dict[str, Lever]

    def rank(self, code: str) -> int:
        """0 is the worst. A code that the policy doesn't know ranks last."""
        known = list(self.severities)
        return known.index(code) if code in known else len(known)

    def worst(self, codes: Iterable[str]) -> str:
        """The worst of some codes. ValueError where there is none."""
        return min(codes, key=self.rank)

    @cached_property
    def labels(self) -> Mapping[str, Mapping[str, str]]:
        """What people read: `severity`, `status` and `role`, each canonical name → shown name."""
        return labels_of(self.organisation, list(self.severities))


@dataclass(frozen=True)
class _Frozen:
    """Rules known by their digest, so that the same ones are built once."""

    digest: str
    facts: Mapping[str, Any] = field(compare=False, hash=False)


def read_rules(frozen: Mapping[str, Any]) -> Rules:
    """The rules that `Policy.rules` froze."""
    return _read(_Frozen(frozen["digest"], frozen))


@lru_cache(maxsize=64)
def _read(frozen: _Frozen) -> Rules:
    return Rules.model_validate({name: value for name, value in frozen.facts.items() if name != "digest"})
