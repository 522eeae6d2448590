"""The log channel: pages as lines of the log, and of a file where one is named. It always works, and wakes nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from incidents.alerts import clean_line
from incidents.promises import Outcome
from ports.clock import Clock
from worker.channels.channel import Can, Log, Message


class LogChannel:
    """Settings: `path` (optional), a file to which each message is appended as one JSON line."""

    kind: ClassVar[str] = "log"
    can: ClassVar[Can] = Can(
        wakes=False,
        receipt=False,
        acknowledge=False,
        update=False,
        evidence="sent, not proven: the line is written (with `path`: and on disk)",
        timeout=timedelta(seconds=2),
        limits="none",
        permanent="nothing",
        transient="a file that can't be written",
    )

    def __init__(self, name: str, settings: Mapping[str, Any], *, log: Log, clock: Clock) -> None:
        self.name = name
        self._path = Path(str(settings["path"])) if settings.get("path") else None
        self._log = log
        self._clock = clock

    def send(self, message: Message, address: str) -> Outcome:
        """Write the line. The link in it opens one acknowledgement: who may read this log may press it."""
        line = {
            "incident": message.thread,
            "person": _person(message),
            "purpose": str(message.facts.get("purpose", "")),
            "short": clean_line(message.short),
            "channel": self.name,
            "key": message.key,
            "attempt": message.attempt,
        }
        self._log.info("page.sent", **line)
        if self._path is None:
            return Outcome("yes", detail="logged", channel=self.name)
        stamped = {"at": self._clock.now().isoformat(), **line, "to": clean_line(address), "text": message.text}
        try:
            _append(self._path, json.dumps(stamped).encode("ascii") + b"\n")
        except OSError as error:
            return Outcome("no", detail=f"the file can't be written: {error.strerror}", channel=self.name)
        return Outcome("yes", detail="written", channel=self.name)


def _person(message: Message) -> str:
    person = message.facts.get("person")
    return str(person.get("id", "")) if isinstance(person, Mapping) else ""


def _append(path: Path, line: bytes) -> None:
    """One write, so that lines of several workers never mix, and on disk before the promise counts as kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(file, line) != len(line):
            raise OSError(28, "the line was cut short")
        os.fsync(file)
    finally:
        os.close(file)
