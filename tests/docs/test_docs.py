"""The docs and the product say the same: a setting or a dependency that is not explained fails here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from firedoor.settings import GENERATED, VARIABLES

ROOT = Path(__file__).resolve().parents[2]
OPERATING = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_setting_has_its_line_in_operating(variable: object) -> None:
    assert re.search(rf"^\| `{re.escape(variable.name)}` \|", OPERATING, re.MULTILINE)  # type: ignore[attr-defined]


def test_operating_names_no_setting_that_does_not_exist() -> None:
    known = {variable.name for variable in VARIABLES}
    senders = ("EU_WEST_TOKEN", "SENTRY_SECRET", "ALERTMANAGER_TOKEN")
    examples = {f"FIREDOOR_{name}{which}" for name in senders for which in ("", "_PREVIOUS")}
    examples |= {f"{name}_FILE" for name in known}

    named = set(re.findall(r"FIREDOOR_[A-Z_<>]+[A-Z>]", OPERATING))

    assert named <= known | examples


def test_each_rule_that_watches_firedoor_says_what_to_do_when_it_fires() -> None:
    rules = re.findall(r"- alert: (\w+)", (ROOT / "firedoor/firedoor.rules.yml").read_text(encoding="utf-8"))
    what_to_do = dict(re.findall(r"^### (Firedoor\w+)\n(.*?)(?=^##)", OPERATING, re.MULTILINE | re.DOTALL))

    assert list(what_to_do) == rules
    assert all("\n1. " in lines for lines in what_to_do.values())


@pytest.mark.parametrize("name", GENERATED)
def test_every_generated_secret_is_explained(name: str) -> None:
    assert f"`{name}`" in OPERATING


def test_every_dependency_has_its_reason_and_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")

    for requirement in project["dependencies"]:
        name = re.split(r"[\[><=;\s]", requirement)[0]
        assert re.search(rf"^\| {re.escape(name)}\b[^|]*\|[^|]+\|[^|]+\|", table, re.MULTILINE), name


def test_the_stated_number_of_core_packages_is_the_lock_s() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9-]+==.*$", lock, re.MULTILINE)
    linux = [pin for pin in pins if "python_full_version < '3.11" not in pin and "== 'win32'" not in pin]
    stated = re.search(r"\*\*(\d+) packages", (ROOT / "docs/dependencies.md").read_text(encoding="utf-8"))

    assert stated
    assert int(stated[1]) == len(linux) <= 45


def test_no_lock_names_an_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_docs_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target
