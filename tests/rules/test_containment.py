"""What waits for what: contain before diagnose, rung by rung, and data last."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from incidents import containment

LEVERS = {"f": "flag_off", "r": "roll_back_deploy", "d": "correct_data", "c": None}
STATES = {"-": "waiting", "+": "done", "x": "failed", "s": "skipped", "!": "failed"}
PHASES = {"q": "confirm", "g": "diagnose", "m": "fix", "v": "verify"}


def steps(text: str) -> list[Any]:
    """`f- r- g-`: the flag waits, the roll-back waits, a diagnosis waits. `!` is a failed one that says stop."""
    found = []
    for n, one in enumerate(text.split(), 1):
        what, state = one[0], one[1]
        phase = PHASES.get(what, "contain")
        on_fail = "stop" if state == "!" else "next"
        found.append(SimpleNamespace(n=n, phase=phase, lever=LEVERS.get(what), state=STATES[state], on_fail=on_fail))
    return found


def incident(status: str = "active", **snapshot: bool) -> Any:
    return SimpleNamespace(status=status, snapshot=snapshot)


@pytest.mark.parametrize(
    ("ladder", "n", "where", "waits"),
    [
        ("f- r- g-", 1, incident(), False),
        ("f- r- g-", 2, incident(), True),
        ("fx r- g-", 2, incident(), False),
        ("fs r- g-", 2, incident(), False),
        ("f+ r- g-", 2, incident(), False),
        ("f- r- g-", 3, incident(), True),
        ("fx rs g-", 3, incident(), False),
        ("f+ rs g-", 3, incident(), True),  # one is done: say that it is contained
        ("f- r- m-", 3, incident(), True),
        ("f- r- v-", 3, incident(), False),
        ("q- f- r-", 1, incident(), False),
        ("f- r- g-", 3, incident("contained"), False),
        ("f- r- g-", 3, incident(unlocked=True), False),
        ("fx d- c-", 2, incident(), True),
        ("fx d- c-", 3, incident(), False),  # the last resort blocks nobody
        ("fx d- cx g-", 4, incident(), False),
        ("f! r- g-", 2, incident(), True),
        ("f! r- g-", 3, incident(), False),  # the ladder ended there
        ("f- d-", 2, incident(unlocked=True), True),
        ("fx d-", 2, incident("contained"), False),
        ("g-", 1, incident(), False),
    ],
)
def test_what_waits(ladder: str, n: int, where: Any, waits: bool) -> None:
    all_steps = steps(ladder)
    said = containment.waits_for(all_steps[n - 1], all_steps, where)

    assert bool(said) is waits
    assert not said or said.endswith(".")
