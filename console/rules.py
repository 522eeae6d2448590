"""The policy as it is saved, with its faults at their lines: no secret is shown (U35)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response

from console.frame import Frame
from console.hiding import without_secrets
from incidents.errors import Fault


def rules(frame: Frame, blueprint: Blueprint) -> None:
    @blueprint.get("/policy")
    def policy() -> Response:
        name, text = frame.policy_file()
        faults = list(frame.refused())
        mine = [fault for fault in faults if fault.file == name]
        return frame.show(
            "console/policy.html",
            now=frame.database.clock.now(),
            name=name.rpartition("/")[2],
            lines=with_faults(without_secrets(text), mine),
            faults=mine,
            others=[str(fault) for fault in faults if fault.file != name],
            digest=frame.book().policy.digest,
            notes=frame.book().policy.notes,
        )


def with_faults(lines: Sequence[str], faults: Sequence[Fault]) -> list[Mapping[str, Any]]:
    """Each line with its number and what is wrong with it; a fault past the end stands at the last line."""
    at: dict[int, list[Fault]] = {}
    for fault in faults:
        at.setdefault(min(max(fault.line, 1), max(len(lines), 1)), []).append(fault)
    return [{"n": n, "text": line, "faults": at.get(n, [])} for n, line in enumerate(lines or [""], 1)]
