"""Free requests hold nothing for long and nothing large: rows as large as a post may be, as many as an answer may have."""

import socket
from collections.abc import Iterator

import pytest

from labapp.event.row import row_of
from labapp.event.rows import Rows
from tests.unit.records import ARRIVAL_US, Record
from tests.unit.served import Served, served
from tests.worker import wait_for

ROWS = 150  # of 64 KB: more than two answers
HANDED_OUT = 120
ANSWER_BYTES_MOST = 4_100_000


def set_up() -> None:
    from labapp.app import event_table
    from labapp.consume.feed import FEED
    from labapp.patched import aiohttp_server
    from labapp.views import events_stream

    events_stream.STREAMS_MOST = 3
    aiohttp_server.SEND_TIMEOUT_SECONDS = 0.5
    text = b"x" * 64_000
    for partition in (0, 1):
        rows = event_table.owned[partition] = Rows()
        for offset in range(ROWS):
            record = Record(b'{"text":"%s"}' % text, b"%d-%d" % (partition, offset), partition=partition, offset=offset)
            rows.apply([row_of(record, ARRIVAL_US)])
    FEED.add((str(n), Record(b'{"id":%d,"text":"%s"}' % (n, text)), ARRIVAL_US) for n in range(HANDED_OUT))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), set_up) as found:
        yield found


def test_pages_of_large_rows(worker: Served) -> None:
    """A page ends where it is large enough, and the next one goes on from there."""
    keys, following = [], ""
    while following is not None:
        answer = worker.get(f"/events?limit=1000{following}")
        assert len(answer.body) < ANSWER_BYTES_MOST
        keys += [row["key"] for row in answer.json["events"]]
        following = f"&before={answer.json['next']}" if answer.json["next"] else None

    assert sorted(keys) == sorted(f"{partition}-{offset}" for partition in (0, 1) for offset in range(ROWS))


def test_what_was_consumed_is_handed_out_in_parts(worker: Served) -> None:
    """Where it is much; each event once, oldest first."""
    found = []
    while events := (answer := worker.get("/")).json:
        assert len(answer.body) < ANSWER_BYTES_MOST
        found += [event["id"] for event in events]

    assert found == list(range(HANDED_OUT))


def stream(worker: Served) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", worker.port))
    connection.sendall(b"GET /events/stream?after=0; HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def test_streams_are_counted_and_slow_ones_given_up(worker: Served) -> None:
    """One too many is answered 503, with when to try again. Who takes nothing loses its place to others."""
    slow = [stream(worker) for _ in range(3)]
    try:
        assert [connection.recv(12) for connection in slow] == [b"HTTP/1.1 200"] * 3
        refused = worker.get("/events/stream")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")

        def again() -> bool:
            with stream(worker) as another:
                return another.recv(12) == b"HTTP/1.1 200"

        wait_for(again, "a place")
    finally:
        for connection in slow:
            connection.close()
    assert "Traceback" not in worker.log
