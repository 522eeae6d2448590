"""Three answers propose a severity, whatever the table's size; what is not answered counts as the worst."""

from __future__ import annotations

from itertools import product

import pytest

from incidents.impact import QUESTIONS, ROW, propose

TABLE = ["P0", "P1", "P2", "P3"]


def answers(scope: str, workaround: str, revenue: str) -> dict[str, str]:
    return {"scope": scope, "workaround": workaround, "revenue": revenue}


def test_every_combination_has_its_row() -> None:
    assert set(ROW) == set(product(*QUESTIONS.values()))


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        (answers("all", "no", "yes"), "P0"),
        (answers("many", "no", "yes"), "P0"),
        (answers("many", "no", "no"), "P1"),
        (answers("few", "no", "no"), "P2"),
        (answers("few", "yes", "no"), "P3"),
    ],
)
def test_three_answers_propose(given: dict[str, str], severity: str) -> None:
    found = propose(given, TABLE)

    assert found is not None
    assert (found.severity, found.certain) == (severity, True)


def test_no_answer_makes_it_worse_than_the_worst_it_could_still_be() -> None:
    for question, known in QUESTIONS.items():
        for value in known:
            partly = propose({question: value}, TABLE)
            wholes = [
                propose({**dict(zip(QUESTIONS, rest, strict=True)), question: value}, TABLE)
                for rest in product(*QUESTIONS.values())
            ]
            assert partly is not None
            assert not partly.certain
            assert partly.severity == min(one.severity for one in wholes if one)


def test_nothing_answered_proposes_nothing() -> None:
    assert propose({}, TABLE) is None


def test_a_shorter_table_ends_at_its_last_row() -> None:
    found = propose(answers("few", "yes", "no"), ["SEV1", "SEV2"])

    assert found is not None
    assert found.severity == "SEV2"
    assert found.reason == "A few or one feature are affected, there is a way around it, it is not on the revenue path."
