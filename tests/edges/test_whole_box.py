"""The whole box is gone: a real Prometheus sees it, and a real Alertmanager tells a person beside Firedoor (T27)."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.whole_box import seconds_until_heard
from tests.fixtures.smtp import Mailbox

PACE = 15  # the printed seconds, fifteen times as fast; `make chaos` waits them out


def test_the_second_receiver_hears_when_the_whole_box_is_killed(tmp_path: Path, smtp: Mailbox) -> None:
    assert seconds_until_heard(tmp_path, smtp, pace=PACE) < 30
