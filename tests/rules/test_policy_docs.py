"""The page about the policy names every key, and its examples are read as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from incidents.policy import Policy, load_policy

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


def section_of(key: str) -> str:
    found = re.search(rf"^## {key}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for known in annotation.model_fields.values():
            yield from models_in(known.annotation)
    for inner in get_args(annotation):
        yield from models_in(inner)


@pytest.mark.parametrize("key", list(Policy.model_fields))
def test_every_key_of_the_policy_is_on_the_page(key: str) -> None:
    assert f"`{key}`" in PAGE

    for model in models_in(Policy.model_fields[key].annotation):
        # A map that several keys share, such as the caps of levers or a secret, is described once.
        places = [section_of(key), PAGE] if model.__name__ in ("Caps", "Limits", "Reference") else [section_of(key)]
        for name, known in model.model_fields.items():
            line = f"| `{known.alias or name}` |"
            assert any(line in place for place in places), f"{key}: {model.__name__}.{name}"
            assert known.description, f"{key}: {model.__name__}.{name} has no description"


def test_the_examples_of_the_page_are_one_policy_without_faults() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    people = "  ben: {name: Ben}\n  cy: {name: Cy}\n  me: {name: Me}\n"
    text = "".join(f"{block}{people}" if block.startswith("people:") else block for block in blocks)

    policy = load_policy(text, "docs/policy.md", lookup=lambda _: "set")

    assert len(blocks) == len(Policy.model_fields) - 1  # all but `version`
    assert policy.services["checkout"].team == "payments"
