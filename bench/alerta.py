"""`python -m bench.alerta`: the same posts at Alerta, a peer that stores what it answers, and at us, in turns.

Alerta is not a dependency of ours: it is installed into a folder that goes away, from wherever pip is told to look.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.__main__ import wait_until_taken
from bench.floors import Row, floors, is_open, posts
from bench.stack import database, provider, quantile, stack
from ports.clock import SystemClock
from ports.database import Database
from tests.fixtures.waiting import eventually, free_port

WANTED = ("alerta-server==9.1.0", "psycopg2-binary", "gunicorn", "setuptools")
PATH = "/webhooks/prometheus"


@contextmanager
def alerta(url: str, folder: Path) -> Iterator[int]:
    """The port of an Alerta of two processes with four threads. Raises SystemExit where it can't be had."""
    venv.create(folder / "alerta", with_pip=True)
    python = str(folder / "alerta" / "bin" / "python")
    installed = subprocess.run([python, "-m", "pip", "install", "-q", *WANTED], capture_output=True, text=True)
    if installed.returncode:
        raise SystemExit(f"Alerta can't be installed here. Nothing was measured.\n{installed.stderr[-2000:]}")
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"DATABASE_URL": url.replace("+psycopg", ""), "LOG_LEVEL": "WARNING"}
    words = [python, "-m", "gunicorn", "--preload", "-w", "2", "--threads", "4", "-b", f"127.0.0.1:{port}"]
    with (folder / "alerta.log").open("wb") as log:
        server = subprocess.Popen([*words, "alerta:create_app()"], env=environ, cwd=folder, stdout=log, stderr=log)
    try:
        eventually(lambda: is_open(port), 60, "Alerta listens")
        yield port
    finally:
        server.terminate()
        server.wait(20)


def measure(sizes: argparse.Namespace) -> list[Row]:
    found: dict[str, list[float]] = {"Alerta 9.1": [], "Firedoor": []}
    with tempfile.TemporaryDirectory(prefix="firedoor-alerta-") as name, provider(lambda *_: None) as provider_url:
        theirs, ours, floor = Path(name) / "theirs", Path(name) / "ours", floors(Path(name))
        with (
            database("postgresql", theirs) as their_url,
            database("postgresql", ours) as our_url,
            alerta(their_url, theirs) as port,
            stack(our_url, ours, provider_url) as one,
        ):
            store = Database(our_url, SystemClock())
            for _ in range(sizes.turns):
                for who, load in (
                    ("Alerta 9.1", posts(port, 1, sizes.seconds, 8, path=PATH)),
                    ("Firedoor", posts(one.port, 1, sizes.seconds, 8)),
                ):
                    assert not load["errors"], f"{who} did not accept {load['errors']} posts"
                    found[who].append(load["per_second"])
                wait_until_taken(store)
            store.close()
    theirs_a_second, ours_a_second = (quantile(found[who], 0.5) for who in found)
    ratio = f"{ours_a_second:,.0f}/s, {ours_a_second / theirs_a_second:.1f} times Alerta, {floor.share(ours_a_second)}"
    theirs_said = f"{theirs_a_second:,.0f}/s, {floor.share(theirs_a_second)}"
    return [
        *floor.rows("postgresql"),
        ("postgresql", "Alerta 9.1, posts of 1 alert, 8 clients", theirs_said, ""),
        ("postgresql", "Firedoor, the same", ratio, "≥ 800/s, goal 14 times Alerta"),
    ]


def main() -> None:
    reader = argparse.ArgumentParser(prog="python -m bench.alerta", description=__doc__)
    reader.add_argument("--seconds", type=float, default=6)
    reader.add_argument("--turns", type=int, default=3)
    sizes = reader.parse_args()
    print(f"Python {sys.version.split()[0]}\n\n| database | what | measured | to reach |\n|---|---|---|---|")
    for row in measure(sizes):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
