"""From a record to a row: what the table keeps of an event, as the JSON text that the changelog keeps and HTTP answers."""

from functools import lru_cache
from typing import Protocol

import orjson

from labapp.event.record import Unusable
from labapp.event.stages import appended_us, clicked_us

# Brokers take 1 MiB a record by default (max.message.bytes), the row's other fields and the batch's header included.
ROW_BYTES_MAX = 1_000_000

_ZERO = ord("0")
_NULL = b"null"


class Record(Protocol):
    """The fields of `aiokafka.ConsumerRecord` that are looked at; `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


Fresh = tuple[str, bytes, int]  # a new event: its key, its value, its consumed_us


# The row is put together as text. orjson.dumps takes longer, and what it returns keeps a kilobyte for each row of a large table.
# The value stays as it came: reading and writing it would change numbers beyond 64 bits.
_ROW = (
    b'{"key":%s,"topic":%s,"partition":%d,"offset":%d,"deliveries":1,"value":%s,'
    b'"stages":{"clicked_us":%s,"received_us":%s,"produced_us":%s,"appended_us":%s,"consumed_us":%d}}'
)


@lru_cache(maxsize=64)
def _topic_json(topic: str) -> bytes:
    return orjson.dumps(topic)


def row_of(record: Record, consumed_us: int) -> tuple[str, bytes]:
    """The record's key and its row. Raises Unusable for a record that can't be recorded."""
    value = record.value
    if value is None:
        raise Unusable("The record has no value")
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as exc:
        raise Unusable(f"The value is not JSON: {exc}") from None
    if not isinstance(event, dict):
        raise Unusable("The value is JSON, but not an object")
    received = produced = _NULL
    for name, text in record.headers:
        if name == "received_us":
            received = _stamp(text)
        elif name == "produced_us":
            produced = _stamp(text)
    appended_at_us = appended_us(record.timestamp, record.timestamp_type)
    appended = b"%d" % appended_at_us if appended_at_us is not None else _NULL
    clicked = _NULL
    if (click := event.get("clicked")) is not None:
        arrival_us = int(received) if received is not _NULL else int(appended) if appended is not _NULL else consumed_us
        if (click_us := clicked_us(click, arrival_us)) is not None:
            clicked = b"%d" % click_us
    key = row_key(record)
    origin = orjson.dumps(key), _topic_json(record.topic), record.partition, record.offset
    row = _ROW % (*origin, value, clicked, received, produced, appended, consumed_us)
    if (size := len(key) + len(row)) > ROW_BYTES_MAX:
        raise Unusable(f"Key and row would have {size} bytes, more than {ROW_BYTES_MAX}")
    return key, row


def delivered_again(row: bytes) -> bytes:
    """The row with one more delivery.

    It works on the text, because reading and writing JSON would change numbers beyond 64 bits. The first `,"deliveries":` is the
    row's own: only key and topic precede it, and a quote inside a JSON string is escaped.
    """
    head, mark, tail = row.partition(b',"deliveries":')
    count, comma, rest = tail.partition(b",")
    return b"".join((head, mark, b"%d" % (int(count) + 1), comma, rest))


def offset_of(row: bytes) -> int:
    """The row's offset, read from its text as in `delivered_again`."""
    start = row.index(b',"offset":') + 10
    return int(row[start : row.index(b",", start)])


def stages_of(row: bytes) -> dict[str, int | None]:
    """The row's stages, the last field of its text, without reading the value."""
    return orjson.loads(row[row.rindex(b',"stages":') + 10 : -1])


def row_key(record: Record) -> str:
    """The record's key. If it has none, or one that is no text, `topic-partition-offset`."""
    if record.key:
        try:
            return record.key.decode()
        except UnicodeDecodeError:
            pass
    return f"{record.topic}-{record.partition}-{record.offset}"


def _stamp(text: bytes | None) -> bytes:
    """A header's microseconds as JSON, null if it has something else. 16 digits reach to the year 2286."""
    return text if text and len(text) <= 16 and text.isdigit() and text[0] != _ZERO else _NULL
