"""The lab: one Kafka controller, two brokers and the app's workers on this machine, on loopback only, for learning and for tests.

A lab is a folder and a port for each process. Two labs can run side by side if both differ. The environment may change them:

- `LAB_FOLDER`: where data, logs and the control socket are. Default `.lab` in the current folder.
- `LAB_PORTS`: ports other than the usual ones, such as `broker-1=19093,producer=15000`.
- `LAB_CACHE`: where Kafka's jars are kept, for all labs of this user. Default `~/.cache/labapp`.

A worker takes everything else from its own settings. The lab passes them on, except those that it sets itself (supervisord.py).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

# They start together, and stop in the reverse of this order, kind by kind.
PORTS: Mapping[str, int] = {
    "controller": 9092,
    "broker-1": 9093,
    "broker-2": 9094,
    "producer": 5000,
    "consumer": 8000,
    "second-consumer": 8001,
    "fan-out": 8002,
}
BROKERS = ("broker-1", "broker-2")
KAFKA = ("controller", *BROKERS)
WORKERS = tuple(name for name in PORTS if name not in KAFKA)
APP = (*KAFKA, "producer", "consumer")  # what `up` starts; the other two workers wait for `start`


class LabError(Exception):
    """The lab can't do what was asked. The text says why, for the person who asked."""


@dataclass(frozen=True)
class Lab:
    MARK: ClassVar[str] = "LABAPP_LAB"

    folder: Path
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    cache: Path = Path.home() / ".cache" / "labapp"
    # Changes for tests, by process: settings of the controller or a broker, the environment of a worker. They override the lab's own.
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.absolute())
        object.__setattr__(self, "ports", {**PORTS, **self.ports})

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"localhost:{self.ports[name]}" for name in BROKERS)

    def environment(self) -> dict[str, str]:
        """The environment for a process of the lab: this process's, with a mark. By the mark it is found if the lab is killed."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
        return {**ours, self.MARK: str(self.folder)}

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def settings_file(self, name: str) -> Path:
        """The file of a worker's settings beside the lab's own: NAME=VALUE, separated by spaces."""
        return self.folder / f"{name}.settings"

    def slow_file(self, name: str) -> Path:
        """The file that says how slow the consumer is, in milliseconds an event."""
        return self.folder / f"{name}.slow"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def from_environment(environment: Mapping[str, str] = os.environ) -> Lab:
    """The lab that the environment describes. Raises LabError if a value can't be used."""
    return Lab(
        folder=Path(environment.get("LAB_FOLDER") or ".lab"),
        ports=_ports(environment.get("LAB_PORTS", "")),
        cache=Path(environment.get("LAB_CACHE") or Path.home() / ".cache" / "labapp").absolute(),
    )


def _ports(text: str) -> dict[str, int]:
    ports = dict(PORTS)
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, _, port = word.partition("=")
        if name not in PORTS or not port.isdecimal() or not 0 < int(port) < 65536:
            raise LabError(f"LAB_PORTS can't be used: {word!r} is not NAME=PORT with one of {', '.join(PORTS)}.")
        ports[name] = int(port)
    for name, number in ports.items():
        if sharing := [other for other in ports if other != name and ports[other] == number]:
            raise LabError(f"LAB_PORTS can't be used: {name} and {sharing[0]} share port {number}.")
    return ports
