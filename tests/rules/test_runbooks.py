"""Runbooks: what is read, every fault with its line, and which one an alert matches."""

import time
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.conditions import Facts
from incidents.runbooks import Library, check_library, parse_runbook

GOOD = """---
title: Auth is slow
owner: default
severity: P1
when:
  - alertname="AuthSlow"
  - value > 500ms
levers:
  - {lever: correct_data, verdict: skip, reason: nothing is wrong with it}
  - {lever: flag_off, verdict: pull, expect: fast again, with: {flag: new-login}}
steps:
  - {phase: diagnose, text: Look at the pool.}
  - {phase: confirm, text: Is it slow?, expect: Over 500 ms., timeout: 2m}
  - {phase: contain, text: Tell support., expect: They know.}
escalation:
  - {after: 5m, page: tech_lead}
  - {after: 10m, page: oncall, everyone: true}
examples:
  match:
    - {labels: {alertname: AuthSlow}, value: 600ms}
  no_match:
    - {labels: {alertname: AuthSlow}, value: 400ms}
reviewed: 2026-10-01
---
## Meaning
## Impact
## First five minutes
## Containment
## When it is over
## Escalation
"""
SLOW = Facts(labels={"alertname": "AuthSlow"}, value=0.6)


def changed(*pairs, name="auth-slow", text=GOOD):
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return parse_runbook(text, name)


def test_a_good_runbook_is_armed_without_a_warning():
    runbook = parse_runbook(GOOD, "auth-slow")

    assert (runbook.faults, runbook.warnings, runbook.armed) == ((), (), True)
    assert runbook.escalation[1].after == timedelta(minutes=10)
    assert len(runbook.digest) == 16


def test_the_worklist_has_levers_in_rank_order_and_diagnosis_after_containment():
    steps = parse_runbook(GOOD, "auth-slow").worklist()

    assert [(step.n, step.phase, step.lever, step.rank) for step in steps] == [
        (1, "confirm", None, None),
        (2, "contain", "flag_off", 1),
        (3, "contain", "correct_data", 4),
        (4, "contain", None, None),
        (5, "diagnose", None, None),
    ]
    assert steps[1].text == "Switch the feature flag off (flag new-login)."
    assert steps[2].facts == {"verdict": "skip", "reason": "nothing is wrong with it"}


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("title: Auth is slow\n", "", 2, "`title` is missing."),
        ("owner: default", "ownr: default", 3, "Unknown key `ownr`."),
        ("owner: default", 'owner: " "', 3, "`owner`: it is empty."),
        ('  - alertname="AuthSlow"', '  - alertname="AuthSlow', 6, "is not a value"),
        ("value > 500ms", "value > 500 parsecs", 7, "is not a number"),
        ("reason: nothing is wrong with it", "cost: x", 9, "is skipped without a reason."),
        ("verdict: skip, reason", "verdict: pull, expect: x, reason", 9, "never corrected before"),
        ("lever: flag_off", "lever: flagoff", 10, "which is not known."),
        ("verdict: pull, expect: fast again", "verdict: pull", 10, "has no expected outcome."),
        ("verdict: pull", "verdict: push", 10, "can't be `push`."),
        ("lever: flag_off", "lever: roll_back_migration", 10, "reversible."),
        ("lever: flag_off", "lever: correct_data", 10, "is listed twice."),
        ("expect: Over 500 ms., ", "", 13, "`steps[1]` has no expected outcome."),
        ("phase: contain", "phase: contian", 14, "can't be `contian`."),
        ("after: 10m", "after: 5m", 17, "`escalation[1].after` is 5 min, but the step before it is 5 min."),
        ("reviewed: 2026-10-01", "reviewed: soon", 23, "is not a date."),
    ],
)
def test_a_fault_has_its_line_and_disarms(old, new, line, what):
    runbook = changed((old, new))

    assert [(fault.line, what in fault.what) for fault in runbook.faults if what in fault.what] == [(line, True)]
    assert not runbook.armed


def test_all_faults_are_found_at_once():
    runbook = changed(("owner: default\n", ""), ("after: 10m", "after: 1m"), ("value > 500ms", "nonsense"))

    assert len(runbook.faults) == 3
    assert runbook.title == "Auth is slow"


@pytest.mark.parametrize("text", ["", "# only prose", "---\n", "---\ntitle: x", "---\n[\n---\n", "---\n- a\n---\n"])
def test_a_file_without_sound_front_matter_is_a_runbook_with_faults(text):
    assert parse_runbook(text, "x").faults


def test_windows_line_ends_and_a_byte_order_mark_are_read():
    assert parse_runbook("\ufeff" + GOOD.replace("\n", "\r\n"), "x").armed


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("severity: P1\n", "", "it names no severity"),
        ("severity: P1", "severity: P1\ndraft: true", "it is a draft"),
        ("severity: P1", "severity: P1\nfallback: yes", "it is the fallback, which only lends its steps"),
        ("severity: P1", "severity: P1\nopens: suggest", "it says `opens: suggest`"),
    ],
)
def test_what_is_not_armed_never_matches_and_says_why(old, new, why):
    runbook = changed((old, new))

    assert (runbook.faults, runbook.unarmed) == ((), why)
    assert Library([runbook]).match(SLOW) is None
    assert why in Library([runbook]).explain(SLOW)[0].why


def test_a_missing_heading_and_an_old_review_only_warn():
    runbook = changed(("## Impact\n", ""))

    assert [fault.what for fault in runbook.warnings] == ["The heading “Impact” is missing."]
    assert runbook.armed
    assert runbook.review_warning(date(2027, 9, 30)) is None
    assert "2026-10-01" in runbook.review_warning(date(2027, 10, 2)).what


def test_priority_wins_then_more_conditions_then_the_name():
    plain = changed(("  - value > 500ms\n", ""), name="a")
    more = changed(name="c")
    same = changed(name="b")
    first = changed(("severity: P1", "severity: P1\npriority: 5"), ("  - value > 500ms\n", ""), name="d")

    assert Library([plain, more]).match(SLOW) is more
    assert Library([plain, more, same]).match(SLOW) is same
    assert Library([plain, more, same, first]).match(SLOW) is first


def test_explain_says_what_did_not_hold_and_who_came_first():
    other = changed(("AuthSlow", "CartSlow"), name="cart")
    later = changed(("  - value > 500ms\n", ""), name="later")
    said = Library([other, later, changed()]).explain(SLOW)

    assert [(one.name, one.matched) for one in said] == [("auth-slow", True), ("cart", False), ("later", False)]
    assert said[1].why == 'alertname="CartSlow": it is "AuthSlow"'
    assert "“auth-slow” comes first (2 conditions against 1)" in said[2].why


def test_a_nested_list_is_any_of_and_is_found_by_each():
    either = changed(('- alertname="AuthSlow"', '- [alertname="X", alertname="AuthSlow"]'))
    library = Library([either])

    assert library.match(SLOW) is either
    assert library.match(Facts(labels={"alertname": "X"}, value=1)) is either
    assert library.match(Facts(labels={"alertname": "Y"}, value=1)) is None


def test_a_runbook_without_an_exact_label_is_still_found():
    pattern = changed(('alertname="AuthSlow"', 'alertname=~"Auth.*"'))

    assert Library([pattern]).match(SLOW) is pattern


def test_check_finds_examples_that_do_not_hold_and_names_nobody_knows():
    wrong = changed(("value: 600ms", "value: 100ms"), ("page: tech_lead", "page: dba"))
    rival = changed(("severity: P1", "severity: P1\npriority: 1"), name="rival")
    said = [str(fault) for fault in check_library(Library([wrong]), roles={"oncall", "tech_lead"})]

    assert (
        said[0]
        == "auth-slow.md:1: `escalation.page` names `dba`, which the policy does not know. Accepted: oncall, tech_lead."
    )
    assert "`examples.match[0]` does not match: value > 500ms: the value is 0.1." in said[1]
    assert "opens “rival” instead" in str(check_library(Library([changed(), rival]), roles=())[0])


def test_two_thousand_runbooks_match_as_fast_as_ten():
    def spent(count):
        library = Library(changed(("AuthSlow", f"A{n}"), name=f"r{n}") for n in range(count))
        facts = Facts(labels={"alertname": "A7", "env": "prod"}, value=1)
        tries = []
        for _ in range(50):
            began = time.perf_counter()
            assert library.match(facts).name == "r7"
            tries.append(time.perf_counter() - began)
        return min(tries)

    assert spent(2000) - spent(10) < 500e-6


@given(st.text(max_size=80) | st.text(max_size=80).map(lambda text: f"---\n{text}\n---\n"))
def test_any_text_is_a_runbook_or_its_faults(text):
    runbook = parse_runbook(text, "x")

    assert runbook.faults or runbook.title
