"""A Faust table written and restored in batches, still one changelog message a row. Knows nothing of what the rows are.

One by one, as Faust does it, a row costs 100 us to write and 90 us to restore. For what this overrides the same holds
as in faust_batches.py.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

import faust
import orjson
from aiokafka import AIOKafkaProducer
from faust.types import TP

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]  # key, value, headers


async def send(producer: AIOKafkaProducer, tp: TP, messages: Iterable[Message]) -> list[tuple[int, int]]:
    """Sends messages in their order and returns once they are acknowledged: of each batch the first offset and the count.

    aiokafka's own `send` takes no message that has neither key nor value, and makes a future for each.
    """
    now_ms = int(time.time() * 1000)
    batches = [producer.create_batch()]
    acknowledgements = []
    for key, value, headers in messages:
        if batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers) is None:  # full; an empty one takes any message
            acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
            batches.append(producer.create_batch())
            batches[-1].append(timestamp=now_ms, key=key, value=value, headers=headers)
    acknowledgements.append(await producer.send_batch(batches[-1], tp.topic, partition=tp.partition))
    acknowledged = await asyncio.gather(*acknowledgements)
    return [(metadata.offset, batch.record_count()) for metadata, batch in zip(acknowledged, batches, strict=True)]


class Rows(dict[str, bytes]):
    """One partition's rows by key, in the order in which they were first put; `size_bytes` is that of all of them."""

    size_bytes = 0

    def apply(self, changes: Iterable[tuple[str, bytes | None]]) -> None:
        """Sets rows, deletes them where None."""
        for key, row in changes:
            self.size_bytes -= len(self.get(key, b""))
            if row is None:
                self.pop(key, None)
            else:
                self[key] = row
                self.size_bytes += len(row)

    def sort(self, by: Callable[[bytes], int]) -> None:
        """Puts the rows in the order of `by`: compaction moves a row that was written again behind those that came after it."""
        places = [by(row) for row in self.values()]
        if any(left > right for left, right in pairwise(places)):
            in_order = sorted(self.items(), key=lambda item: by(item[1]))
            self.clear()
            self.update(in_order)


class BatchTable(faust.Table):
    """A table written and restored in batches, one changelog message a row. Keys are text; rows are bytes, as the changelog has them.

    `owned` has the rows of each partition that this worker owns, and of no other. A row is read by `table[key]`, decoded from
    JSON; written only by `put`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"key_type": bytes, "value_type": bytes, "recovery_buffer_size": 8}  # of batches
        super().__init__(*args, **kwargs)
        self.owned: dict[int, Rows] = {}
        self._complete_to: dict[TP, int] = {}
        self._producer: AIOKafkaProducer | None = None

    def __getitem__(self, key: str) -> Any:
        return orjson.loads(self.row(key))

    def row(self, key: str) -> bytes:
        """The row of `key` as JSON text. Raises KeyError."""
        for rows in self.owned.values():
            if (row := rows.get(key)) is not None:
                return row
        raise KeyError(key)

    async def on_start(self) -> None:
        await super().on_start()
        # A connection of its own: on Faust's, what the web views send would queue behind changelog writes.
        self._producer = self.app.producer._new_producer()  # type: ignore[attr-defined]
        await self._producer.start()

    async def on_stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
        await super().on_stop()

    async def put(self, partition: int, rows: Mapping[str, bytes | None]) -> None:
        """Sets rows, or deletes them where None, in this order. Returns once all in-sync replicas have the changelog messages.

        Before that nothing is set; after an error (KafkaError) messages may be in the changelog all the same: put them again.
        """
        assert self._producer is not None, "the table is not started"
        owned = self.owned.get(partition)
        changelog = TP(self.changelog_topic_name, partition)
        acknowledged = await send(self._producer, changelog, ((key.encode(), row, []) for key, row in rows.items()))
        if owned is None or self.owned.get(partition) is not owned:
            return  # the partition went to another worker meanwhile; whoever owns it reads the changelog
        owned.apply(rows.items())
        for offset, count in acknowledged:
            # Another worker's messages may stand in between, of a time when this one was taken for dead: they are still to be read.
            if offset == self._complete_to.get(changelog, -1) + 1:
                self._complete_to[changelog] = offset + count - 1

    # -- recovery

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        for tp in revoked | newly_assigned:
            if tp.topic == self.changelog_topic_name:
                self.owned.pop(tp.partition, None)
                self._complete_to.pop(tp, None)
        for tp in assigned:
            if tp.topic == self.changelog_topic_name:
                self.owned.setdefault(tp.partition, Rows())

    def persisted_offset(self, tp: TP) -> int | None:
        """The changelog offset up to which the rows in memory are complete: from there on a rebalance reads. None: from the start."""
        return self._complete_to.get(tp)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        for event in batch:
            tp, records = event.message.tp, event.value
            if (rows := self.owned.get(tp.partition)) is not None:
                rows.apply((record.key.decode(), record.value) for record in records)
                self._complete_to[tp] = records[-1].offset
