"""Every state and every verb: where it leads, or the sentence that refuses it."""

from __future__ import annotations

import pytest

from incidents.errors import Refused
from incidents.lifecycle import ACTIVE, ALLOWED, CLOSED, CONTAINED, LABELS, NEXT, RESOLVED, STOOD_DOWN, next_state

A, C, R, S, X = ACTIVE, CONTAINED, RESOLVED, STOOD_DOWN, CLOSED
VERBS = sorted({verb for _, verb in NEXT} | set(ALLOWED))
TABLE = {  # verb: what it leads to from active, contained, resolved, stood down, closed; "" is refused
    "acknowledge": (A, C, "", "", ""),
    "unacknowledge": (A, C, "", "", ""),
    "clear": (X, X, "", "", ""),
    "contain": (C, "", "", "", ""),
    "decline": (A, C, "", "", ""),
    "escalate": (A, C, "", "", ""),
    "note": (A, C, R, S, X),
    "override": (A, C, "", "", ""),
    "reopen": ("", A, A, A, ""),
    "resolve": (R, R, "", "", ""),
    "role": (A, C, R, "", ""),
    "accept": (A, C, R, "", ""),
    "seen": (A, C, R, "", ""),
    "severity": (A, C, R, "", ""),
    "impact": (A, C, R, "", ""),
    "stand_down": ("", "", S, "", ""),
    "step": (A, C, R, "", ""),
    "updates": (A, C, R, "", ""),
    "merge": (X, X, X, "", ""),
    "false_alarm": (X, X, X, "", ""),
    "separate": (A, C, "", "", ""),
    "split": (A, C, "", "", ""),
    "runbook": (A, C, "", "", ""),
    "undo": (A, C, R, S, X),
}
CASES = [(status, verb, TABLE[verb][n]) for verb in TABLE for n, status in enumerate(LABELS)]


def test_the_table_names_every_verb() -> None:
    assert sorted(TABLE) == VERBS


@pytest.mark.parametrize(("status", "verb", "reached"), CASES)
def test_a_verb_leads_where_the_table_says_or_is_refused_with_a_sentence(status: str, verb: str, reached: str) -> None:
    if reached:
        assert next_state(status, verb) == reached
        return
    with pytest.raises(Refused) as no:
        next_state(status, verb)
    assert no.value.code == f"{verb}.{status}"
    assert no.value.sentence.endswith(".")
    assert "Nothing was changed." in no.value.sentence


@pytest.mark.parametrize("reason", ["complete", "merged", "false_alarm", "drill", "self_cleared"])
def test_only_what_cleared_by_itself_reopens_once_it_is_closed(reason: str) -> None:
    if reason == "self_cleared":
        assert next_state(CLOSED, "reopen", closed_reason=reason) == ACTIVE
        return
    with pytest.raises(Refused):
        next_state(CLOSED, "reopen", closed_reason=reason)
