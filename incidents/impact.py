"""Three questions, one tap each: how many, any way around it, does it cost revenue; they propose a severity (R9).

A person confirms by the severity verb: the answers never change it by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

ALL, MANY, FEW = "all", "many", "few"
YES, NO = "yes", "no"
SCOPE, WORKAROUND, REVENUE = "scope", "workaround", "revenue"

# Each question, and its answers with the words that the record keeps.
QUESTIONS: dict[str, dict[str, str]] = {
    SCOPE: {
        ALL: "everybody is affected",
        MANY: "many are affected",
        FEW: "a few or one feature are affected",
    },
    WORKAROUND: {NO: "there is no way around it", YES: "there is a way around it"},
    REVENUE: {YES: "it is on the revenue path", NO: "it is not on the revenue path"},
}

# (scope, workaround, revenue) → which row of the severity table, from the worst.
ROW = {
    (ALL, NO, YES): 0,
    (ALL, NO, NO): 0,
    (ALL, YES, YES): 1,
    (ALL, YES, NO): 1,
    (MANY, NO, YES): 0,
    (MANY, NO, NO): 1,
    (MANY, YES, YES): 1,
    (MANY, YES, NO): 2,
    (FEW, NO, YES): 1,
    (FEW, NO, NO): 2,
    (FEW, YES, YES): 2,
    (FEW, YES, NO): 3,
}


class Proposal(NamedTuple):
    """What the answers say the severity should be, and why. `certain` once all three are answered."""

    severity: str
    reason: str
    certain: bool


def propose(answers: Mapping[str, str], severities: Sequence[str]) -> Proposal | None:
    """The severity for these answers; where one is missing, the worst that is still possible. None without any."""
    if not answers:
        return None
    possible = [(answers[question],) if question in answers else tuple(known) for question, known in QUESTIONS.items()]
    worst = min(ROW[scope, workaround, revenue] for scope, workaround, revenue in product(*possible))
    severity = severities[min(worst, len(severities) - 1)]
    return Proposal(severity, said(answers), len(answers) == len(QUESTIONS))


def said(answers: Mapping[str, str]) -> str:
    """`Many are affected, there is no way around it, it is on the revenue path.`"""
    words = ", ".join(known[answers[question]] for question, known in QUESTIONS.items() if question in answers)
    return f"{words[:1].upper()}{words[1:]}." if words else ""
