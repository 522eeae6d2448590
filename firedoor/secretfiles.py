"""Secrets that lie in files: where they are looked for, and how a missing one is made."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path


def file_of(environ: Mapping[str, str], name: str) -> Path | None:
    """The file that holds a variable: what NAME_FILE says, else the credential of that name that systemd gave."""
    if path := environ.get(f"{name}_FILE"):
        return Path(path)
    given = environ.get("CREDENTIALS_DIRECTORY")
    if given and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and (Path(given) / name).is_file():
        return Path(given) / name
    return None


def credentials(environ: Mapping[str, str]) -> list[str]:
    """The names of what systemd gave."""
    try:
        return sorted(path.name for path in Path(environ["CREDENTIALS_DIRECTORY"]).iterdir())
    except (KeyError, OSError):
        return []


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, ValueError):
        return None


def kept(home: Path, name: str) -> list[str]:
    """A secret of HOME/secrets, as a list of none or one. The name may come from a policy: no path leads out."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        return []
    value = read(home / "secrets" / name)
    return [value] if value else []


def write(path: Path) -> None:
    """Write the whole secret or nothing: two that start together agree on the first one's."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
