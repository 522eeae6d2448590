"""The nursery: a process that has imported everything once and forks parts from itself, as `firedoor up` does.

`make test` starts some hundred parts. Begun by an import each, they would have a core to themselves for minutes.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from firedoor.vitals import die_with
from tests.chaos.launcher import main

ROOT = Path(__file__).resolve().parents[2]


class Forked:
    """A child of the nursery, with what our hosts ask of a process. Its number can't be taken by another meanwhile."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:  # it ended at once
            self._handle = -1

    def poll(self) -> int | None:
        """None while it runs."""
        if self._handle >= 0 and select.select([self._handle], [], [], 0)[0]:
            self._let_go()
        return None if self._handle >= 0 else 0

    def kill(self) -> None:
        if self._handle >= 0:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        if self._handle >= 0:
            ended = select.select([self._handle], [], [], timeout)[0]
            assert ended, f"process {self.pid} did not end"
            self._let_go()
        return 0

    def _let_go(self) -> None:
        os.close(self._handle)
        self._handle = -1


class Nursery:
    """Asks the nursery process, from any thread. What it forked ends with it, and it ends with the thread it is of."""

    def __init__(self) -> None:
        words = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.chaos.nursery"]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            words, env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _why: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def fork(self, part: str, environ: Mapping[str, str], *, home: Path, log: Path) -> Forked:
        wanted = {"part": part, "environ": dict(environ), "home": str(home), "log": str(log)}
        assert self._process.stdin
        assert self._process.stdout
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps(wanted) + "\n")
            self._process.stdin.flush()
            return Forked(int(self._process.stdout.readline()))


def serve() -> None:
    """In the nursery process, which has one thread: a line that asks, a line with the number of the child."""
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for them: the kernel buries them
    nursery = os.getpid()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(nursery, **json.loads(line))
        print(pid, flush=True)


def _become(nursery: int, *, part: str, environ: dict[str, str], home: str, log: str) -> Any:
    """In the child: live as the part, and never return."""
    code = 1
    try:
        os.setsid()
        die_with(nursery)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY), (2, log, os.O_WRONLY)):
            opened = os.open(path, flags | os.O_APPEND | os.O_CREAT, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(home)
        main(part)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
