"""`firedoor init`: the first policy of a small team, and a folder of runbooks with one example and the checklist."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from firedoor.settings import PACKAGE_RUNBOOKS
from incidents.errors import Refused

STARTER = Path(__file__).with_name("starter")
POLICY = "firedoor.yaml"
EXAMPLE = "too-many-errors.md"
CHECKLIST = "containment-checklist.md"  # a folder of one's own takes the place of the shipped one, fallback and all


@dataclass
class Written:
    """The files that were made, and what was left as it was."""

    files: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def init(where: Path, *, today: date, force: bool = False) -> Written:
    """Write the policy to a file, or into a folder, and runbooks beside it where there are none.

    Raises Refused where the policy is there already and `force` was not given; then nothing was written.
    """
    path = where / POLICY if where.is_dir() else where
    if path.exists() and not force:
        raise Refused(
            "init.exists",
            f"{path} exists already. Nothing was written. Give another path, or --force to replace it.",
        )
    if path.is_dir() or not path.parent.is_dir():
        raise Refused("init.folder", f"{path} can't be written: its folder is not there. Nothing was written.")
    path.write_text((STARTER / POLICY).read_text(encoding="utf-8"), encoding="utf-8")
    written = Written([path])
    folder = path.parent / "runbooks"
    if folder.exists():
        written.kept.append(folder)
    else:
        folder.mkdir()
        written.files += _write_runbooks(folder, today)
    return written


def _write_runbooks(folder: Path, today: date) -> list[Path]:
    """The example counts as reviewed today: whoever runs `init` is about to read it."""
    example = (STARTER / EXAMPLE).read_text(encoding="utf-8")
    texts = {
        EXAMPLE: re.sub(r"^reviewed: .*$", f"reviewed: {today:%Y-%m-%d}", example, flags=re.MULTILINE),
        CHECKLIST: (PACKAGE_RUNBOOKS / CHECKLIST).read_text(encoding="utf-8"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
