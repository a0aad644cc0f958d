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


@apart
def test_sigterm_comes_before_a_pause() -> None:
    """The stop begins after STOP_PAUSE_SECONDS, once; Ctrl+C or a second signal begins it at once."""
    import signal
    from types import SimpleNamespace
    from typing import Any

    from labapp import settings, worker

    settings.STOP_PAUSE_SECONDS = 5.0

    def told(*numbers: signal.Signals) -> tuple[list[float], int]:
        """After how long a stop was to begin, and how many began at once."""
        worker.STOPPING.clear()
        later, now = list[float](), list[signal.Signals]()
        told: Any = SimpleNamespace(
            log=SimpleNamespace(info=lambda *_: None),
            loop=SimpleNamespace(call_later=lambda seconds, *_: later.append(seconds)),
            _stop=now.append,
        )
        for number in numbers:
            worker.Worker._schedule_shutdown(told, number)
        assert worker.STOPPING.is_set()
        return later, len(now)

    assert told(signal.SIGTERM) == ([5.0], 0)
    assert told(signal.SIGINT) == ([], 1)
    assert told(signal.SIGTERM, signal.SIGTERM) == ([5.0], 1)
    assert told(signal.SIGTERM, signal.SIGINT) == ([5.0], 1)
    settings.STOP_PAUSE_SECONDS = 0.0
    assert told(signal.SIGTERM) == ([], 1)
