"""What this worker recorded recently, in memory. `GET /` hands out each event once, and a change of the table wakes open streams.

Only the table is durable. `/events/stream` sends its rows.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice

from labapp.event.record import with_field
from labapp.event.row import Fresh
from labapp.event.stages import local_time

AGAIN_MAX = 1000
HANDED_OUT_MAX = 10_000
HANDED_OUT_BYTES_MAX = 8 * 1024 * 1024


class Feed:
    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, int]] = deque()  # values and their consumed_us, oldest first
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._again: deque[tuple[int, str]] = deque(maxlen=AGAIN_MAX)
        self.again_count = 0  # of all that were ever added

    def add(self, fresh: Iterable[Fresh]) -> None:
        """Adds new events. If too many wait for `hand_out`, the oldest are dropped."""
        values = [(record.value or b"", consumed_us) for _, record, consumed_us in fresh]
        self._waiting.extend(values)
        self._waiting_bytes += sum([len(value) for value, _ in values])
        while len(self._waiting) > HANDED_OUT_MAX or self._waiting_bytes > HANDED_OUT_BYTES_MAX:
            value, _ = self._waiting.popleft()
            self._waiting_bytes -= len(value)

    def hand_out(self, most: int, bytes_most: int) -> list[bytes]:
        """The events that wait, oldest first, in the format of the workshop's consumer: the value's fields and `consumed`.

        It returns at most `most` events, and stops once they have `bytes_most` bytes.
        """
        events = list[bytes]()
        while self._waiting and len(events) < most and bytes_most > 0:
            value, consumed_us = self._waiting.popleft()
            self._waiting_bytes -= len(value)
            events.append(with_field(value, "consumed", local_time(consumed_us)))
            bytes_most -= len(events[-1])
        return events

    def add_again(self, partition: int, keys: list[str]) -> None:
        """Adds rows whose record was delivered again."""
        self._again.extend((partition, key) for key in keys)
        self.again_count += len(keys)

    def again_since(self, count: int) -> list[tuple[int, str]]:
        """The partition and key of each row that was added again since `again_count` was `count`, the last AGAIN_MAX at most."""
        new = min(self.again_count - count, len(self._again))
        return list(islice(self._again, len(self._again) - new, None))

    def tell(self) -> None:
        """Wakes all who wait for `news`, because the table has changed."""
        self._news.set()
        self._news = asyncio.Event()

    def news(self) -> asyncio.Event:
        """The event that the next `tell` sets. Take it before you read the table, so that you miss no change."""
        return self._news


FEED = Feed()
