"""Compares what happened with the labels: grouping, what was missed, who was woken, and who should not have been."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from bench.week.replay import ALERT, Replayed

NIGHT = timedelta(hours=12)
Figure = tuple[str, str, str, bool]  # what, measured, to reach, reached


def judge(replayed: Replayed, labels: Iterable[Mapping[str, Any]], *, start: datetime, end: datetime) -> list[Figure]:
    """The figures of issue and docs, each with what it must reach."""
    rows = list(labels)
    truth = {(row["source"], row["fingerprint"], row["starts_at"]): row for row in rows}
    precision, recall = _grouping(replayed.incident_of, truth)
    missed = _missed(replayed, rows)
    wrong = _wrong(replayed, truth)
    nights = _nights(replayed, start, end)
    quiet, transients = _quiet(replayed, rows)
    typical = median(nights) if nights else 0.0
    share = quiet / transients if transients else 1.0
    return [
        ("grouping precision (pairs of alerts)", f"{precision:.3f}", "≥ 0.95", precision >= 0.95),
        ("grouping recall (pairs of alerts)", f"{recall:.3f}", "≥ 0.95", recall >= 0.95),
        ("true incidents that woke nobody of theirs", str(len(missed)), "0", not missed),
        ("pages per person and 12 h, median night", f"{typical:g}", "≤ 2", typical <= 2),
        ("pages to a person whose incident it was not", str(wrong), "0", wrong == 0),
        ("transients that woke nobody", f"{share:.1%} of {transients}", "≥ 95 %", share >= 0.95),
    ]


def _grouping(predicted: Mapping[ALERT, str], truth: Mapping[ALERT, Mapping[str, Any]]) -> tuple[float, float]:
    """Of pairs put together, how many belong together; of pairs that belong together, how many were put so.

    What is noise belongs with nothing, not even with other noise.
    """
    names = {key: row["incident"] or key for key, row in truth.items() if row["incident"] or key in predicted}
    together = Counter((names[key], predicted.get(key)) for key in names)
    right = sum(_pairs(count) for (_, found), count in together.items() if found)
    put = sum(_pairs(n) for n in _sizes(predicted[key] for key in names if key in predicted))
    belong = sum(_pairs(n) for n in _sizes(names.values()))
    return (right / put if put else 1.0), (right / belong if belong else 1.0)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _sizes(names: Iterable[Any]) -> list[int]:
    return list(Counter(names).values())


def _missed(replayed: Replayed, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """A true incident of which nobody heard whom the label names."""
    wanted: dict[str, set[str]] = defaultdict(set)
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["incident"] and row["page"]:
            wanted[row["incident"]] |= set(row["page"])
            name = replayed.incident_of.get((row["source"], row["fingerprint"], row["starts_at"]))
            found[row["incident"]] |= {name} if name else set()
    paged = {(page.incident, page.person) for page in replayed.pages}
    return [
        true
        for true, people in wanted.items()
        if not any((name, person) in paged for name in found[true] for person in people)
    ]


def _wrong(replayed: Replayed, truth: Mapping[ALERT, Mapping[str, Any]]) -> int:
    """A page about an incident whose alerts name other people."""
    people: dict[str, set[str]] = defaultdict(set)
    for key, name in replayed.incident_of.items():
        people[name] |= set(truth[key]["page"]) if key in truth else set()
    return sum(page.person not in people[page.incident] for page in replayed.pages if people[page.incident])


def _quiet(replayed: Replayed, rows: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Of firings that are noise, how many woke nobody. What joined a true incident woke nobody by itself."""
    found = [(row, replayed.incident_of.get((row["source"], row["fingerprint"], row["starts_at"]))) for row in rows]
    true = {name for row, name in found if row["incident"]}
    loud = {page.incident for page in replayed.pages} - true
    noise = [name for row, name in found if row["incident"] is None]
    return sum(name not in loud for name in noise), len(noise)


def _nights(replayed: Replayed, start: datetime, end: datetime) -> list[int]:
    """How many pages each person got in each half day from 20:00 to 08:00."""
    first = start.replace(hour=20, minute=0, second=0, microsecond=0)
    nights = [first + timedelta(days=n) for n in range((end - first).days + 1)]
    people = {page.person for page in replayed.pages}
    return [
        sum(page.person == person and night <= page.at < night + NIGHT for page in replayed.pages)
        for night in nights
        for person in people
    ]
