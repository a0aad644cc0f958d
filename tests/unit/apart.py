"""Runs code in a process of its own, for unit tests that import labapp.app: it changes Faust and aiokafka where it is imported."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_apart(code: str, folder: Path) -> str:
    """Runs Python text in a process of its own, in that folder and without settings; returns what it printed. Fails if it failed."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
