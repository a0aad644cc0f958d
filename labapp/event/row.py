"""From a record to a row: what the table keeps of an event, as the JSON text that the changelog keeps and HTTP answers."""

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import orjson

from labapp.event.record import Unusable, is_same_request, json_object
from labapp.event.stages import LOG_APPEND_TIME, appended_us, clicked_us

# The most bytes of a key and its row together. Brokers take a batch of 1 MiB by default (max.message.bytes).
ROW_BYTES_MAX = 1_000_000
# How much a row may grow later: by its deliveries, by a key of its own, and by *recorded*.
ROW_GROWTH_BYTES = 512
RECORDED_BYTES = len(',"recorded_us":1764000000880000')

_ZERO = ord("0")
_NULL = b"null"


class Record(Protocol):
    """The fields of `aiokafka.ConsumerRecord` that are read. `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


Fresh = tuple[str, Record, int]  # a new event: its row's key, its record, its consumed_us. A NamedTuple would cost 2 % of the speed.


# The row is put together as text. orjson.dumps takes longer, and its result occupies a kilobyte for each row of a large table.
# The value is copied unchanged: decoding and encoding it would change numbers beyond 64 bits.
_ROW = (
    b'{"key":%s,"topic":%s,"partition":%d,"offset":%d,"deliveries":1,"value":%s,'
    b'"stages":{"clicked_us":%s,"received_us":%s,"produced_us":%s,"appended_us":%s,"consumed_us":%d}}'
)


@lru_cache(maxsize=64)
def _topic_json(topic: str) -> bytes:
    return orjson.dumps(topic)


def row_of(record: Record, consumed_us: int, bytes_max: int = ROW_BYTES_MAX) -> tuple[str, bytes]:
    """The record's key and its row. Raises Unusable for a record that can't be recorded."""
    value = record.value
    if value is None:
        raise Unusable("The record has no value")
    event = json_object(value, "value")
    received = produced = _NULL
    for name, text in record.headers:
        if name == "received_us":
            received = _stamp(text)
        elif name == "produced_us":
            produced = _stamp(text)
    appended = b"%d000" % record.timestamp if record.timestamp_type == LOG_APPEND_TIME else _NULL
    clicked = _NULL
    if (click := event.get("clicked")) is not None:
        arrival_us = int(received) if received is not _NULL else int(appended) if appended is not _NULL else consumed_us
        if (click_us := clicked_us(click, arrival_us)) is not None:
            clicked = b"%d" % click_us
    key = row_key(record)
    row = _ROW % (
        orjson.dumps(key),
        _topic_json(record.topic),
        record.partition,
        record.offset,
        value,
        clicked,
        received,
        produced,
        appended,
        consumed_us,
    )
    if 2 * len(row) > bytes_max - ROW_GROWTH_BYTES:  # the row contains the key, so this bounds both
        ensure_fits(key, row, bytes_max)
    return key, row


def ensure_fits(key: str, row: bytes, bytes_max: int) -> None:
    """Raises Unusable if key and row are too large for the changelog."""
    if (size := len(key.encode()) + len(row) + ROW_GROWTH_BYTES) > bytes_max:
        raise Unusable(f"The row would have {size} bytes, and the changelog takes {bytes_max}")


def is_delivered_again(record: Record, row: bytes) -> bool:
    """Whether a record whose key has a row is a redelivery of that row's event.

    It is one if the same record is read again. It also is one if our producer sent the same request again: then the record has
    `received_us` and the same posted value. Any other record is an event of its own.
    """
    if offset_of(row) == record.offset:
        return partition_of(row) == record.partition
    return any(name == "received_us" for name, _ in record.headers) and is_same_request(record.value or b"", value_of(row))


def own_key(record: Record) -> str:
    """The key of a record's row if the record's own key is in use, or is not text."""
    return f"{record.topic}-{record.partition}-{record.offset}"


def with_own_key(record: Record, key: str, row: bytes) -> bytes:
    """The row of a record whose key is in use by another event, with that key as `record_key`."""
    used = orjson.dumps(key)
    return b'{"key":%s,"record_key":%s%s' % (orjson.dumps(own_key(record)), used, row[len(b'{"key":') + len(used) :])


def delivered_again(row: bytes) -> bytes:
    """The row with one more delivery.

    It works on the text, because reading and writing JSON would change numbers beyond 64 bits. The first `,"deliveries":` is the
    row's own: only keys and the topic precede it, and a quote inside a JSON string is escaped.
    """
    head, mark, tail = row.partition(b',"deliveries":')
    count, comma, rest = tail.partition(b",")
    return b"".join((head, mark, b"%d" % (int(count) + 1), comma, rest))


@lru_cache(maxsize=64)
def recorded_at(timestamp_ms: int, timestamp_type: int) -> Callable[[bytes], bytes]:
    """Adds *recorded* to rows whose changelog messages have this timestamp. A row that has it already keeps it.

    The message itself can't contain that time, because only its acknowledgement tells it. A row that is written again contains it.
    """
    recorded_us = appended_us(timestamp_ms, timestamp_type)
    end = b',"recorded_us":%d}}' % recorded_us if recorded_us is not None else b',"recorded_us":null}}'
    return lambda row: row[:-2] + end if row.find(b"recorded_us", -34) < 0 else row


def offset_of(row: bytes) -> int:
    """The row's offset, read from its text as in `delivered_again`."""
    start = row.index(b',"offset":') + 10
    return int(row[start : row.index(b",", start)])


def partition_of(row: bytes) -> int:
    """The row's partition, read from its text as in `delivered_again`."""
    return int(row.partition(b',"partition":')[2].partition(b",")[0])


def value_of(row: bytes) -> bytes:
    """The text of the row's value, as the record had it."""
    behind = row.partition(b',"deliveries":')[2].partition(b',"value":')[2]
    return behind[: behind.rindex(b',"stages":')]


def stages_of(row: bytes) -> dict[str, int | None]:
    """The row's stages, the last field of its text, without reading the value."""
    return orjson.loads(row[row.rindex(b',"stages":') + 10 : -1])


def row_key(record: Record) -> str:
    """The record's key, or `topic-partition-offset` if it has no key or a key that is not text."""
    if record.key:
        try:
            return record.key.decode()
        except UnicodeDecodeError:
            pass
    return own_key(record)


def _stamp(text: bytes | None) -> bytes:
    """A header's microseconds as JSON, or null if it has another text. 16 digits reach to the year 2286."""
    return text if text and len(text) <= 16 and text.isdigit() and text[0] != _ZERO else _NULL
