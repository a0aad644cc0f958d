"""What a worker tells the others of its group."""

import socket

from tests.unit.apart import apart


@apart
def test_the_name_that_others_reach() -> None:
    """The bound address; where all are bound, as in a container, the host's name, which is another one in each."""
    from labapp.worker import reachable_name

    socket.gethostname = lambda: "its-own-name"
    reachable = [reachable_name(bound) for bound in ("127.0.0.1", "worker.example", "0.0.0.0", "::")]
    assert reachable == ["127.0.0.1", "worker.example", "its-own-name", "its-own-name"]
