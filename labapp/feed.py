"""What this worker recorded lately, in its memory: for `GET /`, which hands each event out once, and for those who wait for news.

The table is what lasts, and what `/events/stream` reads: here it only learns that there is something to read.
"""

import asyncio
from collections import deque

import orjson

from labapp.events import local_time, with_field

HANDED_OUT_MAX = 10_000

# (the record's value, consumed_us), oldest first; when full the oldest make room.
_waiting: deque[tuple[bytes, int]] = deque(maxlen=HANDED_OUT_MAX)
_news = asyncio.Event()


def add(value: bytes, consumed_us: int) -> None:
    _waiting.append((value, consumed_us))


def hand_out() -> list[orjson.Fragment]:
    """The events since the last call, oldest first, as the workshop's consumer gave them: the value's fields and `consumed`."""
    events = [orjson.Fragment(with_field(value, "consumed", local_time(consumed_us))) for value, consumed_us in _waiting]
    _waiting.clear()
    return events


def tell() -> None:
    """Once a batch: the table has new rows. Wakes whoever waits."""
    global _news
    _news.set()
    _news = asyncio.Event()


def news() -> asyncio.Event:
    """Set at the next `tell`. To miss nothing, take it before looking at the table."""
    return _news
