"""Dead letters: records that could not be recorded go to the dead-letter topic unchanged, with their origin and the reason, and back."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from labapp import settings
from labapp.event.row import Record
from labapp.kafka.send import send
from labapp.observe import logs

log = logging.getLogger(__name__)

DeadLetter = tuple[Record, str]  # the record, and the reason

# The headers that a dead letter has behind the record's own. All are text.
ORIGIN = ("topic", "partition", "offset", "time", "reason")


async def bury(producer: AIOKafkaProducer, dead_letters: list[DeadLetter]) -> None:
    """Sends dead letters of one partition, in order, keys and values unchanged. Returns once they are acknowledged. Raises KafkaError."""
    if not dead_letters:
        return
    partition = dead_letters[0][0].partition % len(await producer.partitions_for(settings.DEAD_LETTER_TOPIC))
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    messages = []
    for record, reason in dead_letters:
        origin = zip(ORIGIN, (record.topic, record.partition, record.offset, now, reason), strict=True)
        headers = [*record.headers, *((name, str(value).encode()) for name, value in origin)]
        messages.append((record.key, record.value, headers))
    await send(producer, TopicPartition(settings.DEAD_LETTER_TOPIC, partition), messages)
    last, reason = dead_letters[-1]
    log.warning(
        "%s dead letters sent to %s, the last of offset %s: %s",
        len(messages),
        settings.DEAD_LETTER_TOPIC,
        last.offset,
        reason,
        extra=logs.about(last.headers),
    )


async def read(consumer: AIOKafkaConsumer, partitions: Iterable[int]) -> list[ConsumerRecord]:
    """All dead letters of these partitions, one partition after the other. `consumer` is started and has no group."""
    found: list[ConsumerRecord] = []
    for partition in partitions:
        tp = TopicPartition(settings.DEAD_LETTER_TOPIC, partition)
        consumer.assign([tp])
        [first], [end] = (await consumer.beginning_offsets([tp])).values(), (await consumer.end_offsets([tp])).values()
        consumer.seek(tp, first)
        while await consumer.position(tp) < end:
            found += (await consumer.getmany(tp, timeout_ms=500)).get(tp, [])
    return found


async def send_again(producer: AIOKafkaProducer, letters: Iterable[ConsumerRecord]) -> None:
    """Sends dead letters back, unchanged, to the topic and partition that they came from. Returns once they are acknowledged."""
    for letter in letters:
        own = len(letter.headers) - len(ORIGIN)
        origin = {name: value.decode() for name, value in letter.headers[own:]}
        await send(
            producer, TopicPartition(origin["topic"], int(origin["partition"])), [(letter.key, letter.value, list(letter.headers[:own]))]
        )


def is_ours(letter: ConsumerRecord) -> bool:
    """Whether this app wrote the dead letter. Other programs may write to the topic too."""
    return tuple(name for name, _ in letter.headers[-len(ORIGIN) :]) == ORIGIN
