"""Is Firedoor itself well: each part with its reason, the queues, the channels, the senders, the heartbeats (U28)."""

from __future__ import annotations

from flask import Blueprint, Response

from console.frame import Frame
from incidents import pulse


def vitals(frame: Frame, blueprint: Blueprint) -> None:
    @blueprint.get("/health")
    def health() -> Response:
        with frame.database.read() as work:
            return frame.show(
                "console/health.html",
                now=work.now,
                refresh=True,
                health=frame.health(),
                **pulse.pulse(work.session, book=frame.book(), now=work.now),
            )
