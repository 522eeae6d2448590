"""Every sentence that the record keeps can be said with the facts it gets, and every refusal is a sentence."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from incidents import lifecycle
from incidents.words import ENDED, TIMELINE, VERB_WORDS, because, names, refusal, say

HERE = Path(__file__).resolve().parents[2] / "incidents"
SENTENCE = re.compile(r"[.!?”}]$")


def test_every_code_that_is_written_has_a_sentence() -> None:
    written = set()
    for path in HERE.glob("*.py"):
        for call in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)):
            if isinstance(call.func, ast.Attribute) and call.func.attr == "write" and len(call.args) == 3:
                code = call.args[2]
                written |= {code.value} if isinstance(code, ast.Constant) else set()

    assert written <= set(TIMELINE)
    assert len(written) > 40


@pytest.mark.parametrize("code", sorted(TIMELINE))
def test_every_code_formats(code: str) -> None:
    needed = [name for _, name, _, _ in string.Formatter().parse(TIMELINE[code]) if name]
    text = say(code, **dict.fromkeys(needed, "it"))

    assert "{" not in text
    assert text == text.strip()


@pytest.mark.parametrize("verb", sorted({verb for _, verb in lifecycle.NEXT} | set(lifecycle.ALLOWED)))
@pytest.mark.parametrize("status", sorted(ENDED))
def test_every_refusal_is_a_sentence_that_says_that_nothing_was_changed(verb: str, status: str) -> None:
    assert "Nothing was changed." in refusal(verb, status)


def test_every_verb_that_can_be_refused_has_its_word() -> None:
    everywhere = {verb for verb, where in lifecycle.ALLOWED.items() if set(where) == set(ENDED)}
    refusable = ({verb for _, verb in lifecycle.NEXT} | set(lifecycle.ALLOWED)) - everywhere

    assert refusable <= set(VERB_WORDS)


@pytest.mark.parametrize(
    ("people", "text"),
    [([], ""), (["Ada"], "Ada"), (["Ada", "Ben"], "Ada and Ben"), (["Ada", "Ben", "Cy"], "Ada, Ben and Cy")],
)
def test_names(people: list[str], text: str) -> None:
    assert names(people) == text


def test_because() -> None:
    assert because("") == because(None) == ""
    assert because("It rains.") == " Reason: It rains."
