"""The agent of the consumer group: stamps *consumed*, writes the row, and only then lets the offset be committed.

What can't be recorded goes to the dead-letter topic. What is in hand when Kafka goes away is tried again for
RECORD_TIMEOUT_SECONDS; then the process ends, and whoever starts it anew reads it from the committed offset. It does not raise:
Faust acks what an agent fails on, and so loses it (faust/streams.py).
"""

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from faust.types import TP

from labapp import feed, settings
from labapp.app import app, events, source
from labapp.batches import Batch, Rows, send
from labapp.events import Unusable, delivered_again, now_us, offset_of, row_of

log = logging.getLogger(__name__)

# sysexits.h: an internal error; to be started again.
EX_SOFTWARE = 70

DeadLetter = tuple[ConsumerRecord, str]


@app.agent(source)
async def record(stream: Any) -> None:
    # One batch at a time (concurrency 1): batches are acked in order. Without noack Faust would ack a batch on SIGTERM, unrecorded.
    async for event in stream.noack().events():
        await record_or_exit(event.value)
        event.ack()


async def record_or_exit(batch: Batch) -> None:
    """Returns once the brokers have acknowledged all that is to be written of the batch, or ends the process."""
    consumed_us = now_us()
    partition, rows = batch[0].partition, events.partitions.get(batch[0].partition, Rows())
    read_before = batch[0].offset <= newest(rows)
    changes, fresh, dead_letters = judge(batch, rows, read_before, consumed_us)
    try:
        # Both brokers away raise nothing, they only take no message: hence one time-out around everything.
        async with asyncio.timeout(settings.RECORD_TIMEOUT_SECONDS):
            while True:
                try:
                    await send_dead_letters(dead_letters)
                    dead_letters = []
                    if changes:
                        await events.put(partition, changes)
                    break
                except Exception as exc:  # mostly KafkaError; but none at all may reach Faust
                    log.warning("Partition %s, offsets %s to %s: not recorded yet, trying again: %r",
                                partition, batch.start, batch.end - 1, exc, exc_info=not isinstance(exc, KafkaError))
                    await asyncio.sleep(0.2)
    except TimeoutError:
        log.critical("Partition %s, offsets %s to %s: Kafka did not take the rows in %g s, so this worker ends; nothing is lost",
                     partition, batch.start, batch.end - 1, settings.RECORD_TIMEOUT_SECONDS)
        logging.shutdown()
        os._exit(EX_SOFTWARE)  # SystemExit raised in an agent hangs a Faust worker
    if read_before and fresh:
        rows.sort(by=offset_of)
    for value in fresh:
        feed.add(value, consumed_us)
    feed.tell()


def judge(
    batch: list[ConsumerRecord], rows: Rows, read_before: bool, consumed_us: int
) -> tuple[dict[str, bytes | None], list[bytes], list[DeadLetter]]:
    """What a batch changes in its partition's rows (None: delete), the values of its new events, and its dead letters.

    Idempotent by key: a key seen again changes nothing but its row's deliveries. `read_before` says that rows of later records are
    there, as after a rewind of the group: then a record whose row has expired is told by its offset, and changes nothing.
    """
    changes: dict[str, bytes | None] = {}
    fresh: dict[str, bytes] = {}
    dead_letters: list[DeadLetter] = []
    for record in batch:
        try:
            key, row = row_of(record, consumed_us)
        except Unusable as exc:
            dead_letters.append((record, str(exc)))
            continue
        except Exception as exc:  # a defect of ours must not hold up the partition
            log.exception("Partition %s, offset %s can't be recorded", record.partition, record.offset)
            dead_letters.append((record, f"The consumer failed on it: {exc!r}"))
            continue
        if (known := changes.get(key) or rows.get(key)) is not None:
            changes[key] = delivered_again(known)
        else:
            changes[key] = row
            fresh[key] = record.value
    for key in expired(rows, {key: row for key in fresh if (row := changes[key])}, read_before):
        if key not in fresh:
            changes[key] = None
        else:
            del changes[key]
            if read_before:
                del fresh[key]
    return changes, list(fresh.values()), dead_letters


def expired(rows: Rows, fresh: dict[str, bytes], read_before: bool) -> Iterator[str]:
    """The keys of the oldest of `rows` and `fresh` beyond what is kept."""
    count = len(rows) + len(fresh)
    size_bytes = rows.size_bytes + sum(map(len, fresh.values()))
    oldest_first: Iterable[tuple[str, bytes]] = chain(rows.items(), fresh.items())
    if read_before and fresh:
        oldest_first = sorted(oldest_first, key=lambda item: offset_of(item[1]))
    for key, row in oldest_first:
        if count <= settings.ROWS_KEPT and size_bytes <= settings.ROWS_KEPT_BYTES:
            return
        yield key
        count -= 1
        size_bytes -= len(row)


def newest(rows: Rows) -> int:
    """The offset of the newest row; -1 where there is none."""
    return offset_of(next(reversed(rows.values()))) if rows else -1


async def send_dead_letters(dead_letters: list[DeadLetter]) -> None:
    """Returns once the brokers have acknowledged them. Bytes and key untouched; the same partition, so that the order is kept."""
    if not dead_letters:
        return
    producer = app.producer._ensure_producer()
    partition = dead_letters[0][0].partition % len(await producer.partitions_for(settings.DEAD_LETTER_TOPIC))
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    messages = []
    for record, reason in dead_letters:
        origin = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "time": now, "reason": reason}
        messages.append((record.key, record.value, [*record.headers, *((name, str(value).encode()) for name, value in origin.items())]))
    await send(producer, TP(settings.DEAD_LETTER_TOPIC, partition), messages)
    log.warning("%s dead letters sent to %s, the last of offset %s: %s",
                len(dead_letters), settings.DEAD_LETTER_TOPIC, dead_letters[-1][0].offset, dead_letters[-1][1])


@events.on_recover
async def put_in_order() -> None:
    """The rows of a partition are kept in the order of offsets, which compaction of the changelog does not keep."""
    for rows in events.partitions.values():
        rows.sort(by=offset_of)


@app.task
async def announce() -> None:
    log.info("Starting consumer on topic %s, in group %s", settings.KAFKA_TOPIC, settings.CONSUMER_GROUP)
