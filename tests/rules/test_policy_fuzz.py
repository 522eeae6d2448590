"""Whatever stands in a policy file: it is read, or refused with the lines of its faults."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.errors import Fault, FaultsFound
from incidents.policy import Policy, load_policy

# Anything that YAML can hold, under the names that the policy knows.
KEYS = st.sampled_from([*Policy.model_fields, "kind", "mapping", "title", "when", "severity", "roles", "hears", "x"])
WORD = st.one_of(st.sampled_from(["5m", "P1", "$.a[?", "true", "-1", "", 'a=~"("', "env:X"]), st.text(max_size=8))
ANY = st.recursive(WORD, lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)), max_leaves=12)


@settings(max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, ANY, max_size=4))
def test_any_policy_is_read_or_refused_with_its_lines(written: dict[str, Any]) -> None:
    faults = faults_of(yaml.safe_dump(written, allow_unicode=True))

    assert faults is None or faults
    assert all(fault.line >= 1 and fault.what for fault in faults or ())


def faults_of(text: str) -> list[Fault] | None:
    """None where the policy is read."""
    try:
        load_policy(text, "p.yaml", lookup=lambda _: None)
    except FaultsFound as found:
        return found.faults
    return None
