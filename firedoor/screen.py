"""What the command line prints: tables that fit 80 columns, texts from outside made harmless, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

STEERING = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")  # JSON lets them stand


def console(*, err: bool = False) -> Console:
    """No markup and no emoji codes: a label such as `[/prod]` is somebody's text, not ours."""
    return Console(markup=False, emoji=False, highlight=False, stderr=err, soft_wrap=False)


def plain(value: object) -> str:
    """Without control characters: a label must not move somebody's cursor."""
    return "" if value is None else CONTROL.sub("", str(value))


def say(text: object = "") -> None:
    """Lines of prose, wrapped where they have a space; a path or an address stays whole."""
    width = console().width
    for line in plain(text).splitlines() or [""]:
        for row in wrapped(line, width):
            click.echo(row)


def wrapped(line: str, width: int) -> list[str]:
    """A line as rows of at most so many cells: a wide character takes two. Its own indentation stays."""
    bare = line.lstrip(" ")
    rows, row = [], line[: len(line) - len(bare)]
    empty = row
    for word in _words(bare, width):
        if row != empty and cell_len(f"{row} {word}") > width:
            rows.append(row)
            row = empty = "  "
        row = f"{row}{word}" if row == empty else f"{row} {word}"
    return [*rows, row.rstrip(" ")]


def _words(line: str, width: int) -> Iterator[str]:
    """Words as they stand; one of wide characters is longer than a line has room for, and has no spaces to break at."""
    for word in line.split(" "):
        if cell_len(word) > width - 2 and cell_len(word) > len(word):
            yield from chop_cells(word, width - 2)
        else:
            yield word


def as_json(value: Any, *, indent: int | None = 2) -> None:
    """For programs, and harmless where a terminal shows it: what steers one is written as an escape."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    click.echo(STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One row a thing; the last column takes what is left and wraps."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings[:-1]:
        shown.add_column(heading, overflow="fold", no_wrap=False)
    shown.add_column(headings[-1], overflow="fold", ratio=1)
    for row in rows:
        shown.add_row(*(Text(plain(cell)) for cell in row))
    console().print(shown)


def grid(rows: Iterable[tuple[str, str]]) -> Table:
    """What is said of each thing, beside its name; for a screen that stands still."""
    shown = Table.grid(padding=(0, 2, 0, 0))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold", ratio=1)
    for name, said in rows:
        shown.add_row(Text(plain(name)), Text(plain(said)))
    return shown


def moment(text: str | None) -> str:
    """`11-21 14:37:05Z`; times on screen are UTC."""
    if not text:
        return ""
    return f"{datetime.fromisoformat(text):%m-%d %H:%M:%SZ}"
