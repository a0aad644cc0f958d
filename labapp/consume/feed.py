"""What this worker recorded lately, in its memory: for `GET /`, which hands each event out once, and for those who wait for news.

The table is what lasts, and what `/events/stream` reads: here it only learns that there is something to read.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

import orjson

from labapp.event.row import Fresh, local_time, with_field

HANDED_OUT_MAX = 10_000

# Oldest first; when full the oldest make room.
_waiting: deque[Fresh] = deque(maxlen=HANDED_OUT_MAX)
_news = asyncio.Event()


def add(fresh: Iterable[Fresh]) -> None:
    _waiting.extend(fresh)


def hand_out() -> list[orjson.Fragment]:
    """The events since the last call, oldest first, as the workshop's consumer gave them: the value's fields and `consumed`."""
    events = [orjson.Fragment(with_field(value, "consumed", local_time(consumed_us))) for _, value, consumed_us in _waiting]
    _waiting.clear()
    return events


def tell() -> None:
    """The table has new rows, or others. Wakes whoever waits."""
    global _news
    _news.set()
    _news = asyncio.Event()


def news() -> asyncio.Event:
    """Set at the next `tell`. To miss nothing, take it before looking at the table."""
    return _news
