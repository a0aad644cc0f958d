"""Sends records that can't be recorded to the dead-letter topic, with headers that say from where and why, and sends them back."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from labapp import settings
from labapp.event.row import Record
from labapp.kafka.send import BATCH_OVERHEAD_BYTES, Message, send, size_of
from labapp.observe import logs

log = logging.getLogger(__name__)

DeadLetter = tuple[Record, str]  # the record, and the reason

REASON_MAX = 500  # characters
# The headers that a dead letter has after the record's own. All are text.
ORIGIN = ("topic", "partition", "offset", "time", "reason")


async def bury(producer: AIOKafkaProducer, dead_letters: list[DeadLetter], bytes_max: int) -> None:
    """Sends dead letters of one partition, in order, keys and values unchanged. Returns once they are acknowledged. Raises KafkaError.

    The dead-letter topic takes messages of `bytes_max`. A larger dead letter is sent without its value. If that is not enough, its key and
    its own headers are left out too. The headers about its origin and the reason are always sent.
    """
    if not dead_letters:
        return
    partition = dead_letters[0][0].partition % len(await producer.partitions_for(settings.DEAD_LETTER_TOPIC))
    tp = TopicPartition(settings.DEAD_LETTER_TOPIC, partition)
    forms = [_forms(record, reason) for record, reason in dead_letters]
    messages = [next((form for form in of_one if size_of(*form) <= bytes_max - BATCH_OVERHEAD_BYTES), of_one[-1]) for of_one in forms]
    try:
        await send(producer, tp, messages, bytes_max)
    except MessageSizeTooLargeError:  # the topic takes less than it did at the start
        for of_one in forms:
            await _send_what_fits(producer, tp, of_one)
    last, reason = dead_letters[-1]
    log.warning(
        "%s dead letters sent to %s. The last one is of offset %s: %s",
        len(messages),
        settings.DEAD_LETTER_TOPIC,
        last.offset,
        reason,
        extra=logs.about(last.headers),
    )


def _forms(record: Record, reason: str) -> list[Message]:
    """A dead letter in full, and in two smaller forms."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    names_and_values = zip(ORIGIN, (record.topic, record.partition, record.offset, now, reason[:REASON_MAX]), strict=True)
    origin = [(name, str(value).encode()) for name, value in names_and_values]
    own = list(record.headers)
    return [(record.key, record.value, [*own, *origin]), (record.key, None, [*own, *origin]), (None, None, origin)]


async def _send_what_fits(producer: AIOKafkaProducer, tp: TopicPartition, forms: list[Message]) -> None:
    for form in forms[:-1]:
        try:
            await send(producer, tp, [form])
            return
        except MessageSizeTooLargeError:
            pass
    try:
        await send(producer, tp, forms[-1:])
    except MessageSizeTooLargeError:  # the topic takes almost nothing; a worker that ended here would end again
        log.error("%s takes no dead letter at all, so this one is only logged: %s", tp.topic, forms[-1][2])


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
