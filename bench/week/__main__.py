"""`python -m bench.week` makes a labelled week, replays it and prints how the decisions stand against the labels.

Another week in its place: `--policy P --runbooks R/ --deliveries D.jsonl --labels L.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.week.generate import generate
from bench.week.judge import judge
from bench.week.replay import firedoor


def main() -> int:
    told = _arguments()
    with tempfile.TemporaryDirectory(prefix="firedoor-week-") as name:
        folder = Path(told.write or name)
        if told.deliveries is None:
            generate(told.seed).write(folder)
        policy, runbooks = told.policy or folder / "firedoor.yaml", told.runbooks or folder / "runbooks"
        deliveries = _lines(told.deliveries or folder / "deliveries.jsonl")
        labels = _lines(told.labels or folder / "labels.jsonl")
        start, end = (datetime.fromisoformat(deliveries[n]["at"]) for n in (0, -1))
        began = time.perf_counter()
        with firedoor(policy, runbooks, start) as replay:
            replayed = replay.run(deliveries)
        figures = judge(replayed, labels, start=start, end=end)
    took = time.perf_counter() - began
    print(f"{replayed.accepted} of {len(deliveries)} deliveries accepted, {replayed.opened} incidents opened, "
          f"{len(replayed.pages)} pages, replayed in {took:.0f} s\n")  # fmt: skip
    print("| what | measured | to reach | |\n|---|---|---|---|")
    for what, measured, reach, reached in figures:
        print(f"| {what} | {measured} | {reach} | {'reached' if reached else 'MISSED'} |")
    return 0 if all(reached for *_, reached in figures) and replayed.accepted == len(deliveries) else 1


def _arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m bench.week", description=__doc__)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--write", type=Path, help="keep the week that is made in this folder")
    for name in ("policy", "runbooks", "deliveries", "labels"):
        reader.add_argument(f"--{name}", type=Path)
    told = reader.parse_args()
    if bool(told.deliveries) != bool(told.labels):
        reader.error("--deliveries and --labels belong together: a week without labels can't be judged.")
    return told


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    sys.exit(main())
