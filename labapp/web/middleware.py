"""The middlewares of every request. They turn errors into answers."""

import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from faust.web.exceptions import WebError

from labapp.observe.metrics import COUNTS
from labapp.web.answers import Refused, json_response
from labapp.web.callers import Handler, Middleware
from labapp.web.requests import traceparent_of

log = logging.getLogger(__name__)
# Bytes that are not HTTP are answered 400. An operator can't fix them, so they are not logged.
_NOT_HTTP = (HttpProcessingError, web.RequestPayloadError)
logging.getLogger("aiohttp.server").addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _NOT_HTTP)))

_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is larger than 64 KiB.",
}


def closing_once(stopping: Callable[[], bool]) -> Middleware:
    """Closes each connection with its next answer once the worker stops, so that the client's next request goes to another worker.

    Else a proxy or a client that keeps a connection would send its next request into a connection that is being closed.
    """

    @web.middleware
    async def closing(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if stopping():
            response.force_close()
        return response

    return closing


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers `{"error": "one sentence"}` for what a view raises, and logs what it should not have raised."""
    COUNTS.requests_under_way += 1
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
        log.exception("%s %s failed", request.method, request.rel_url.raw_path, extra={"traceparent": traceparent_of(request)})
        return json_response({"error": "The worker failed on this request; its log says why."}, 500)
    finally:
        COUNTS.requests_under_way -= 1
