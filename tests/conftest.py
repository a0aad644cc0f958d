"""Fixtures only; they start nothing until a test asks for them."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labapp.lab import BROKERS, KAFKA, PORTS, Lab, processes
from tests import secured as secured_
from tests.worker import Worker, free_port

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Kafka:
    """Two real brokers and a controller, for the whole session."""

    lab: Lab

    @property
    def bootstrap(self) -> str:
        return self.lab.bootstrap_servers


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A cluster of its own, beside whatever runs on this machine; one for each process of pytest. That it doesn't start is a failure.

    Its folder is always the same, so that what a killed test run left running is found and ended.
    """
    folder = Path(tempfile.gettempdir()) / f"labapp-tests-{os.getuid()}{os.environ.get('PYTEST_XDIST_WORKER', '')}"
    compacts_at_once = {"log.cleaner.backoff.ms": "200"}  # else it looks for work every 15 s
    lab = Lab(folder, {name: free_port() for name in PORTS}, overrides=dict.fromkeys(BROKERS, compacts_at_once))
    processes.forget(lab)
    with processes.running(lab, KAFKA, lambda text: None):
        yield Kafka(lab)


@pytest.fixture
def all_brokers_up(kafka: Kafka) -> Iterator[Kafka]:
    """For a test that stops brokers: the next one finds them all again."""
    yield kafka
    for name in BROKERS:
        processes.start(kafka.lab, name, lambda text: None)


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[secured_.Secured]:
    """One broker that trusts nobody, for the whole session."""
    with secured_.running(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture
def names() -> dict[str, str]:
    """A topic, a group and a dead-letter topic of the test's own."""
    number = f"{os.getpid()}-{next(_numbers)}"
    return {"KAFKA_TOPIC": f"topic-{number}", "CONSUMER_GROUP": f"group-{number}", "DEAD_LETTER_TOPIC": f"dlq-{number}"}


@pytest.fixture
def start_worker(kafka: Kafka, names: dict[str, str]) -> Iterator[Callable[..., Worker]]:
    """Starts workers on the test's topic and group; settings as keywords. They end with the test."""
    workers: list[Worker] = []

    def start(*arguments: str, **settings: object) -> Worker:
        worker = Worker(arguments, **{"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, **names, **settings})
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.close()
