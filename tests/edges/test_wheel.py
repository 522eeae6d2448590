"""The wheel in an empty environment: its templates, migrations, runbooks and policy came with it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.edges.installation import Installation, processes_of, send_printed_sample, until

ROOT = Path(__file__).resolve().parents[2]


def call(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    return next(out.glob("firedoor-*.whl"))


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`firedoor` in an environment that holds the locked core and the wheel, and nothing else."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    python = environment / "bin/python"
    uv = Path(sys.executable).with_name("uv")
    call(sys.executable, "-m", "venv", "--without-pip", environment) if uv.exists() else call(
        sys.executable, "-m", "venv", environment
    )
    if uv.exists():
        call(uv, "pip", "sync", "--python", python, "--require-hashes", ROOT / "requirements.lock")
        call(uv, "pip", "install", "--python", python, "--no-deps", wheel)
    else:
        call(python, "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", ROOT / "requirements.lock")
        call(python, "-m", "pip", "install", "--no-deps", wheel)
    return environment / "bin/firedoor"


def test_the_wheel_carries_what_is_not_code(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for wanted in (
        "incidents/default_policy.yaml",
        "migrations/env.py",
        "templates/console/",
        "templates/messages/",
        "console/static/",
        "firedoor/starter/firedoor.yaml",
        "firedoor/starter/too-many-errors.md",
        "runbooks/",
    ):
        assert any(name.startswith(wanted) for name in names), wanted
    assert not [name for name in names if name.startswith(("tests/", "bench/", "docs/"))]


def test_the_wheel_runs_alone_from_an_empty_folder(program: Path, tmp_path: Path) -> None:
    installation = Installation(tmp_path, program)
    try:
        running = installation.up()

        assert send_printed_sample(running.said()) == 202
        until(lambda: installation.incidents(), why=running.log)
        shown = installation.run("incidents")
        assert "INC-001" in shown.stdout, shown.stdout + shown.stderr

        assert running.interrupt() < 5
        assert not processes_of(tmp_path)
    finally:
        installation.end()
