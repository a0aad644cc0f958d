"""The answers that views give: JSON, and a refusal with one sentence."""

from typing import Any

import orjson
from aiohttp import web


class Refused(Exception):
    """Raised by a view: the request is answered with `status` and a sentence, and with `Retry-After` if trying again makes sense."""

    def __init__(self, status: int, sentence: str, retry_after_seconds: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")
