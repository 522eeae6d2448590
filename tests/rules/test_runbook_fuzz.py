"""Whatever stands in a runbook file: it is a runbook, or one whose faults have their lines; none breaks matching."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from incidents.conditions import Facts
from incidents.library import claimed_twice, facts_of_example
from incidents.runbooks import Library, check_library, parse_runbook
from incidents.yamlfile import read_yaml
from tests.fixtures.anything import damaged, in_time, tried
from tests.rules.test_runbooks import GOOD

WRITTEN = [GOOD, *(path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "runbooks").glob("*.md"))]
WRITTEN = [text for text in WRITTEN if text.startswith("---\n")]
PARTS = [(text.split("---\n")[1], text.split("---\n", 2)[2]) for text in WRITTEN]
FRONTS = [read_yaml(front, "original").value for front, _ in PARTS]

KEYS = st.sampled_from(["title", "owner", "when", "severity", "opens", "group_by", "examples", "steps", "levers", "x"])
WORD = st.one_of(
    st.sampled_from(
        ["5m", "P1", "open", "true", "-1", "", 'a=~"("', "value > 5ms", "value > 1e999", "count(10m) >= 5", "source=a",
         "count(99999999999d) > 9", 'a=~"(a+)+$"', "annotation:x != y", "2026-02-30", "9" * 400, "NaN", "value > NaN"]
    ),
    st.text(max_size=8),
)  # fmt: skip
ANY = st.recursive(WORD, lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)), max_leaves=8)
ALERTS = [
    Facts(labels={"alertname": "AuthSlow", "service": "shop", "severity": "critical"}, value=value, recent=())
    for value in (None, 0.6, float("inf"), -1e308)
]


def look_at(text: str) -> None:
    with in_time():
        runbook = parse_runbook(text, "x")
        assert runbook.faults or runbook.title
        assert all(fault.line >= 1 and fault.what for fault in runbook.faults)
        runbook.worklist()
        library = Library([runbook, *SHELF])
        for facts in [*ALERTS, *(facts_of_example(one) for one in runbook.examples.match)]:
            library.explain(facts)
            library.match(facts)
            library.lend(facts)
        check_library(library, roles={"oncall"}, teams={"default"}, severities={"P0", "P1"})
        claimed_twice(library)


SHELF = [parse_runbook(GOOD, "auth-slow")]


@tried(80, share=20)
@given(damaged(FRONTS, ANY), st.sampled_from([body for _, body in PARTS]))
def test_a_damaged_front_matter_is_a_runbook_or_its_faults(front: dict[str, Any], body: str) -> None:
    look_at(f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n{body}")


@tried(80, share=20)
@given(st.sampled_from(WRITTEN), st.floats(0, 1), st.integers(0, 40), st.text(max_size=12))
def test_a_runbook_with_a_slip_of_the_pen_never_breaks_the_reader(
    text: str, where: float, lost: int, more: str
) -> None:
    at = int(where * len(text))
    look_at(text[:at] + more + text[at + lost :])
