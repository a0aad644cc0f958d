"""The answers that views give: JSON, and a refusal with one sentence."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

# The most bytes of an answer of many rows or events, without the last one.
ANSWER_BYTES_MOST = 4_000_000
# How many bytes of such an answer are written at once.
PART_BYTES = 32 * 1024


class Refused(Exception):
    """Raised by a view: the request is answered with `status` and a sentence, and with `Retry-After` if trying again makes sense."""

    def __init__(self, status: int, sentence: str, retry_after_seconds: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


_turn = asyncio.Lock()


@asynccontextmanager
async def own_turn() -> AsyncIterator[None]:
    """For work that takes milliseconds without an await. The loop serves others between two such tasks."""
    async with _turn:
        yield
        await asyncio.sleep(0)


def json_list_response(head: bytes, items: Sequence[bytes], tail: bytes) -> web.Response:
    """An answer of `head`, the items with commas between them, and `tail`, which are JSON text together.

    It is sent in parts. So the loop serves others in between. A slow client holds one part in memory, and items that others share.
    """
    size = len(head) + sum(map(len, items)) + max(0, len(items) - 1) + len(tail)
    headers = {"Content-Length": str(size)}
    return web.Response(body=_parts(head, items, tail), headers=headers, content_type="application/json")


async def _parts(head: bytes, items: Sequence[bytes], tail: bytes) -> AsyncIterator[bytes]:
    part, size = [head], 0
    for number, item in enumerate(items):
        part += [b",", item] if number else [item]
        size += len(item)
        if size >= PART_BYTES:
            yield b"".join(part)
            await asyncio.sleep(0)  # a fast client would take all parts in one turn of the loop
            part, size = [], 0
    yield b"".join([*part, tail])
