"""aiohttp's server inside Faust: time-outs for slow clients, and an answer to a header that aiohttp fails on."""

from typing import Any

from aiohttp import web, web_urldispatcher

# The server closes a connection on which no complete request arrives in this time. HTTP proxies keep idle connections for 60 s or less,
# so the proxy closes first and never sends a request into a connection that is being closed.
IDLE_TIMEOUT_SECONDS = 75
# How long the rest of a refused request is still read. A client that is cut off earlier may not see the answer.
LINGERING_SECONDS = 2

_answer_to_expect = web_urldispatcher._default_expect_handler


def runner(application: web.Application) -> web.AppRunner:
    """Serves the application with these time-outs and without an access log."""
    return web.AppRunner(application, access_log=None, keepalive_timeout=IDLE_TIMEOUT_SECONDS, lingering_time=LINGERING_SECONDS)


def take_over(app: Any) -> None:
    """Lets a Faust app's web server use `runner`, since Faust passes no time-outs to its own, and `answer_to_expect`."""
    app.web._runner = runner(app.web.web_app)
    web_urldispatcher._default_expect_handler = answer_to_expect


async def answer_to_expect(request: web.Request) -> None:
    """aiohttp's own fails on a header Expect that is not UTF-8, before any middleware sees the request."""
    try:
        await _answer_to_expect(request)
    except UnicodeEncodeError:
        raise web.HTTPExpectationFailed from None
