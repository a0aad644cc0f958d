"""Asks a candidate over HTTP whether it is there, and what it has recorded."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from bench.run import Program


def answers(port: int) -> Callable[[Program], bool]:
    """Whether somebody listens there."""

    def check(_: Program) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return check


def is_ready(port: int) -> Callable[[Program], bool]:
    """Whether a worker of ours says that it is ready."""

    def check(_: Program) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return check


def get(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {body[:300]!r}")
        return json.loads(body)
    finally:
        connection.close()


def rows(port: int) -> Iterator[dict[str, Any]]:
    """All rows that a worker of ours keeps, newest first."""
    path: str | None = "/events?limit=1000"
    while path is not None:
        page = get(port, path)
        yield from page["events"]
        path = f"/events?limit=1000&before={page['next']}" if page["next"] else None


@cache
def _kept(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.connect()
    assert connection.sock is not None
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def post_until_readable(producer_port: int, consumer_port: int) -> int:
    """Microseconds from the send of one POST until the consumer answers a GET with its row, over keep-alive connections."""
    producer, consumer = _kept(producer_port), _kept(consumer_port)
    began = time.monotonic_ns()
    producer.request("POST", "/", b'{"id":30000000}', {"Content-Type": "application/json"})
    key = json.loads(producer.getresponse().read())["key"]
    while True:
        consumer.request("GET", f"/events/{key}")
        answer = consumer.getresponse()
        answer.read()
        if answer.status == 200:
            return (time.monotonic_ns() - began) // 1000
