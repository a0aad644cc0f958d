"""How HTTP looks everywhere: an error is `{"error": "one sentence"}`, made in one place."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from faust.web.exceptions import WebError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """A request that is answered with `status` and a sentence, and `Retry-After` where trying again makes sense."""

    def __init__(self, status: int, sentence: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_after_seconds = status, sentence, retry_after_seconds


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a view raises into the answer, and logs what nobody foresaw."""
    try:
        return await handler(request)
    except Refused as exc:
        retry = {"Retry-After": str(exc.retry_after_seconds)} if exc.retry_after_seconds is not None else None
        return json_response({"error": exc.sentence}, exc.status, retry)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        headers = {"Allow": allow} if (allow := exc.headers.get("Allow")) else None
        return json_response({"error": _SENTENCES.get(exc.status, exc.reason)}, exc.status, headers)
    except WebError as exc:
        return json_response({"error": str(exc.detail)}, exc.code or 500)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return json_response({"error": "The worker failed on this request; its log says why."}, 500)


_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is larger than 64 KiB.",
}
