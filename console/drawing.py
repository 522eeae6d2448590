"""Where things stand in a picture: times become places, and templates draw. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from console.showing import spoken

# The palette of each theme; the shapes and patterns say the same without it.
COLOURS = {
    "light": {
        "ground": "#ffffff", "line": "#dde1e7", "edge": "#7d8794", "text": "#14181f", "dim": "#525b67",
        "detection": "#fceee5", "response": "#faf1dc", "contained": "#e3f4ee",
        "bad": "#b34700", "warn": "#9a6a00", "good": "#007a59", "info": "#1f77b4",
    },
    "dark": {
        "ground": "#191f27", "line": "#2d3743", "edge": "#758394", "text": "#e8ecf1", "dim": "#a7b1be",
        "detection": "#34221a", "response": "#2f2818", "contained": "#15302a",
        "bad": "#d55e00", "warn": "#e69f00", "good": "#009e73", "info": "#56b4e9",
    },
}  # fmt: skip
WIDTHS = {"wide": 960, "narrow": 360}
STEPS = [timedelta(minutes=one) for one in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440, 2880, 10080, 43200)]
ROW, BARS, TOP = 30, 26, 64
NEAR = 7  # moments that are nearer than so many pixels are one mark with their number


@dataclass(frozen=True, slots=True)
class Axis:
    """From a time to a place."""

    began: datetime
    until: datetime
    left: float
    right: float

    def x(self, at: datetime) -> float:
        share = (at - self.began) / (self.until - self.began)
        return round(self.left + min(1.0, max(0.0, share)) * (self.right - self.left), 1)


def swimlanes(shown: Mapping[str, Any], *, theme: str, size: str, zone: tzinfo) -> dict[str, Any]:
    """Everything of the incident's drawing in its place."""
    width = WIDTHS[size]
    left = 108.0 if size == "wide" else 12.0
    axis = Axis(shown["began"], shown["until"], left, width - 16.0)
    row = ROW if size == "wide" else ROW + 16  # a narrow picture has the label above its lane
    lanes = [
        {**lane, "y": TOP + n * row + row - ROW / 2, "label_y": TOP + n * row + (19 if size == "wide" else 13),
         "moments": together(axis, lane["moments"])}
        for n, lane in enumerate(shown["lanes"])
    ]  # fmt: skip
    bottom = TOP + len(lanes) * row
    bars_top = bottom + 64
    per = BARS if size == "wide" else BARS + 14
    bars = [_bar(axis, one, bars_top + n * per + per - BARS) for n, one in enumerate(shown["heard"])]
    return {
        "c": COLOURS[theme],
        "width": width,
        "height": bars_top + len(bars) * per + (64 if size == "narrow" else 34),
        "left": left,
        "right": width - 16,
        "top": TOP,
        "bottom": bottom,
        "bars_top": bars_top,
        "bars_bottom": bars_top + len(bars) * per,
        "narrow": size == "narrow",
        "lanes": lanes,
        "bars": bars,
        "bands": [
            {**one, "x": axis.x(one["from"]), "w": axis.x(one["to"]) - axis.x(one["from"])} for one in shown["bands"]
        ],
        "marks": _marks(axis, shown["marks"]),
        "changes": [{**one, "x": axis.x(one["at"])} for one in shown["changes"]],
        "ticks": ticks(axis, zone, most=8 if size == "wide" else 4),
        "shown": shown,
        "zone": str(zone),
        "lasted": spoken(shown["until"] - shown["began"]),
    }


def together(axis: Axis, moments: list[tuple[datetime, int]]) -> list[dict[str, Any]]:
    """Moments as marks; those that would lie on each other are one, with how many entries it stands for."""
    found: list[dict[str, Any]] = []
    for at, count in moments:
        x = axis.x(at)
        if found and x - found[-1]["x"] < NEAR:
            found[-1]["count"] += count
        else:
            found.append({"x": x, "count": count})
    return found


def _marks(axis: Axis, marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Milestones with a number each; where two meet, the later one stands a line lower."""
    placed: list[dict[str, Any]] = []
    for n, one in enumerate(sorted(marks, key=lambda mark: mark["at"]), 1):
        x = axis.x(one["at"])
        taken = {mark["line"] for mark in placed if x - mark["x"] < 18}
        placed.append({**one, "n": n, "x": x, "line": next(line for line in range(9) if line not in taken)})
    return placed


def _bar(axis: Axis, one: Mapping[str, Any], y: float) -> dict[str, Any]:
    begin, end = axis.x(one["from"]), axis.x(one["to"])
    return {
        **one,
        "y": y,
        "x": begin,
        "w": max(10.0, end - begin),
        "due_x": axis.x(one["due"]),
        "due_seen": one["due"] <= axis.until,
    }


def ticks(axis: Axis, zone: tzinfo, *, most: int) -> list[dict[str, Any]]:
    """Round times of the viewer's zone under the axis."""
    span = axis.until - axis.began
    step = next((one for one in STEPS if span / one <= most), STEPS[-1])
    midnight = axis.began.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + step * ((axis.began - midnight) // step + 1)
    pattern = "%H:%M" if step < timedelta(days=1) else "%d %b"
    found: list[dict[str, Any]] = []
    while at < axis.until and len(found) < 2 * most:
        found.append({"x": axis.x(at), "label": at.astimezone(zone).strftime(pattern)})
        at += step
    return found


def stages(counted: Mapping[str, Any], *, theme: str, size: str) -> dict[str, Any]:
    """The funnel: a bar for each stage, as long as its share of the greatest."""
    width = WIDTHS[size]
    left = 260.0 if size == "wide" else 12.0
    row = 44 if size == "wide" else 56
    greatest = max([one["count"] for one in counted["stages"]] or [0]) or 1
    room = width - left - 90
    bars = [
        {**one, "y": 12 + n * row + (0 if size == "wide" else 20), "w": round(room * one["count"] / greatest, 1),
         "label_y": 12 + n * row + (19 if size == "wide" else 13)}
        for n, one in enumerate(counted["stages"])
    ]  # fmt: skip
    return {
        "c": COLOURS[theme], "width": width, "height": 24 + row * len(bars), "left": left, "narrow": size == "narrow",
        "bars": bars,
    }  # fmt: skip
