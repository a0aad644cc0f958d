"""aiohttp's server inside Faust: bounds for connections and slow clients, and an answer to a header that aiohttp fails on."""

import asyncio
import resource
import socket
from typing import Any

from aiohttp import web, web_app, web_fileresponse, web_urldispatcher
from aiohttp.web_protocol import RequestHandler

from labapp import settings

# The server closes a connection on which no complete request arrives in this time. HTTP proxies keep idle connections for 60 s or less.
# So the proxy closes first, and sends no request into a connection that is being closed.
IDLE_TIMEOUT_SECONDS = 75
# How long the rest of a refused request is still read. A client that is cut off earlier may not see the answer.
LINGERING_SECONDS = 2
# How long a client may read nothing of its answer. Until then the rest of the answer stays in memory.
SEND_TIMEOUT_SECONDS = 20
# Connections beside those of posts. POSTS_UNDER_WAY bounds the posts, and more are answered 503.
CONNECTIONS_BESIDE_POSTS = 1000
# Descriptors of files and of connections to Kafka.
OTHER_DESCRIPTORS = 200

_answer_to_expect = web_urldispatcher._default_expect_handler


class Server(web.Server):
    """A server with at most `connections_most` connections. One more replaces the oldest connection that waits for a request.

    If no connection waits for a request, the new connection is closed.
    """

    connections_most = settings.POSTS_UNDER_WAY + CONNECTIONS_BESIDE_POSTS

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; elsewhere a client that reads nothing stays connected
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * SEND_TIMEOUT_SECONDS))
        if len(self._connections) > self.connections_most:
            given_up = next((one for one in self._connections if not one._request_in_progress), handler)
            # A connection that was just made can't be closed before aiohttp has set it up.
            self._loop.call_soon(self._connections.pop(given_up).abort)


def runner(application: web.Application) -> web.AppRunner:
    """Serves the application with these bounds and without an access log."""
    web_app.Server = Server
    # With sendfile, aiohttp would log a traceback for a client that reads nothing.
    web_fileresponse.NOSENDFILE = True
    Server.connections_most = min(Server.connections_most, _descriptors(Server.connections_most + OTHER_DESCRIPTORS) - OTHER_DESCRIPTORS)
    return web.AppRunner(
        application,
        access_log=None,
        keepalive_timeout=IDLE_TIMEOUT_SECONDS,
        lingering_time=LINGERING_SECONDS,
        # Twice this long aiohttp waits for a request that does not end. So it ends before the worker's time to stop is over.
        shutdown_timeout=settings.STOP_TIMEOUT_SECONDS / 3,
    )


def _descriptors(wanted: int) -> int:
    """How many descriptors this process may have open from now on: as many as wanted, or as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def take_over(app: Any) -> None:
    """Makes a Faust app's web server use `answer_to_expect`, and `runner`, because Faust's own runner has no bounds."""
    app.web._runner = runner(app.web.web_app)
    web_urldispatcher._default_expect_handler = answer_to_expect


async def answer_to_expect(request: web.Request) -> None:
    """Answers a header Expect that is not UTF-8. aiohttp's own function fails on it before any middleware runs."""
    try:
        await _answer_to_expect(request)
    except UnicodeEncodeError:
        raise web.HTTPExpectationFailed from None
