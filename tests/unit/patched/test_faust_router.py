"""How one worker asks another one, for `/table/` and `/events/{key}`. The other one is a server of the test, which may answer anything."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from labapp.event.row import row_of
from labapp.event.rows import Rows
from tests.unit.records import ARRIVAL_US, Record
from tests.unit.served import Served, served
from tests.unit.serving import let_own_partition_0

ADDRESSES = ["/table/events/there/", "/events/there"]


def set_up(other: str) -> None:
    """The other worker, at this URL, owns every key but `here`."""
    from labapp.app import event_table
    from labapp.patched import faust_router

    faust_router.TIMEOUT_SECONDS = 1
    let_own_partition_0(other)
    event_table.owned[1] = Rows([row_of(Record(key=b"here", offset=0), ARRIVAL_US)])


class Other:
    """The other worker: what it was asked, and how it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: respond(handler, 200, b'{"key":"there"}')


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Other]]:
    other = Other()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            other.asked.append((self.path, dict(self.headers)))
            with suppress(OSError):  # the worker had enough
                other.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with served(tmp_path_factory.mktemp("served"), set_up, f"http://127.0.0.1:{server.server_port}") as worker:
                yield worker, other
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def worker(both: tuple[Served, Other]) -> Served:
    return both[0]


@pytest.fixture
def other(both: tuple[Served, Other]) -> Other:
    Other.__init__(both[1])
    return both[1]


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_of_the_client_is_passed_on(address: str, worker: Served, other: Other) -> None:
    """Neither what it may know, as a token or a cookie, nor what only fits its own request."""
    answer = worker.get(address, Authorization="Bearer secret", Cookie="a=secret", X_Own="secret", Content_Length="0")

    assert (answer.status, answer.json) == (200, {"key": "there"})
    [(path, headers)] = other.asked
    assert path == f"{address}?local"
    assert "secret" not in str(headers)
    assert headers.keys() <= {"Host", "Accept", "Accept-Encoding", "User-Agent"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_redirect_is_followed(address: str, worker: Served, other: Other) -> None:
    """Whatever answers where another worker should be can't send this one elsewhere."""
    other.answer = lambda handler: respond(handler, 302, b"", Location="/elsewhere")

    assert worker.get(address).status == 503
    assert [path for path, _ in other.asked] == [f"{address}?local"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_answer_that_is_too_long_is_given_up(address: str, worker: Served, other: Other) -> None:
    """It is not read to its end."""
    sent = []

    def without_end(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while sum(sent) < 100_000_000:
            handler.wfile.write(b"x" * 100_000)
            sent.append(100_000)

    other.answer = without_end

    assert worker.get(address).status == 503
    assert sum(sent) < 50_000_000


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_does_not_answer_is_given_up(address: str, worker: Served, other: Other) -> None:
    """503 after the time-out."""
    ended = threading.Event()
    other.answer = lambda handler: ended.wait(60) and None
    try:
        answer = worker.get(address)
    finally:
        ended.set()

    assert answer.status == 503
    assert "could not be asked" in answer.json["error"]


def test_who_refuses_the_connection(tmp_path: Path) -> None:
    """503 as well, and no error of this worker's own."""
    with served(tmp_path, set_up, "http://127.0.0.1:1") as worker:
        assert [worker.get(address).status for address in ADDRESSES] == [503, 503]
        assert "Traceback" not in worker.log


def test_before_the_worker_has_connected_to_kafka(tmp_path: Path) -> None:
    """503: it can't tell yet who has a key."""
    with served(tmp_path) as worker:
        assert [worker.get(path).status for path in ("/table/events/key/", "/router/events/key/")] == [503, 503]
        assert "Traceback" not in worker.log


@pytest.mark.parametrize("path", ["/router/x/", "/router/x/key/", "/table/x/", "/table/x/key/", "/router/__class__/", "/router/%00/"])
def test_no_table_of_that_name(path: str, worker: Served) -> None:
    """404, and no error of the worker's own."""
    assert worker.get(path).status == 404
    assert "Traceback" not in worker.log


def test_who_is_asked_by_another_worker_asks_no_third(worker: Served, other: Other) -> None:
    """Two workers that each take the other one for the owner do not ask each other without end."""
    assert worker.get("/table/events/there/?local").status == 404
    assert worker.get("/table/events/here/?local").json["offset"] == 0
    assert other.asked == []


def test_fausts_own_addresses_answer(worker: Served) -> None:
    """They list the table and its workers."""
    assert [table["table"] if "table" in table else table["name"] for table in worker.get("/table/").json] == ["events"]
    assert [*worker.get("/router/").json] == [*worker.get("/router/events/").json] != []
