"""The power is cut (T11): SQLite's two files as they lie at random instants under load, and their unfinished end torn.

All that writes is stopped, the files are copied, and it goes on. A commit has the disk's word before the next one
begins, so at most the last commit may be torn, and only if nobody was answered for it.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.hosts import family, signal_to
from tests.chaos.load import Load
from tests.chaos.nursery import Nursery
from tests.chaos.world import World
from tests.fixtures.waiting import eventually

COPIES = 200
RATE = 3.0  # alerts a second
BETWEEN = (0.02, 0.4)  # seconds from one copy to the next
HEADER, FRAME_HEADER = 32, 24  # bytes, of SQLite's WAL
LONGEST_TEAR = 20_000
BACKFILL_ATTEMPTED = 128  # where the WAL's index has the number of frames


@dataclass
class Cuts:
    """What the copies showed."""

    copies: int = 0
    answered: int = 0  # alerts, at the last copy
    in_the_wal_alone: int = 0  # copies whose file without its WAL would have lost an answered alert
    torn: int = 0  # copies that lost a whole commit, for which nobody had been answered
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.copies} copies, {self.answered} alerts answered at the last one; {self.in_the_wal_alone} copies "
            f"had answered alerts in the WAL alone, {self.torn} lost a commit that nobody had been answered for"
        )


def cut_the_power(home: Path, *, seed: int, copies: int = COPIES, nursery: Nursery | None = None) -> Cuts:
    """Load a stack, and copy its database at random instants."""
    cuts, chance, file = Cuts(), random.Random(seed), home / "firedoor.db"
    with World(home, f"sqlite:///{file}", seed, nursery=nursery) as world:
        load = Load(world, RATE, seconds=copies)
        load.start()
        while cuts.copies < copies:
            world.rest(chance.uniform(*BETWEEN))
            stored, wal, synced, answered = _files(world, file, load)
            look_at(home / "cut.db", stored, wal, answered, chance, cuts, synced=synced)
        load.finish(0.0)
    return cuts


def _files(world: World, file: Path, load: Load) -> tuple[bytes, bytes, int, set[str]]:
    """Both as they are between two moments of everybody who writes, how much of the WAL is on the disk for sure, and
    who was answered until then."""
    everybody = [pid for host in world.hosts.values() for one in host.processes.values() for pid in family(one.pid)]
    _tell(everybody, signal.SIGSTOP)
    try:
        eventually(lambda: all(map(_stands_still, everybody)), 10, "all stand still")
        wal = Path(f"{file}-wal").read_bytes()
        synced = backfilled(Path(f"{file}-shm").read_bytes(), wal)
        return file.read_bytes(), wal, synced, {case.name for case in load.cases.values() if case.accepted_at}
    finally:
        _tell(everybody, signal.SIGCONT)


def _tell(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        signal_to(pid, number)


def _stands_still(pid: int) -> bool:
    tasks = Path("/proc", str(pid), "task").glob("*/stat")
    return all(task.read_text().rpartition(")")[2].split()[0] in "TtZ" for task in tasks)


def look_at(
    at: Path, stored: bytes, wal: bytes, answered: set[str], chance: random.Random, cuts: Cuts, *, synced: int = 0
) -> None:
    """Whole, and with its end torn wherever it may be: it opens, it is sound, and no answered alert is missing.

    What a checkpoint has begun to carry over, up to `synced`, has the disk's word: it can't be torn any more.
    """
    cuts.copies, cuts.answered = cuts.copies + 1, len(answered)
    ends = [HEADER, *commits(wal)]
    _expect(answered, alerts_of(at, stored, wal), f"copy {cuts.copies}", cuts)
    cuts.in_the_wal_alone += not answered <= alerts_of(at, stored, b"")[0]
    unanswered = len(ends) > 1 and synced <= ends[-2] and answered <= alerts_of(at, stored, wal[: ends[-2]])[0]
    cuts.torn += unanswered
    cut = chance.randint(ends[-2], ends[-1] - 1) if unanswered else ends[-1]
    torn = wal[:cut] + (chance.randbytes(chance.randint(1, LONGEST_TEAR)) if chance.random() < 0.5 else b"")
    _expect(answered, alerts_of(at, stored, torn), f"copy {cuts.copies}, torn at byte {cut}", cuts)


def _expect(answered: set[str], found: tuple[set[str], str], which: str, cuts: Cuts) -> None:
    alerts, said = found
    if said != "ok":
        cuts.broken.append(f"T11: {which}: {said}")
    if lost := answered - alerts:
        cuts.broken.append(f"T11: {which} lost {len(lost)} alerts, {min(lost)} the first")


def commits(wal: bytes) -> Iterator[int]:
    """Where each commit of a WAL ends, of those since it was last begun anew."""
    if len(wal) < HEADER:
        return
    size, salt = struct.unpack(">I", wal[8:12])[0] + FRAME_HEADER, wal[16:24]
    for at in range(HEADER, len(wal) - size + 1, size):
        if wal[at + 8 : at + 16] != salt:
            return
        if wal[at + 4 : at + 8] != bytes(4):  # the size of the database after a commit
            yield at + size


def backfilled(index: bytes, wal: bytes) -> int:
    """Up to which byte of the WAL a checkpoint has carried over, or has begun to: it syncs the WAL before.

    `nBackfillAttempted` of the WAL's index, in the machine's order of bytes (sqlite.org/walformat.html, 2.1).
    """
    if len(index) < BACKFILL_ATTEMPTED + 4 or len(wal) < HEADER:
        return 0
    (frames,) = struct.unpack_from("=I", index, BACKFILL_ATTEMPTED)
    return HEADER + int(frames) * (struct.unpack(">I", wal[8:12])[0] + FRAME_HEADER) if frames else 0


def alerts_of(at: Path, stored: bytes, wal: bytes) -> tuple[set[str], str]:
    """The cases whose deliveries it holds, and what SQLite says of it."""
    for name, content in (("", stored), ("-wal", wal), ("-shm", None)):
        Path(f"{at}{name}").unlink(missing_ok=True)
        if content is not None:
            Path(f"{at}{name}").write_bytes(content)
    with closing(sqlite3.connect(at)) as connection:
        try:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
            bodies = connection.execute("SELECT body FROM inbox").fetchall()
        except sqlite3.DatabaseError as error:
            return set(), str(error)
    return {json.loads(body)["alerts"][0]["labels"]["case"] for (body,) in bodies}, said
