"""The Makefile, with programs that only say how they were called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UNIT = "PYTEST_ARGS=tests/unit"


def program(path: Path, version: str) -> None:
    """A Python of that version: asked for a version it prints it, asked for anything else it prints the call."""
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo {version} || echo "$0 $* on $KAFKA_VERSION"\n')
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose venv was made, by Python 3.11, and another Python beside it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements-dev.txt").touch()
    program(tmp_path / "venv" / "bin" / "python", "3.11")
    (tmp_path / "venv" / "made").touch()
    program(tmp_path / "other" / "python", "3.13")
    return tmp_path


def make(folder: Path, *arguments: str) -> str:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "KAFKA_"))}
    done = subprocess.run(["make", "-s", *arguments], cwd=folder, env=own, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_venv_that_is_there(folder: Path) -> None:
    """It is used again, with the arguments of pytest."""
    assert make(folder, "test", UNIT) == "venv/bin/python -m pytest tests/unit on \n"


def test_the_same_python(folder: Path) -> None:
    """A Python of the venv's version needs no other venv."""
    assert make(folder, "test", UNIT, f"PYTHON={folder}/venv/bin/python") == "venv/bin/python -m pytest tests/unit on \n"


def test_another_python(folder: Path) -> None:
    """A Python of another version gets a venv of its own, which is made first. The one that is there stays as it is."""
    (folder / "venv-3.13" / "bin").mkdir(parents=True)
    shutil.copy(folder / "other" / "python", folder / "venv-3.13" / "bin")

    said = make(folder, "test", UNIT, f"PYTHON={folder}/other/python")

    assert said == f"{folder}/other/python make_venv.py venv-3.13 on \nvenv-3.13/bin/python -m pytest tests/unit on \n"


def test_no_venv_yet(folder: Path) -> None:
    """The first venv is called venv whatever Python makes it, so that what the README says of it is so."""
    shutil.rmtree(folder / "venv")

    assert make(folder, "-n", "test", UNIT, f"PYTHON={folder}/other/python").splitlines() == [
        f"{folder}/other/python make_venv.py venv",
        "venv/bin/python -m pytest tests/unit",
    ]


def test_another_kafka(folder: Path) -> None:
    """The version of Kafka reaches the tests."""
    assert make(folder, "test", UNIT, "KAFKA_VERSION=3.9.2") == "venv/bin/python -m pytest tests/unit on 3.9.2\n"
