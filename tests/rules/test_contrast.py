"""Colours that people can read: every pair of tokens that meets on a page, in both themes, by WCAG's own formula."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "console" / "static"
CSS = (STATIC / "tokens.css").read_text()
TEXT, GRAPHICS = 4.5, 3.0
GROUNDS = ("ground", "card", "sunk")
READ_ON = {
    "text": (*GROUNDS, "p0-ground", "p1-ground", "p2-ground", "p3-ground", "ok-ground", "late-ground", "warn-ground"),
    "dim": GROUNDS,
    "link": (*GROUNDS, "late-ground", "warn-ground"),
    "late": (*GROUNDS, "late-ground"),
    "ok-text": (*GROUNDS, "ok-ground"),
    "p0-text": ("card", "p0-ground"),
    "p1-text": ("card", "p1-ground"),
    "p2-text": ("card", "p2-ground"),
    "p3-text": ("card", "p3-ground"),
    "on-badge": ("p0", "p1", "p2", "p3"),
    "on-go": ("go", "go-over"),
}
SEEN_ON = {
    "p0": ("card", "ground", "p0-ground", "late-ground"),
    "p1": ("card", "ground", "warn-ground"),
    "p2": ("card", "ground", "p2-ground"),
    "p3": ("card", "ground", "p3-ground"),
    "ok": ("card", "ground", "ok-ground"),
    "info": ("card", "ground"),
    "edge": ("card", "ground"),
    "focus": GROUNDS,
    "go": ("card", "ground"),
    "mark": ("card", "ground"),
}
PAIRS = [(one, on, TEXT) for one, grounds in READ_ON.items() for on in grounds]
PAIRS += [(one, on, GRAPHICS) for one, grounds in SEEN_ON.items() for on in grounds]
# Okabe and Ito's colours as the requirements give them (U39)
GIVEN = {
    "light": {"p0": "#b34700", "p1": "#9a6a00", "p2": "#1f77b4", "p3": "#6b6b6b", "ok": "#007a59"},
    "dark": {
        "ground": "#12161c", "p0": "#d55e00", "p1": "#e69f00", "p2": "#56b4e9", "p3": "#8a8a8a", "ok": "#009e73",
        "info": "#0072b2",
    },
}  # fmt: skip


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def block_after(selector: str) -> str:
    start = CSS.index(selector)
    return CSS[start : CSS.index("}", start)]


THEMES = {"light": tokens(block_after(":root {")), "dark": tokens(block_after(':root[data-theme="dark"] {'))}


def linear(colour: str) -> tuple[float, float, float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return red, green, blue


def luminance(colour: str) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_colours_that_meet_can_be_told_apart(theme: str) -> None:
    colours = THEMES[theme]

    low = {
        f"{one} on {on}": round(contrast(colours[one], colours[on]), 2)
        for one, on, least in PAIRS
        if contrast(colours[one], colours[on]) < least
    }

    assert low == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_of_severities_are_those_that_were_given(theme: str) -> None:
    assert {name: THEMES[theme][name] for name in GIVEN[theme]} == GIVEN[theme]


def test_the_dark_theme_is_the_same_by_choice_and_by_the_system() -> None:
    assert tokens(block_after(':root:not([data-theme="light"]) {')) == THEMES["dark"]


def test_both_themes_name_the_same_colours() -> None:
    assert THEMES["light"].keys() == THEMES["dark"].keys()


def test_the_style_names_no_colour_of_its_own() -> None:
    for name in ("components.css", "frame.css", "pages.css", "incident.css"):
        own = re.findall(r"#[0-9a-f]{3,8}\b", re.sub(r"@media print \{.*", "", (STATIC / name).read_text()))
        assert own == [], f"{name}: {own}"
