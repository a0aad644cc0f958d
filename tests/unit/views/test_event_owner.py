"""Which workers of a group of eight are asked for an event: its owner first, all others only then."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from aiokafka.partitioner import DefaultPartitioner

from tests.unit.served import Served, served

WORKERS = 8  # the first is the app, which owns partition 0; each of the others is a server of the test, and owns the next one
PARTITIONS = list(range(WORKERS))
KEYS = [f"key-{number}" for number in range(100)]


def join(*others: str) -> None:
    """The app is in a group with these."""
    from yarl import URL

    from labapp.app import app
    from labapp.topics import CHANGELOG

    app.conf.canonical_url = URL("http://127.0.0.1:1")
    workers = [str(app.conf.canonical_url), *others]
    app.assignor.changelog_distribution = {url: {CHANGELOG: [partition]} for partition, url in enumerate(workers)}


def by_kafka(key: str) -> int:
    return DefaultPartitioner()(key.encode(), PARTITIONS, PARTITIONS)


class Group:
    """The other workers: which keys each one has, and which partitions' owners were asked."""

    def __init__(self) -> None:
        self.keys: dict[int, set[str]] = {partition: set() for partition in PARTITIONS}
        self.asked: list[int] = []

    def handler(self, partition: int) -> type[BaseHTTPRequestHandler]:
        group = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                group.asked.append(partition)
                key = unquote(self.path.partition("?")[0].removeprefix("/events/"))
                with suppress(OSError):
                    self.send_response(200 if key in group.keys[partition] else 404)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Group]]:
    group = Group()
    with ExitStack() as stack:
        urls = []
        for partition in PARTITIONS[1:]:
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), group.handler(partition)))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            urls.append(f"http://127.0.0.1:{server.server_port}")
        yield stack.enter_context(served(tmp_path_factory.mktemp("served"), join, *urls)), group


@pytest.fixture
def worker(both: tuple[Served, Group]) -> Served:
    return both[0]


@pytest.fixture
def group(both: tuple[Served, Group]) -> Group:
    Group.__init__(both[1])
    return both[1]


def test_the_owner_alone_is_asked(worker: Served, group: Group) -> None:
    """One request for each key that Kafka's partitioner puts into another worker's partition, whichever of them it is."""
    keys = {key: by_kafka(key) for key in KEYS if by_kafka(key) != 0}
    for key, partition in keys.items():
        group.keys[partition].add(key)

    assert {worker.get(f"/events/{key}").status for key in keys} == {200}
    assert group.asked == [*keys.values()]
    assert set(group.asked) == set(PARTITIONS[1:])


def test_a_key_that_names_its_partition(worker: Served, group: Group) -> None:
    """The key of a record that has none says where the record is."""
    group.keys[3].add("first-topic-3-17")

    assert worker.get("/events/first-topic-3-17").status == 200
    assert group.asked == [3]


def test_all_others_are_asked_if_the_owner_has_no_row(worker: Served, group: Group) -> None:
    """Another program chose the partition: the owner is asked once, then each of the others once."""
    key = next(key for key in KEYS if by_kafka(key) == 5)
    group.keys[2].add(key)

    assert worker.get(f"/events/{key}").status == 200
    assert group.asked[0] == 5
    assert sorted(group.asked) == PARTITIONS[1:]


def test_no_worker_has_it(worker: Served, group: Group) -> None:
    """404 once each worker was asked once, also where this worker would be the owner."""
    for owner in (0, 5):
        group.asked.clear()
        key = next(key for key in KEYS if by_kafka(key) == owner)

        assert worker.get(f"/events/{key}").status == 404
        assert sorted(group.asked) == PARTITIONS[1:]
