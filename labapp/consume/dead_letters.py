"""Records that could not be recorded: sent to the dead-letter topic as they were, with where they came from and why; and sent again."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from faust.types import TP

from labapp import settings
from labapp.event.row import Record
from labapp.observe import logs
from labapp.patched.faust_table import send

log = logging.getLogger(__name__)

DeadLetter = tuple[Record, str]  # the record, and the reason

# The headers that a dead letter has beside the record's own, all text.
ORIGIN = ("topic", "partition", "offset", "time", "reason")


async def bury(producer: AIOKafkaProducer, dead_letters: list[DeadLetter]) -> None:
    """Sends them, all of one partition, and returns once they are acknowledged. Bytes and key untouched, order kept."""
    if not dead_letters:
        return
    partition = dead_letters[0][0].partition % len(await producer.partitions_for(settings.DEAD_LETTER_TOPIC))
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    messages = []
    for record, reason in dead_letters:
        origin = zip(ORIGIN, (record.topic, record.partition, record.offset, now, reason), strict=True)
        headers = [*record.headers, *((name, str(value).encode()) for name, value in origin)]
        messages.append((record.key, record.value, headers))
    await send(producer, TP(settings.DEAD_LETTER_TOPIC, partition), messages)
    last, reason = dead_letters[-1]
    log.warning(
        "%s dead letters sent to %s, the last of offset %s: %s",
        len(messages),
        settings.DEAD_LETTER_TOPIC,
        last.offset,
        reason,
        extra=logs.about(last.headers),
    )


async def read(consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    """All dead letters that there are, partition by partition. `consumer` is started and has no group."""
    found: list[ConsumerRecord] = []
    partitions = await consumer._client.fetch_all_metadata()
    for partition in sorted(partitions.partitions_for_topic(settings.DEAD_LETTER_TOPIC) or ()):
        tp = TopicPartition(settings.DEAD_LETTER_TOPIC, partition)
        consumer.assign([tp])
        [first], [end] = (await consumer.beginning_offsets([tp])).values(), (await consumer.end_offsets([tp])).values()
        consumer.seek(tp, first)
        while await consumer.position(tp) < end:
            found += (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
    return found


async def send_again(producer: AIOKafkaProducer, letters: Iterable[ConsumerRecord]) -> None:
    """Puts dead letters back into the topic and partition that they came from, as they were. Returns once acknowledged."""
    for letter in letters:
        own = len(letter.headers) - len(ORIGIN)
        origin = {name: value.decode() for name, value in letter.headers[own:]}
        await send(producer, TP(origin["topic"], int(origin["partition"])), [(letter.key, letter.value, list(letter.headers[:own]))])


def is_ours(letter: ConsumerRecord) -> bool:
    """Whether it says where it came from; others may have written to the topic too."""
    return tuple(name for name, _ in letter.headers[-len(ORIGIN) :]) == ORIGIN
