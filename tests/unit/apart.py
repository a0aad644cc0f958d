"""What unit tests share that need app.py, which changes what it imports of Faust and aiokafka: a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_apart(code: str, folder: Path) -> str:
    """Runs Python text in a process of its own, in that folder and without settings; returns what it printed. Fails if it failed."""
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
