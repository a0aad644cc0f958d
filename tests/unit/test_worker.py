"""What a worker tells the others of its group."""

import socket
from pathlib import Path

from tests.unit.apart import apart, python
from tests.worker import free_port


@apart
def test_the_name_that_others_reach() -> None:
    """The bound address; where all are bound, as in a container, the host's name, which is another one in each."""
    from labapp.worker import reachable_name

    socket.gethostname = lambda: "its-own-name"
    reachable = [reachable_name(bound) for bound in ("127.0.0.1", "worker.example", "0.0.0.0", "::")]
    assert reachable == ["127.0.0.1", "worker.example", "its-own-name", "its-own-name"]


def test_addresses_of_ip_version_6(tmp_path: Path) -> None:
    """Kubernetes may give a pod one. The start comes as far as Kafka, which is not there."""
    access = {"WEB_BIND": "::1", "WEB_HOST": "fd00::7", "PORT": str(free_port())}

    ended = python(tmp_path, "-m", "labapp", "worker", KAFKA_BOOTSTRAP_SERVERS="localhost:1", START_TIMEOUT_SECONDS="1", **access)

    assert ended.stderr.startswith("No Kafka broker answers at localhost:1")
