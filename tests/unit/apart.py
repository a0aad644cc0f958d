"""Runs a test in a process of its own, without settings: for what imports labapp.app, which changes Faust and aiokafka where it is."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def apart(test: Callable[[], None]) -> Callable[[], None]:
    """Decorates a test that takes no fixture and imports what it needs by itself. Its failure is shown as it was printed."""

    @wraps(test)
    def run() -> None:
        code = f"from importlib import import_module; import_module({test.__module__!r}).{test.__name__}.__wrapped__()"
        with tempfile.TemporaryDirectory() as folder:  # a .env of the current folder would count
            ran = subprocess.run([sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr

    return run
