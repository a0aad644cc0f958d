"""Runs code in a process of its own, without settings of this one. Importing labapp.app changes Faust and aiokafka where it is imported."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def python(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the folder, whose .env counts, with no other environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env={"PYTHONPATH": str(ROOT), **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def apart(test: Callable[[], None]) -> Callable[[], None]:
    """Decorates a test that takes no fixture and imports what it needs by itself. Its failure is shown as it was printed."""

    @wraps(test)
    def run() -> None:
        code = f"from importlib import import_module; import_module({test.__module__!r}).{test.__name__}.__wrapped__()"
        with tempfile.TemporaryDirectory() as folder:
            ran = python(Path(folder), "-c", code)
        assert ran.returncode == 0, ran.stderr

    return run
