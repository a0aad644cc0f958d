"""Connections are bounded in number, and one whose client takes nothing is closed."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.unit.served import Served, served
from tests.worker import wait_for

MOST = 20
REQUEST = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY_MISSING = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"


def set_up() -> None:
    from labapp.patched import aiohttp_server

    aiohttp_server.Server.connections_most = MOST


@pytest.fixture
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), set_up) as found:
        yield found


@pytest.fixture
def connections() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(worker: Served, connections: ExitStack, sent: bytes = b"") -> socket.socket:
    connection = connections.enter_context(socket.create_connection(("127.0.0.1", worker.port), timeout=20))
    connection.sendall(sent)
    return connection


def post_without_its_body(worker: Served, connections: ExitStack) -> socket.socket:
    """The worker waits for the body."""
    connection = connect(worker, connections, BODY_MISSING)
    assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
    return connection


def is_closed(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def test_idle_connections_make_room(worker: Served, connections: ExitStack) -> None:
    """The oldest first, whether nothing came, half of a request, or a whole one that was answered."""
    idle = [connect(worker, connections, sent) for sent in [b"", b"GET / HT", REQUEST] * MOST]

    assert worker.get("/health/live").status == 200
    wait_for(lambda: [is_closed(one) for one in idle] == [True] * (2 * MOST + 1) + [False] * (MOST - 1), "the oldest are closed")
    idle[-1].recv(65536)
    idle[-1].sendall(REQUEST)
    assert idle[-1].recv(65536).endswith(b"pong:first-group")
    assert worker.log == ""


def test_who_is_being_answered_stays(worker: Served, connections: ExitStack) -> None:
    """Others come and go meanwhile."""
    stream = connect(worker, connections, b"GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert stream.recv(65536)
    body_missing = post_without_its_body(worker, connections)
    for _ in range(2 * MOST):
        connect(worker, connections)

    assert worker.get("/health/live").status == 200
    body_missing.sendall(b'{"topic":')
    assert body_missing.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert not is_closed(stream)


def test_where_no_connection_is_idle(worker: Served, connections: ExitStack) -> None:
    """A new one is closed, until one of the others is answered."""
    busy = [post_without_its_body(worker, connections) for _ in range(MOST)]
    one_more = connect(worker, connections)
    wait_for(lambda: is_closed(one_more), "the new one is closed")
    assert not any(map(is_closed, busy))

    busy[0].sendall(b'{"topic":')
    assert busy[0].recv(65536).startswith(b"HTTP/1.1 400 ")
    assert worker.get("/health/live").status == 200
    assert worker.log == ""
