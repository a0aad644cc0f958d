"""The target of faults: a lab with a network of its own between workers and brokers. Its supervisor restarts processes that ended.

The brokers have a second listener for the workers, which advertises the port of a proxy. The brokers and this tool use the first listener.
So faults of the network are only between workers and brokers.
"""

import http.client
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from xmlrpc.client import Fault as SupervisorFault

from labapp.lab import BROKERS, KAFKA, PORTS, WORKERS, Lab, LabError, processes, supervisord
from tests.proxy import Network, Trouble
from tests.worker import free_port

# Here the lab's `fan-out` joins the group of the others. The group has two partitions and three consumers, so one is spare.
SPARE = "fan-out"
CONSUMERS = ("consumer", "second-consumer", SPARE)
TOPIC, GROUP = "first-topic", "first-group"
CHANGELOG = f"{GROUP}-events-changelog"
# How long a worker may take to be ready after the faults. It may end meanwhile and be started again.
LIMBO_SECONDS = 60
LAST_LINES = 5


@dataclass(frozen=True)
class Target:
    lab: Lab
    network: Network

    @property
    def brokers(self) -> str:
        """The bootstrap servers for this tool, which bypass the network with the faults."""
        return self.lab.bootstrap_servers

    @property
    def producer(self) -> str:
        """The address to which events are posted."""
        return f"http://127.0.0.1:{self.lab.ports['producer']}/"

    @property
    def consumers(self) -> list[int]:
        """The consumers' ports."""
        return [self.lab.ports[name] for name in CONSUMERS]

    def start(self, name: str) -> None:
        """Starts a process that is down. Returns at once."""
        with supervisord.connected(self.lab) as supervisor, suppress(SupervisorFault):  # it already runs
            supervisor.startProcess(supervisord.full_name(name), False)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Raises LabError if the process does not run."""
        pid = {status.name: status.pid for status in processes.statuses(self.lab)}[name]
        if pid is None:
            raise LabError(f"{name} is not running.")
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def heal(self) -> None:
        """Ends every fault, and starts what is down. Raises LabError if a part of Kafka is not ready within the lab's time-out."""
        self.network.trouble(Trouble.NONE)
        for name in (*KAFKA, *WORKERS):
            with suppress(LabError):
                self.signal(name, signal.SIGCONT)
            self.start(name)
        for name in KAFKA:
            processes.start(self.lab, name, lambda text: None)

    def in_limbo(self, seconds: float = LIMBO_SECONDS) -> dict[str, str]:
        """Waits until all workers are ready together. After a time-out: who is not, and why, with the last lines of its log."""
        deadline = time.monotonic() + seconds
        while late := {name: why for name in WORKERS if (why := self._not_ready(name))}:
            if time.monotonic() > deadline:
                return {name: "\n".join((why, *self._last_lines(name))) for name, why in late.items()}
            time.sleep(0.2)
        return {}

    def _not_ready(self, name: str) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.lab.ports[name], timeout=3)
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            body = answer.read(300).decode(errors="replace")
            return None if answer.status == 200 else f"{answer.status} {body}"
        except (OSError, http.client.HTTPException) as exc:
            state = next(status.state for status in processes.statuses(self.lab) if status.name == name)
            return f"{state}, {exc!r}"
        finally:
            connection.close()

    def _last_lines(self, name: str) -> list[str]:
        return self.lab.log(name).read_text(errors="replace").splitlines()[-LAST_LINES:]


@contextmanager
def target(**settings: str) -> Iterator[Target]:
    """A lab of its own, all of its processes ready; `settings` are the workers' environment beside the lab's."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        behind = {name: free_port() for name in BROKERS}
        before = {name: free_port() for name in BROKERS}
        ports = {name: free_port() for name in PORTS}
        lab = Lab(Path(folder), ports, overrides=_overrides(ports, behind, before, settings))
        network = Network({name: (before[name], behind[name]) for name in BROKERS})
        with network, processes.running(lab, (*KAFKA, *WORKERS), lambda text: None):
            yield Target(lab, network)


def _overrides(
    ports: Mapping[str, int], behind: Mapping[str, int], before: Mapping[str, int], settings: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """`behind`: where brokers listen for workers; `before`: where the proxies do."""
    brokers = {
        name: {
            "listeners": f"PLAINTEXT://127.0.0.1:{ports[name]},WORKERS://127.0.0.1:{behind[name]}",
            "advertised.listeners": f"PLAINTEXT://localhost:{ports[name]},WORKERS://localhost:{before[name]}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,WORKERS:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
        }
        for name in BROKERS
    }
    workers = {
        name: {
            "KAFKA_BOOTSTRAP_SERVERS": ",".join(f"localhost:{port}" for port in before.values()),
            "ROWS_KEPT": "10000000",  # every event is to be found at the end
            "ROWS_KEPT_BYTES": str(1 << 30),
            **settings,
        }
        for name in WORKERS
    }
    workers[SPARE]["CONSUMER_GROUP"] = GROUP
    # A broker that was down soon leads its partitions again, not after 5 minutes. Else a fault of it would have no effect.
    controller = {"leader.imbalance.check.interval.seconds": "3", "leader.imbalance.per.broker.percentage": "0"}
    return {**brokers, **workers, "controller": controller}
