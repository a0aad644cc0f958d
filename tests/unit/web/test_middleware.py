"""What every request meets, whichever view it is for: the token, and bounds for slow and for long ones."""

import asyncio
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
from aiohttp import web

from labapp import settings
from labapp.patched import aiohttp_server
from labapp.web import callers, middleware, requests
from labapp.web.answers import json_list_response, json_response
from tests.worker import request, wait_for

LARGE = 50_000_000


async def answer(request: web.Request) -> web.StreamResponse:
    return json_response({"bytes": len(await requests.body_of(request))})


async def large(request: web.Request) -> web.StreamResponse:
    return json_response("x" * LARGE)


async def large_list(request: web.Request) -> web.StreamResponse:
    return json_list_response(b"[", [b'"%s"' % (b"x" * 50_000)] * (LARGE // 50_000), b"]")


async def large_file(request: web.Request) -> web.StreamResponse:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.truncate(LARGE)
    return web.FileResponse(file.name)


@contextmanager
def served(stopping: bool = False) -> Iterator[int]:
    """The port of a server that has the app's middlewares and bounds."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []

    async def start() -> web.AppRunner:
        closing = middleware.closing_once(lambda: stopping)
        application = web.Application(middlewares=[closing, middleware.errors_as_json, callers.token_checked])
        application.router.add_route("*", "/", answer)
        application.router.add_get("/large", large)
        application.router.add_get("/list", large_list)
        application.router.add_get("/file", large_file)
        runner = aiohttp_server.runner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(settings, "API_TOKEN", "open-sesame")
    return "open-sesame"


@pytest.mark.parametrize("authorization", ["Bearer open-sesame", "bearer open-sesame"])
def test_who_has_the_token_may_change_things(authorization: str, token: str) -> None:
    """As the header Authorization says it."""
    with served() as port:
        assert request(port, "POST", "/", b"x", {"Authorization": authorization}).status == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer open", "Basic open-sesame", "open-sesame", "Bearer \xe9"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_who_has_not_may_not(authorization: str, method: str, token: str) -> None:
    """401, with a sentence."""
    with served() as port:
        refused = request(port, method, "/", b"x", {"Authorization": authorization})

    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json == {"error": "This request needs the header Authorization: Bearer with the worker's API_TOKEN."}


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_to_look_needs_no_token(method: str, token: str) -> None:
    """Neither do browsers that ask first whether they may."""
    with served() as port:
        assert request(port, method, "/").status == 200


def test_without_a_token_set_everybody_may() -> None:
    """It is off by default."""
    with served() as port:
        assert request(port, "POST", "/", b"x").json == {"bytes": 1}


def test_a_body_that_trickles_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection is closed soon, though bytes still come."""
    monkeypatch.setattr(requests, "BODY_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(aiohttp_server, "LINGERING_SECONDS", 0.2)
    with served() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        received, closed = b"", False
        for _ in range(200):
            try:
                connection.sendall(b"x")
                closed = not (part := connection.recv(65536))
                received += part
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
            if closed:
                break

    assert received.startswith(b"HTTP/1.1 408 ")
    assert b'{"error":"The body did not arrive within 0.2 s."}' in received
    assert closed


def open_connections(port: int) -> int:
    """Those that a server of this process has at the port."""
    found = psutil.Process().net_connections("tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in found)


@pytest.mark.parametrize("path", ["/large", "/list", "/file"])
def test_who_does_not_take_the_answer_is_given_up(path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is cut, so that the answer is no longer kept in memory."""
    monkeypatch.setattr(aiohttp_server, "SEND_TIMEOUT_SECONDS", 0.2)
    with served() as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        received = len(connection.recv(1))
        wait_for(lambda: open_connections(port) == 0, "given up")
        with suppress(ConnectionError):
            while part := connection.recv(1 << 20):
                received += len(part)

    assert received < LARGE
    assert caplog.records == []


def test_who_takes_the_answer_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though that takes longer than a client may take nothing."""
    monkeypatch.setattr(aiohttp_server, "SEND_TIMEOUT_SECONDS", 0.5)
    with served() as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received, began = 0, time.monotonic()
        while part := connection.recv(1 << 20):
            received += len(part)
            time.sleep(0.02)

    assert received > LARGE
    assert time.monotonic() - began > 0.5


def test_headers_that_trickle_in_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, though bytes still come."""
    monkeypatch.setattr(aiohttp_server, "IDLE_TIMEOUT_SECONDS", 0.3)
    with served() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        for _ in range(200):
            try:
                connection.sendall(b"x")
                assert connection.recv(1) == b""
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("The connection is still open.")


def test_a_header_that_is_too_long_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """400, and nothing in the log: it is nobody's fault here."""
    with served() as port:
        assert request(port, "GET", "/", None, {"X-Long": "x" * 20_000}).status == 400
        assert request(port, "GET", "/", None, {"X-Long": "x" * 8_000}).status == 200

    assert caplog.records == []


def test_what_is_no_http_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """400 as well."""
    with served() as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.0 400 ")

    assert caplog.records == []


@pytest.mark.parametrize("path", ["/", "/nothing-here"])
def test_a_worker_that_stops_closes_connections(path: str) -> None:
    """With its next answer, whichever it is, so that the client's next request goes elsewhere. Before, it keeps them."""
    for stopping, said in ((False, None), (True, "close")):
        with served(stopping) as port:
            assert request(port, "GET", path).headers["Connection"] == said
