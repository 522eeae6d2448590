"""Memory of a process that runs alone: all its threads share one heap, as those under `firedoor up` do."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Opens no house: it lets eight threads allocate at once, and counts the heaps that glibc made for them.
PROBE = """
import ctypes, os, re, sys, threading
from firedoor import processes
from firedoor.settings import Settings

class Probe:
    @classmethod
    def open(cls, settings, **told):
        all_run = threading.Barrier(8)
        def allocate():
            all_run.wait()
            kept = [b"x" * 2000 for _ in range(50)]
            all_run.wait()
        threads = [threading.Thread(target=allocate) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        libc = ctypes.CDLL(None)
        libc.fdopen.restype = ctypes.c_void_p
        into = ctypes.c_void_p(libc.fdopen(1, b"w"))
        libc.fputs(b"The heaps:", into)  # its buffer is of the heap that malloc_info holds
        libc.malloc_info(0, into)
        libc.fflush(into)
        os._exit(0)

processes.House = Probe
processes.run_clock(Settings.from_env(os.environ))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have one heap anyway")
def test_the_threads_of_a_process_that_runs_alone_share_one_heap(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), "FIREDOOR_HOME": str(tmp_path)}
    environ |= {"FIREDOOR_SECRET_KEY": "x" * 40, "FIREDOOR_DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}

    words = [sys.executable, "-c", PROBE]
    said = subprocess.run(words, env=environ, capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout.count("<heap nr=") == 1, said.stdout[:500]
