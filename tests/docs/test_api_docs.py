"""docs/api.md names every route of the API, every command of the command line, and nothing that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from console.fields import Route
from console.routes import ROUTES
from firedoor.cli import main

DOCS = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text(encoding="utf-8")


def commands(group: click.Group = main, before: str = "firedoor") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before} {name}")
        else:
            yield f"{before} {name}"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_has_its_line_and_its_fields(route: Route) -> None:
    line = re.search(rf"^\| `{route.method} {re.escape(route.path)}` \|.*$", DOCS, re.MULTILINE)

    assert line, f"docs/api.md lacks {route.method} {route.path}"
    for one in (*route.fields, *route.query):
        assert f"`{one.name}`" in line[0], one.name


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_has_its_line(command: str) -> None:
    assert re.search(rf"^\| `{command}[` ]", DOCS, re.MULTILINE), f"docs/api.md lacks {command}"


def test_no_route_or_command_is_told_of_that_does_not_exist() -> None:
    routes = {f"{route.method} {route.path}" for route in ROUTES}
    told = set(re.findall(r"^\| `((?:GET|POST) [^`]+)` \|", DOCS, re.MULTILINE))
    assert told <= routes | {"GET /healthz", "GET /readyz", "GET /metrics", "GET /api/openapi.json", "GET /api/docs"}

    known = set(commands())
    for line in re.findall(r"^\| `(firedoor [^`]+)`", DOCS, re.MULTILINE):
        assert any(line == command or line.startswith(f"{command} ") for command in known), line
