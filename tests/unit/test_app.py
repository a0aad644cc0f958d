"""What a worker tells the others of its group. In a process of its own: app.py changes what it imports of Faust and aiokafka."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

CODE = """
import json, socket
socket.gethostname = lambda: "its-own-name"
from labapp.app import _reachable_name
print(json.dumps([_reachable_name(bound) for bound in ("127.0.0.1", "worker.example", "0.0.0.0", "::")]))
"""


def test_the_name_that_others_reach(tmp_path: Path) -> None:
    """The bound address; where all are bound, as in a container, the host's name, which is another one in each."""
    ran = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["127.0.0.1", "worker.example", "its-own-name", "its-own-name"]
