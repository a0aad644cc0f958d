"""The answers that views give: JSON, and a refusal with one sentence."""

import asyncio
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

# What an answer has that is made of many rows or events, beside its last one.
ANSWER_BYTES_MOST = 4_000_000
# A client that does not take its answer in this time is given up, since the answer stays in memory until then.
SEND_TIMEOUT_SECONDS = 20


class Refused(Exception):
    """Raised by a view: the request is answered with `status` and a sentence, and with `Retry-After` if trying again makes sense."""

    def __init__(self, status: int, sentence: str, retry_after_seconds: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)


class Answer(web.Response):
    """An answer that gives up a client which takes it too slowly."""

    _request: web.BaseRequest

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._request = request
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
                await super().write_eof(data)
        except TimeoutError:
            abort(self._request)


def abort(request: web.BaseRequest) -> None:
    """Ends the connection, and drops what the client has not taken. A mere close would wait for the client."""
    if request.transport is not None:
        request.transport.abort()


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return Answer(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")
