"""Declares the topics that this app needs in Kafka: how it makes them, and what it checks of those that exist."""

from dataclasses import dataclass

from labapp import settings
from labapp.event.row import ROW_BYTES_MAX
from labapp.kafka import admin
from labapp.kafka.admin import Topic, Unsuitable
from labapp.kafka.connection import BATCH_BYTES_MAX
from labapp.kafka.send import BATCH_OVERHEAD_BYTES, MESSAGE_OVERHEAD_BYTES

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
        {"max.message.bytes": "2097152"},  # a record that a topic took has to fit here together with our headers
        operations={"Write"} if settings.CONSUMES else set(),
    ),
]


@dataclass
class Limits:
    """How large messages may be, as the topics' `max.message.bytes` say at the start; until then Kafka's default."""

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


async def declare() -> dict[str, int]:
    """Makes missing topics, checks those that exist, and returns each topic's number of partitions.

    It may be repeated. Raises Unsuitable.
    """
    found = await admin.declare(TOPICS)
    if settings.CONSUMES:
        found |= await admin.declare([changelog(found[settings.KAFKA_TOPIC])])
        ensure_as_many(found[settings.KAFKA_TOPIC], found[CHANGELOG])
        sizes = await admin.message_bytes_max([CHANGELOG, settings.DEAD_LETTER_TOPIC])
        LIMITS.changelog_bytes_max = sizes.get(CHANGELOG, LIMITS.changelog_bytes_max)
        LIMITS.dead_letter_bytes_max = sizes.get(settings.DEAD_LETTER_TOPIC, LIMITS.dead_letter_bytes_max)
    return found


def changelog(partitions: int) -> Topic:
    """The changelog of the table."""
    compacted = {"cleanup.policy": "compact"}
    # Kafka does not compact the newest segment, and a start reads all of it. Kafka Streams uses segments of this size too.
    small_segments = {"segment.bytes": str(50 * 1024 * 1024)}
    # Each row that expires leaves a tombstone. Compaction keeps it for a day by default: at 1,000 events/s 86 million, which a start
    # reads. A restore that takes longer than this may miss a tombstone. It then keeps the oldest row, which the next batch expires.
    short_lived_tombstones = {"delete.retention.ms": str(60 * 1000)}
    # The broker's time of a row's message is when the event was recorded.
    config = compacted | small_segments | short_lived_tombstones | _APPENDED
    return Topic(CHANGELOG, partitions, config, compacted, {"Read", "Write"})


def ensure_as_many(partitions: int, of_changelog: int) -> None:
    """Raises Unsuitable unless the changelog has as many partitions as the topic."""
    if of_changelog != partitions:
        raise Unsuitable(
            f"The topic {settings.KAFKA_TOPIC} has {partitions} partitions and the table's changelog {CHANGELOG} has "
            f"{of_changelog}, but they must be as many: use another CONSUMER_GROUP, or delete the changelog"
        )
