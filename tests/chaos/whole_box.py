"""The whole box is killed: Prometheus and Alertmanager elsewhere, configured as `firedoor up` prints, tell a person.

All of it is real: the command, the scrape, the rules that ship, the second receiver, the mail. The pace divides the
printed seconds and nothing else; at pace 1 it is what a person pastes.
"""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

from tests.chaos.hosts import family, signal_to
from tests.edges.installation import Command, Installation, processes_of, until
from tests.fixtures import alertmanager, prometheus
from tests.fixtures.alertmanager import Alertmanager
from tests.fixtures.prometheus import Prometheus
from tests.fixtures.smtp import Mailbox
from tests.fixtures.waiting import eventually

HEARD_WITHIN = 120.0  # seconds
RULE_FILES = re.compile(r"^rule_files: \[(.+)\]$", re.MULTILINE)
SPAN = re.compile(r"\b(interval|scrape_interval|for|group_wait|group_interval): (\d+)s")


def seconds_until_heard(home: Path, mailbox: Mailbox, *, pace: int = 1) -> float:
    """Start everything, see that it is watched and nobody is told, kill the box, and wait for the mail."""
    installation = Installation(_made(home / "box"), FIREDOOR_SMTP_URL=mailbox.url, FIREDOOR_MAIL_TO="ada@example.com")
    started: list[Alertmanager | Prometheus] = []
    try:
        running = installation.up()
        beside = Alertmanager(alertmanager.program(), _made(home / "am"), at_pace(receivers(running.said()), pace))
        watching = Prometheus(prometheus.program(), _made(home / "prometheus"), _scraping(running, beside, home, pace))
        started += [watching, beside]
        watching.start()
        eventually(lambda: watching.value('up{job="firedoor"}') == 1, 60, "Prometheus scrapes Firedoor")
        eventually(lambda: watching.value("ALERTS") is None, 60, "nothing is amiss")
        beside.start()

        killed_at = time.monotonic()
        kill_the_box(running)
        until(lambda: not processes_of(installation.folder), seconds=10)
        mail = mailbox.wait_for(1, timeout=2 * HEARD_WITHIN)[0]
        took = time.monotonic() - killed_at
        assert "FiredoorDown" in mail["Subject"]
        assert mail["To"] == "ada@example.com"
        return took
    finally:
        for one in reversed(started):
            one.stop()
        installation.end()


def kill_the_box(running: Command) -> None:
    """kill -9 of the command and all that descends from it, at once."""
    for pid in family(running.process.pid):
        signal_to(pid, signal.SIGKILL)
    running.process.wait(10)


def receivers(said: str) -> str:
    """What was printed for alertmanager.yml: the first receiver, and the second where its comments say."""
    first = _between(said, "Paste into alertmanager.yml:\n", "\nFor the day")
    second = _between(said, "does not pass through it:\n", "Into prometheus.yml")
    route, _, receiver = second.partition("  # under receivers:\n")
    return _flush_left(first.replace("  receivers:\n", f"{route}  receivers:\n") + receiver)


def at_pace(text: str, pace: int) -> str:
    """The same with its seconds divided, one at least."""
    return SPAN.sub(lambda found: f"{found[1]}: {max(1, int(found[2]) // pace)}s", text)


def _scraping(running: Command, beside: Alertmanager, home: Path, pace: int) -> str:
    """What was printed for prometheus.yml, and where its Alertmanager is."""
    printed = _flush_left(_between(running.said(), "the rules that watch Firedoor:\n", "\nThese are the rules"))
    shipped = RULE_FILES.findall(printed)[0]
    rules = home / "firedoor.rules.yml"
    rules.write_text(at_pace(Path(shipped).read_text(encoding="utf-8"), pace), encoding="utf-8")
    targets = f'[{{static_configs: [{{targets: ["127.0.0.1:{beside.port}"]}}]}}]'
    return at_pace(printed.replace(shipped, str(rules)), pace) + f"\nalerting: {{alertmanagers: {targets}}}\n"


def _between(text: str, begin: str, end: str) -> str:
    assert begin in text, begin
    return text.partition(begin)[2].partition(end)[0]


def _flush_left(text: str) -> str:
    return re.sub(r"^  ", "", text, flags=re.MULTILINE)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
