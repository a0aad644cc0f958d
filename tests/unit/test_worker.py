"""What a worker tells the others of its group."""

import json
from pathlib import Path

from tests.unit.apart import run_apart

CODE = """
import json, socket
socket.gethostname = lambda: "its-own-name"
from labapp.worker import reachable_name
print(json.dumps([reachable_name(bound) for bound in ("127.0.0.1", "worker.example", "0.0.0.0", "::")]))
"""


def test_the_name_that_others_reach(tmp_path: Path) -> None:
    """The bound address; where all are bound, as in a container, the host's name, which is another one in each."""
    assert json.loads(run_apart(CODE, tmp_path)) == ["127.0.0.1", "worker.example", "its-own-name", "its-own-name"]
