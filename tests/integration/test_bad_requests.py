"""Requests that nobody who means well sends: each is refused, or answered, and the worker goes on.

BAD_REQUESTS=10000 tries more of them.
"""

import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Kafka
from tests.worker import PATIENCE, Worker

EXAMPLES = int(os.environ.get("BAD_REQUESTS", "1000"))
# Not the stream, which does not end by itself. No path has a line break or a space, which would only end the line.
PATHS = ["/", "/ping", "/events", "/events/key", "/stages", "/cluster", "/records", "/dead-letters", "/status", "/page", "/metrics"]
PATHS += [
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/asyncapi.json",
    "/static/main.js",
    "/table/",
    "/table/events/key/",
    "/router/",
]
PATHS += [
    "/lab/stop/consumer",
    "/static/../settings.py",
    "/static/%2e%2e/settings.py",
    "/events/%00",
    "/events/%ff",
    "//",
    "*",
    "http://x/",
]
PLACES = st.sampled_from([b"0:1,1:%d" % 10**17, b"0:1;", b"1;0:5", b"1;9:%d" % 10**17])
NAMES = ["limit", "before", "window", "topic", "partition", "local", "after"]
HEADERS = ["Content-Type", "Idempotency-Key", "traceparent", "Accept", "Origin", "Last-Event-ID", "Authorization", "Content-Encoding",
           "Expect", "Range", "If-None-Match", "If-Modified-Since", "Cookie", "Host", "Transfer-Encoding", "Connection"]  # fmt: skip
VALUES = ["application/json", "application/json; charset=utf-16", "gzip", "chunked", "100-continue", "close", "bytes=9-1", "text/html", "*"]

HOSTS = ["evil.example", "evil.example:5000", "localhost@evil.example", "localhost.evil.example", "[::2]", "", "localhost:x", "\x7f"]
# What would look like a line of the log, or like what a terminal obeys.
FORGED = quote("\n2026-01-01 00:00:00,000 ERROR labapp: forged\r\x1b[2J\x00\u2028").encode()
LONG = st.integers(1, 4000).map(lambda length: b"x/" * length) | st.just(FORGED)

# aiohttp itself refuses what is no HTTP, so most of what is sent here is, and gets to the app.
anything = st.binary(max_size=30)
raw = anything.map(lambda data: bytes(byte for byte in data if byte > 0x20 and byte != 0x7F))
quoted = anything.map(lambda data: quote(data, safe="").encode())
number = st.integers(-(10**20), 10**20).map(lambda number: b"%d" % number)
number |= st.tuples(st.integers(1, 5000), number).map(lambda zeros_and_number: b"0" * zeros_and_number[0] + zeros_and_number[1])
visible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=140).map(str.encode)
header_value = (
    visible | st.sampled_from([value.encode() for value in VALUES]) | anything.map(lambda data: bytes(byte | 0x80 for byte in data))
)
path = st.sampled_from([path.encode() for path in PATHS])
path |= path | st.tuples(path, quoted | LONG).map(lambda parts: b"%s/%s" % parts) | raw.map(lambda data: b"/" + data)
pair = st.tuples(st.sampled_from([name.encode() for name in NAMES]), quoted | number | visible.map(quote).map(str.encode) | PLACES)
query = st.lists(pair, max_size=3).map(lambda pairs: b"&".join(b"%s=%s" % pair for pair in pairs))
query |= query | query | query | raw
header = st.tuples(st.sampled_from([name.encode() for name in HEADERS]), header_value)
header |= header | header | st.tuples(st.just(b"Host"), st.sampled_from([host.encode() for host in HOSTS]))
json_like = st.recursive(
    st.none() | st.booleans() | st.floats().map(repr) | st.integers() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["topic", "clicked", "id"]), children),
)
body = st.binary(max_size=200) | json_like.map(lambda thing: str(thing).encode("utf-8", "surrogatepass")) | st.just(b"[" * 70_000)
body |= st.dictionaries(st.sampled_from(["topic", "clicked", "produced", "a"]), st.text(max_size=9) | st.integers(), max_size=3).map(
    lambda fields: json.dumps(fields).encode()
)


@pytest.fixture(scope="module")
def worker(kafka: Kafka) -> Iterator[Worker]:
    worker = Worker(KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap, KAFKA_TOPIC="bad", CONSUMER_GROUP="bad", DEAD_LETTER_TOPIC="bad-dlq")
    try:
        yield worker.ready()
    finally:
        worker.close()


def ask(port: int, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> int | None:
    """The status, or None where the worker only closed the connection: it may, on what is no HTTP."""
    always = [] if any(name == b"Host" for name, _ in headers) else [(b"Host", b"localhost")]
    always.append((b"Content-Length", b"%d" % len(body)))
    lines = [b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % header for header in (*always, *headers))]
    with socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE) as connection:
        with suppress(OSError):  # answered, and closed, before all was sent
            connection.sendall(b"\r\n".join([*lines, b"", b""]) + body)
        with http.client.HTTPResponse(connection, method=method.decode()) as response:
            try:
                response.begin()
            except (http.client.HTTPException, ConnectionError):
                return None
            return response.status


@given(
    st.sampled_from([b"GET"] * 6 + [b"POST"] * 6 + [b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"X"]),
    path,
    query,
    st.lists(header, max_size=2) | st.lists(header, max_size=2).map(lambda headers: [(b"Content-Type", b"application/json"), *headers]),
    body,
)
@settings(max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_bad_requests(worker: Worker, method: bytes, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """None is answered with an error of the worker's own."""
    status = ask(worker.port, method, path + (b"?" + query if query else b""), headers, body)

    assert status is None or status < 500 or status == 503, (status, worker.log[-2000:])


def test_the_worker_goes_on(worker: Worker) -> None:
    """After all of that, it takes an event. Its log tells of no error, and no line of it is a client's."""
    assert worker.post({"id": 1}).status == 200
    assert "Traceback" not in worker.log
    assert " ERROR " not in worker.log
    assert not re.search(r"^\S.*forged|[\x00-\x09\x0b-\x1f\x7f]", worker.log, re.MULTILINE)
