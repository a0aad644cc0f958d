"""How HTTP looks everywhere: an error is `{"error": "one sentence"}`, made in one place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Any

import orjson
from aiohttp import web, web_urldispatcher
from aiohttp.http_exceptions import HttpProcessingError
from faust.web.exceptions import WebError

from labapp import settings
from labapp.event import row as events
from labapp.observe import metrics

BODY_TIMEOUT_SECONDS = 10
# A connection on which no request, or none to its end, arrives in so long is closed. Longer than what stands before us keeps its own.
IDLE_TIMEOUT_SECONDS = 75
# How long an answered request may go on sending what nobody reads: shorter, and it might not see the answer.
LINGERING_SECONDS = 2

log = logging.getLogger(__name__)
# What is no HTTP is answered 400. It is nothing that whoever runs this could mend, so it has no place in the log.
_NO_HTTP = (HttpProcessingError, web.RequestPayloadError)
logging.getLogger("aiohttp.server").addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _NO_HTTP)))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """A request that is answered with `status` and a sentence, and `Retry-After` where trying again makes sense."""

    def __init__(self, status: int, sentence: str, retry_after_seconds: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a view raises into the answer, and logs what nobody foresaw."""
    metrics.requests_under_way += 1
    try:
        return await handler(request)
    except Refused as exc:
        return json_response({"error": exc.sentence}, exc.status, exc.headers)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        headers = {"Allow": allow} if (allow := exc.headers.get("Allow")) else None
        return json_response({"error": _SENTENCES.get(exc.status, exc.reason)}, exc.status, headers)
    except WebError as exc:
        return json_response({"error": str(exc.detail)}, exc.code or 500)
    except Exception:
        log.exception("%s %s failed", request.method, request.path, extra={"traceparent": traceparent_of(request)})
        return json_response({"error": "The worker failed on this request; its log says why."}, 500)
    finally:
        metrics.requests_under_way -= 1


def traceparent_of(request: web.Request) -> str | None:
    return events.traceparent_of(request.headers.getall("traceparent", []))


@web.middleware
async def token_checked(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets nobody change anything who does not have API_TOKEN, where it is set. To look is free, and so is what browsers ask first."""
    if settings.API_TOKEN and request.method not in ("GET", "HEAD", "OPTIONS"):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(token.strip().encode(errors="replace"), settings.API_TOKEN.encode()):
            sentence = "This needs the header Authorization: Bearer with the worker's API_TOKEN."
            raise Refused(401, sentence, headers={"WWW-Authenticate": "Bearer"})
    return await handler(request)


def runner(application: web.Application) -> web.AppRunner:
    """What serves the application, with bounds for how long a client may take."""
    return web.AppRunner(application, access_log=None, keepalive_timeout=IDLE_TIMEOUT_SECONDS, lingering_time=LINGERING_SECONDS)


async def body_of(request: web.Request) -> bytes:
    """The whole body. Raises Refused where it does not arrive in time, so that whoever is slow holds nothing for long."""
    try:
        if request.content.is_eof():  # it came with the headers, as a small one does
            return await request.read()
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refused(408, f"The body did not arrive within {BODY_TIMEOUT_SECONDS} s.") from None
    except web.RequestPayloadError:
        raise Refused(400, "The body is cut off, or not encoded as its headers say.") from None


_answer_to_expect = web_urldispatcher._default_expect_handler


async def _expect(request: web.Request) -> None:
    """aiohttp's own, which fails on a header Expect that is no UTF-8 before any middleware has the request."""
    try:
        await _answer_to_expect(request)
    except UnicodeEncodeError:
        raise web.HTTPExpectationFailed from None


web_urldispatcher._default_expect_handler = _expect


_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is larger than 64 KiB.",
}
