"""Reads the parts of a request that views need: its body, its query, its trace. Raises Refused for a part that can't be read."""

import asyncio
import re

from aiohttp import web

from labapp.event import offsets, record
from labapp.event.offsets import Offsets
from labapp.web.answers import Refused

BODY_TIMEOUT_SECONDS = 10
WAIT_SECONDS_MAX = 10

# The time of `int` grows with the square of the digits. Kafka's offsets have up to 19 digits, but 18 are enough.
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([0-9]{1,6})\s*(?:$|[,;])", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


async def body_of(request: web.Request) -> bytes:
    """The whole body. A client that sends it too slowly is refused, so that it holds nothing for long."""
    try:
        if request.content.is_eof():  # a small body comes with the headers
            return await request.read()
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refused(408, f"The body did not arrive within {BODY_TIMEOUT_SECONDS} s.") from None
    except web.RequestPayloadError:
        raise Refused(400, "The body is cut off, or not encoded as its headers say.") from None


def whole_number(request: web.Request, name: str, default: int | None, least: int, most: int) -> int:
    """The query's whole number `name`, of up to 18 digits. Without a default it must be given."""
    text = request.query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not _WHOLE_NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise Refused(400, f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def cursor(request: web.Request, name: str) -> Offsets:
    """The query's cursor `name`, as an earlier answer gave it in `next`; empty if there is none."""
    text = request.query.get(name)
    if text is None:
        return {}
    try:
        return offsets.parse(text)
    except ValueError:
        raise Refused(400, f"{name} must be a cursor from the field next of an earlier answer.") from None


def wait_seconds(request: web.Request) -> int:
    """How long the client prefers to wait for an event (`Prefer: wait=5`, RFC 7240), WAIT_SECONDS_MAX at most."""
    found = _WAIT.search(",".join(request.headers.getall("Prefer", [])))
    return min(int(found[1]), WAIT_SECONDS_MAX) if found else 0


def traceparent_of(request: web.Request) -> str | None:
    return record.traceparent_of(request.headers.getall("traceparent", []))
