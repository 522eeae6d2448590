"""Small parts for the supervisor's tests: run as a program, it supervises what its arguments name."""

import os
import signal
import sys
import time
from pathlib import Path

from firedoor.logs import set_up_logs
from firedoor.supervisor import Part, Supervisor
from firedoor.vitals import Pulse


def steady(pulse: Pulse) -> None:
    pulse.beat_from_thread()
    while True:
        pulse.lives()
        time.sleep(1)


def brittle(_pulse: Pulse) -> None:
    raise SystemExit(3)


def silent(_pulse: Pulse) -> None:
    time.sleep(600)


def stubborn(pulse: Pulse) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    steady(pulse)


def parent(pulse: Pulse) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(600)
    print(f"grandchild {child}", flush=True)
    steady(pulse)


KINDS = {kind.__name__: kind for kind in (steady, brittle, silent, stubborn, parent)}


def main(names: list[str]) -> int:
    set_up_logs("up")
    parts = [Part(name, KINDS[name], silence=2.0) for name in names]
    return Supervisor(parts, grace=1.0, ready=lambda: print("ready", flush=True)).run()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main(sys.argv[1:]))
