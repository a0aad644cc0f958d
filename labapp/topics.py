"""Declares the topics that this app needs in Kafka: how it makes them, and what it checks of those that exist."""

import logging
from dataclasses import dataclass

from labapp import settings
from labapp.event.row import ROW_BYTES_MAX
from labapp.kafka import admin
from labapp.kafka.admin import MayNotCreate, Topic, Unsuitable
from labapp.kafka.connection import BATCH_BYTES_MAX
from labapp.kafka.send import BATCH_OVERHEAD_BYTES, MESSAGE_OVERHEAD_BYTES

log = logging.getLogger(__name__)

TABLE = "events"
CHANGELOG = f"{settings.CONSUMER_GROUP}-{TABLE}-changelog"

_PRODUCING = {"Write"} if settings.PRODUCES else set()
_CONSUMING = {"Read"} if settings.CONSUMES else set()
# The broker stamps each record: only its clock says when a record was appended.
_APPENDED = {"message.timestamp.type": "LogAppendTime"}

TOPICS = [
    Topic(settings.KAFKA_TOPIC, settings.KAFKA_PARTITIONS, _APPENDED, operations=_PRODUCING | _CONSUMING),
    *(
        Topic(name, settings.KAFKA_PARTITIONS, _APPENDED, operations=_PRODUCING)
        for name in dict.fromkeys(settings.PRODUCER_TOPICS)
        if name != settings.KAFKA_TOPIC
    ),
    Topic(
        settings.DEAD_LETTER_TOPIC,
        settings.KAFKA_PARTITIONS,
        {"max.message.bytes": "2097152"},  # the largest record of another topic must fit together with our headers
        operations={"Write"} if settings.CONSUMES else set(),
    ),
]


@dataclass
class Limits:
    """How large messages may be: Kafka's default, and from the start on the topics' `max.message.bytes`."""

    changelog_bytes_max: int = 1_048_588
    dead_letter_bytes_max: int = 1_048_588

    @property
    def changelog_batch_bytes_max(self) -> int | None:
        """The most bytes of a batch of changelog messages; None if the producer's own bound is smaller."""
        return self.changelog_bytes_max if self.changelog_bytes_max < BATCH_BYTES_MAX else None

    @property
    def row_bytes_max(self) -> int:
        """The most bytes of a row and its key."""
        return min(ROW_BYTES_MAX, self.changelog_bytes_max - BATCH_OVERHEAD_BYTES - MESSAGE_OVERHEAD_BYTES)


LIMITS = Limits()

# The warning of a worker that may not read the changelog's settings. It starts nevertheless.
NOT_KNOWN = (
    f"Kafka does not allow this client DescribeConfigs on the topic {CHANGELOG}, so its settings are not known. "
    "Check that it has cleanup.policy=compact: with a retention time, older rows are gone after a restart. "
    "Without message.timestamp.type=LogAppendTime, recorded_us is null. "
    "A row that is larger than its max.message.bytes becomes a dead letter."
)


async def declare() -> dict[str, int]:
    """Makes missing topics, checks those that exist, and returns each topic's number of partitions.

    A second call changes nothing. Raises Unsuitable.
    """
    return await admin.until_answered(_declare)


async def _declare() -> dict[str, int]:
    try:
        found = await admin.declare(TOPICS)
    except MayNotCreate as exc:
        raise MayNotCreate([*exc.topics, *await _missing_changelog()]) from None
    if settings.CONSUMES:
        found |= await admin.declare([changelog(found[settings.KAFKA_TOPIC])])
        ensure_as_many(found[settings.KAFKA_TOPIC], found[CHANGELOG])
        async with admin.admin_client() as client:
            configs = await admin.configs(client, [CHANGELOG, settings.DEAD_LETTER_TOPIC])
        if CHANGELOG not in configs:
            log.warning(NOT_KNOWN)
        LIMITS.changelog_bytes_max = _message_bytes_max(configs, CHANGELOG) or LIMITS.changelog_bytes_max
        LIMITS.dead_letter_bytes_max = _message_bytes_max(configs, settings.DEAD_LETTER_TOPIC) or LIMITS.dead_letter_bytes_max
    return found


async def _missing_changelog() -> list[Topic]:
    """The changelog if it is needed and missing, so that one start names every topic that must be made by hand."""
    if not settings.CONSUMES:
        return []
    async with admin.admin_client() as client:
        partitions = await admin.partitions_of(client, settings.KAFKA_TOPIC)
        exists = await admin.partitions_of(client, CHANGELOG)
    return [] if exists else [changelog(len(partitions) or settings.KAFKA_PARTITIONS)]


def _message_bytes_max(configs: dict[str, dict[str, str]], topic: str) -> int:
    """The topic's `max.message.bytes`; 0 if it is not known."""
    return int(configs.get(topic, {}).get("max.message.bytes") or 0)


def changelog(partitions: int) -> Topic:
    """The changelog of the table."""
    compacted = {"cleanup.policy": "compact"}
    # Kafka does not compact the newest segment, and a start reads all of it. Kafka Streams uses segments of this size too.
    small_segments = {"segment.bytes": str(50 * 1024 * 1024)}
    # Each row that expires leaves a tombstone. By default compaction keeps it for a day. At 1,000 events/s a start would read 86 million.
    # A restore that takes longer than this may miss a tombstone. It then keeps an old row, which the next batch expires.
    short_lived_tombstones = {"delete.retention.ms": str(60 * 1000)}
    # The broker's time of a row's message is when the event was recorded.
    config = compacted | small_segments | short_lived_tombstones | _APPENDED
    return Topic(CHANGELOG, partitions, config, compacted, {"Read", "Write"})


def ensure_as_many(partitions: int, of_changelog: int) -> None:
    """Raises Unsuitable unless the changelog has as many partitions as the topic."""
    if of_changelog != partitions:
        raise Unsuitable(
            f"The topic {settings.KAFKA_TOPIC} has {partitions} partitions, but the table's changelog {CHANGELOG} has "
            f"{of_changelog}: use another CONSUMER_GROUP, or delete the changelog"
        )
