"""Who may ask: by the name under which a worker is asked, and by the page that asks."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.records import ARRIVAL_US, Record
from tests.unit.served import Served, served
from tests.worker import request

PATHS = ["/", "/ping", "/events", "/events/stream", "/health/live", "/static/main.js", "/table/", "/router/", "/metrics", "/nothing"]


def set_up() -> None:
    from labapp.app import app
    from labapp.consume.feed import FEED

    app.conf.web_host = "own-name"
    FEED.add([("k", Record(b'{"id":7}'), ARRIVAL_US)])


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), set_up, ALLOWED_HOSTS="Lab.example.com,[fd00::7]") as found:
        yield found


HOSTS = ["localhost", "localhost:8000", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:5000", "own-name:5000"]
HOSTS += ["lab.example.com", "lab.example.com:443", "[fd00::7]:80", socket.gethostname()]


def test_its_own_names(worker: Served) -> None:
    """This machine's, that by which other workers know it, and those that are allowed; with any port."""
    assert {host: worker.get("/ping", Host=host).status for host in HOSTS} == dict.fromkeys(HOSTS, 200)


STRANGE_HOSTS = ["rebound.example:8000", "lab.example.com.evil.example", "xlab.example.com", "localhost.evil.example", "127.0.0.2", "",
                 "a b", "localhost:x", "localhost:8000@evil.example", "[::1", "::1", "[::2]", "*", "0.0.0.0"]  # fmt: skip


def test_strange_names(worker: Served) -> None:
    """421 for every address and method, also where there is nothing."""
    for host in STRANGE_HOSTS:
        answer = worker.get("/", Host=host)
        assert (host, answer.status, [*answer.json]) == (host, 421, ["error"])
    for path in PATHS:
        assert worker.get(path, Host="rebound.example").status == 421, path
    for method in ("POST", "OPTIONS", "PUT"):
        assert request(worker.port, method, "/", b"{}", {"Host": "rebound.example"}).status == 421


def test_without_a_host(worker: Served) -> None:
    """A proxy's health check by HTTP 1.0 has none, and no browser sends such a request."""
    with socket.create_connection(("127.0.0.1", worker.port), timeout=20) as connection:
        connection.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.0 200 ")


def test_the_address_that_is_bound(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where all addresses are bound, a client may ask for the one that it reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.3"  # a machine without a network
    with served(tmp_path_factory.mktemp("served"), bind="0.0.0.0") as worker:
        with socket.create_connection((address, worker.port), timeout=20) as connection:
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: %s:1\r\n\r\n" % address.encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert worker.get("/ping", Host="192.0.2.2").status == 421


def test_any_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where a proxy in front passes on its own names only, they need not be listed."""
    with served(tmp_path_factory.mktemp("served"), ALLOWED_HOSTS="*") as worker:
        assert worker.get("/ping", Host="anything.example").status == 200


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},  # <img src=http://localhost:8000/>
    {"Sec-Fetch-Site": "same-site"},  # of another port of this machine
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]
OWN = [
    {},  # curl
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},  # the workshop's page
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},  # typed
]


def test_other_sites_pages_drain_nothing(tmp_path: Path) -> None:
    """403, or 421 under a strange name, and what waits is still there."""
    with served(tmp_path, set_up) as worker:
        for headers in FOREIGN:
            assert (headers, request(worker.port, "GET", "/", None, headers).status) == (headers, 403)
        assert worker.get("/", Host="rebound.example").status == 421

        assert [event["id"] for event in worker.get("/").json] == [7]


@pytest.mark.parametrize("headers", OWN, ids=json.dumps)
def test_who_may_take_what_was_consumed(headers: dict[str, str], worker: Served) -> None:
    """Programs, the worker's own page, a person, and the pages of CORS_ORIGINS."""
    answer = request(worker.port, "GET", "/", None, headers)

    assert (answer.status, type(answer.json)) == (200, list)
