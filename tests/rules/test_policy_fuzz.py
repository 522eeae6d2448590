"""Whatever stands in a policy file: it is read, or refused with the lines of its faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from incidents.book import Book
from incidents.conditions import Facts
from incidents.decision import decide
from incidents.errors import Fault, FaultsFound
from incidents.policy import Policy, load_policy
from incidents.runbooks import Library
from incidents.yamlfile import read_yaml
from tests.fixtures.anything import damaged, in_time, tried
from tests.fixtures.desk import CAST

ROOT = Path(__file__).parents[2]
WRITTEN = [
    (ROOT / "incidents" / "default_policy.yaml").read_text(encoding="utf-8"),
    (ROOT / "firedoor" / "starter" / "firedoor.yaml").read_text(encoding="utf-8"),
    CAST + 'services: {shop: {name: Shop, team: default, match: ["service=\\"shop\\""], depends_on: []}}\n'
    'heartbeats: {backup: {every: 24h, grace: 1h}}\nsilences: [{when: ["a=b"], schedule: "sun 02:00", for: 2h, '
    "reason: x, owner: ada}]\nsources: {lab: {kind: generic, mapping: {title: $.a, fingerprint: [$.b, x]}}}\n",
]
POLICIES = [read_yaml(text, "original").value for text in WRITTEN]

# Anything that YAML can hold, under the names that the policy knows.
KEYS = st.sampled_from([*Policy.model_fields, "kind", "mapping", "title", "when", "severity", "roles", "hears", "x"])
WORD = st.one_of(
    st.sampled_from(
        ["5m", "P1", "$.a[?", "true", "-1", "", 'a=~"("', "env:X", "9" * 400 + "h", "0s", "5wd", "101%", "mon 25:61"]
    ),
    st.text(max_size=8),
)
ANY = st.recursive(WORD, lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)), max_leaves=12)
ALERTS = [
    Facts(source=source, labels={"alertname": "Slow", "service": "shop", "severity": severity, "env": "prod"})
    for source in ("alertmanager", "lab", "heartbeat")
    for severity in ("critical", "warning", "info", "sev9")
]


def look_at(text: str) -> None:
    """Read it; what is read must decide about any alert, what is refused must say where and why."""
    with in_time():
        found = read(text)
        if isinstance(found, list):
            assert found
            assert all(fault.line >= 1 and fault.what for fault in found)
            return
        for facts in ALERTS:
            decide(facts, Book(found, Library([])))
        found.rules()


def read(text: str) -> Policy | list[Fault]:
    try:
        return load_policy(text, "p.yaml", lookup=lambda _: None)
    except FaultsFound as found:
        return found.faults


@tried(40, share=20)
@given(st.dictionaries(KEYS, ANY, max_size=4))
def test_any_policy_is_read_or_refused_with_its_lines(written: dict[str, Any]) -> None:
    look_at(yaml.safe_dump(written, allow_unicode=True))


@tried(40, share=20)
@given(damaged(POLICIES, ANY))
def test_a_damaged_policy_is_read_or_refused_with_its_lines(written: dict[str, Any]) -> None:
    look_at(yaml.safe_dump(written, allow_unicode=True))


@tried(40, share=20)
@given(st.sampled_from(WRITTEN), st.floats(0, 1), st.integers(0, 40), st.text(max_size=12))
def test_a_policy_with_a_slip_of_the_pen_is_read_or_refused(text: str, where: float, lost: int, more: str) -> None:
    at = int(where * len(text))
    look_at(text[:at] + more + text[at + lost :])
