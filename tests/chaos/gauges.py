"""The gauges of a soak: what each process holds and how large the store is, read again and again, and what grew.

The run is cut in tenths. The first one warms up; the median of the second is compared with the median of the last.
Only parts that lived through both are judged: of two that do the same the soak kills one and spares the other.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from statistics import linear_regression, median

import psycopg

from tests.chaos.hosts import Host, family
from tests.chaos.world import World

READINGS = 360  # in a run; one every ten seconds of an hour
MOST_GROWTH = 0.05
MOST_WAL = 64.0  # MB
MORE_OF_THEM = 2  # descriptors: what is under way differs from one moment to the next
MEGABYTE = 1024 * 1024
VALKEY = "valkey"
DEAD_ROWS = "SELECT coalesce(sum(n_dead_tup), 0), coalesce(sum(n_live_tup), 0) FROM pg_stat_user_tables"
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass(frozen=True)
class Reading:
    """One part at one moment, its children counted in."""

    at: float  # seconds since the run began
    part: str
    pid: int
    memory: float  # MB, PSS: a page that others have too counts in part
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Store:
    """The database at one moment. SQLite has a WAL beside its file, PostgreSQL dead rows and connections."""

    at: float
    size: float  # MB
    wal: float = 0.0
    dead: int = 0
    live: int = 0
    connections: int = 0


@dataclass
class Gauges:
    """Reads in a thread of its own, until `stop`."""

    world: World
    seconds: float
    readings: list[Reading] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)

    def start(self) -> None:
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._read_store = store_reader(self.world.database_url)
        self._thread = threading.Thread(target=self._read, name="gauges")
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stopped.wait(self.seconds / READINGS):
            at = time.monotonic() - self._began
            found = [one for host in self.world.hosts.values() for one in readings_of(host, at)]
            if (valkey := self.world.valkey.process) is not None:
                found += reading(VALKEY, valkey.pid, at)
            self.readings += found
            self.stores += self._read_store(at)
            with (self.world.home / "readings.csv").open("a") as file:  # to look at while it runs
                csv.writer(file).writerows(map(astuple, found))


def readings_of(host: Host, at: float) -> list[Reading]:
    return [one for name, process in list(host.processes.items()) for one in reading(name, process.pid, at)]


def reading(part: str, pid: int, at: float) -> list[Reading]:
    """Nothing of a part that ends while it is read."""
    try:
        folders = [Path("/proc", str(one)) for one in family(pid)]
        memory = sum(map(_proportional, folders))
        descriptors = sum(len(list((folder / "fd").iterdir())) for folder in folders)
        threads = sum(len(list((folder / "task").iterdir())) for folder in folders)
    except (OSError, StopIteration):
        return []
    return [Reading(at, part, pid, memory, descriptors, threads)]


def _proportional(folder: Path) -> float:
    lines = (folder / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def store_reader(url: str) -> Callable[[float], list[Store]]:
    """What reads the store of that address; nothing while it does not answer."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        return lambda at: [Store(at, _megabytes(file), _megabytes(Path(f"{file}-wal")))]
    connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)

    def read(at: float) -> list[Store]:
        size, dead, live, connections = (
            number
            for query in ("SELECT pg_database_size(current_database())", DEAD_ROWS, CONNECTIONS)
            for number in connection.execute(query.encode()).fetchone() or ()
        )
        return [Store(at, size / MEGABYTE, dead=int(dead), live=int(live), connections=connections)]

    return read


def _megabytes(file: Path) -> float:
    return file.stat().st_size / MEGABYTE if file.exists() else 0.0


# --- what grew ---


@dataclass(frozen=True)
class Trend:
    """One part's second tenth of the run beside its last."""

    part: str
    memory: tuple[float, float]
    descriptors: tuple[float, float]
    threads: tuple[float, float]
    by_the_hour: float  # MB, the line through all readings after the first tenth
    lives: int  # how many processes it was

    @property
    def growth(self) -> float:
        first, last = self.memory
        return last / first - 1

    def faults(self) -> list[str]:
        found = []
        if self.growth > MOST_GROWTH:
            found.append(f"T31: {self.part} grew by {self.growth:.1%}, from {self.memory[0]:.1f} MB")
        first, last = self.descriptors
        if last - first > MORE_OF_THEM:
            found.append(f"T31: {self.part} had {first:g} descriptors, and {last:g} at the end")
        return found  # a pool keeps as many threads as were ever needed at once, and has a bound of its own


def trend(part: str, readings: Sequence[Reading], seconds: float) -> Trend | None:
    """None of a part that was not seen in one of the two tenths."""
    settled = [one for one in readings if seconds / 10 <= one.at <= seconds]
    first = [one for one in settled if one.at < 2 * seconds / 10]
    last = [one for one in settled if one.at >= 9 * seconds / 10]
    if not first or not last:
        return None

    def both(name: str) -> tuple[float, float]:
        return median(getattr(one, name) for one in first), median(getattr(one, name) for one in last)

    slope = linear_regression([one.at for one in settled], [one.memory for one in settled]).slope
    lives = len({one.pid for one in settled})
    return Trend(part, both("memory"), both("descriptors"), both("threads"), slope * 3600, lives)


def faults(gauges: Gauges, spared: Sequence[str]) -> list[str]:
    """What a soak must not show."""
    found = []
    for part in spared:
        one = trend(part, _of(part, gauges.readings), gauges.seconds)
        if one is None or one.lives > 1:
            found.append(f"T31: {part} was to live through the whole run, and did not")
        else:
            found += one.faults()
    if (wal := max((one.wal for one in gauges.stores), default=0.0)) >= MOST_WAL:
        found.append(f"T31: the WAL reached {wal:.0f} MB")
    return found


def table(gauges: Gauges) -> str:
    """Every part's trend, killed or spared, and the store's."""
    heads = ("part", "processes", "PSS MB, 2nd tenth", "last tenth", "growth", "MB an hour", "descriptors", "threads")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for part in sorted({one.part for one in gauges.readings}):
        if one := trend(part, _of(part, gauges.readings), gauges.seconds):
            memory = [f"{one.memory[0]:.1f}", f"{one.memory[1]:.1f}", f"{one.growth:+.1%}", f"{one.by_the_hour:+.2f}"]
            counts = [f"{first:g} → {last:g}" for first, last in (one.descriptors, one.threads)]
            lines.append(f"| {' | '.join((part, str(one.lives), *memory, *counts))} |")
    return "\n".join([*lines, *_of_store(gauges.stores)])


def _of_store(stores: Sequence[Store]) -> list[str]:
    if not stores:
        return []
    first, last = stores[0], stores[-1]

    def most(name: str) -> float:
        return max(getattr(one, name) for one in stores)

    return [
        f"store: {first.size:.1f} → {last.size:.1f} MB, WAL at most {most('wal'):.1f} MB, dead rows at most "
        f"{most('dead'):g} (at the end {last.dead} beside {last.live}), connections at most {most('connections'):g}; "
        f"{len(stores)} readings"
    ]


def _of(part: str, readings: Sequence[Reading]) -> list[Reading]:
    return [one for one in readings if one.part == part]
