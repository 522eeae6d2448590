"""Every runbook that ships holds what it says: its own examples, read from the files."""

from datetime import date
from pathlib import Path

import pytest

from incidents.library import facts_of_example
from incidents.runbooks import Library, check_library, parse_runbook

FOLDER = Path(__file__).parents[2] / "runbooks"
SHIPPED = [
    parse_runbook(path.read_text(encoding="utf-8"), path.stem)
    for path in sorted(FOLDER.glob("*.md"))
    if path.stem != "README"
]
LIBRARY = Library(SHIPPED)
EXAMPLES = [
    (runbook, kind, example)
    for runbook in SHIPPED
    for kind in ("match", "no_match")
    for example in getattr(runbook.examples, kind)
]


@pytest.mark.parametrize("runbook", SHIPPED, ids=lambda runbook: runbook.name)
def test_a_shipped_runbook_has_no_fault_and_no_warning(runbook):
    assert (runbook.faults, runbook.warnings) == ((), ())
    assert runbook.review_warning(date(2026, 11, 21)) is None


@pytest.mark.parametrize(("runbook", "kind", "example"), EXAMPLES, ids=lambda one: getattr(one, "name", None))
def test_an_example_opens_its_own_runbook_or_must_not(runbook, kind, example):
    found = LIBRARY.match(facts_of_example(example))

    assert (found is runbook) == (kind == "match")


def test_the_library_fits_the_default_policy():
    roles = {"oncall", "tech_lead", "product_owner", "leadership", "affected_clients"}

    assert check_library(LIBRARY, roles=roles, teams={"default"}, severities={"P0", "P1", "P2", "P3"}) == []


def test_three_ship_and_the_checklist_is_the_fallback():
    assert [one.name for one in SHIPPED if one.armed] == ["checkout-error-rate", "database-connection-failure"]
    assert LIBRARY.fallback is not None
    assert LIBRARY.fallback.name == "containment-checklist"


def test_the_checklist_offers_the_four_levers_in_order():
    levers = [step.lever for step in LIBRARY.fallback.worklist() if step.lever]

    assert levers == ["flag_off", "roll_back_deploy", "roll_back_migration", "correct_data"]


def test_the_database_runbook_has_the_seeds_five_steps():
    steps = LIBRARY.get("database-connection-failure").worklist()

    assert [step.phase for step in steps] == ["confirm", "confirm", "contain", "diagnose", "fix"]
    assert steps[1].expect == "It answers HEALTHY."
    assert steps[2].lever == "restart"
