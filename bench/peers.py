"""Makes the venv of the programs that the app is compared with, if it is missing or its requirements have changed."""

import subprocess
import sys
import venv
from pathlib import Path

from bench.run import say
from labapp.lab import LabError

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
FOLDER = HERE / "venv"
PYTHON = FOLDER / "bin" / "python"
MADE = FOLDER / "made"  # a copy of the requirements, written last, so that an interrupted installation is repeated


def python() -> Path:
    """The venv's interpreter, with all packages there. Raises LabError."""
    if not MADE.exists() or MADE.read_bytes() != REQUIREMENTS.read_bytes():
        say("Installing the packages of bench/requirements.txt into the folder bench/venv (about 50 MB, once) ...")
        venv.create(FOLDER, clear=True, with_pip=True)
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)]
        if subprocess.call(pip, stdout=sys.stderr):
            raise LabError("The packages of bench/requirements.txt could not be installed.")
        MADE.write_bytes(REQUIREMENTS.read_bytes())
    return PYTHON
