"""What an event is: its five stages, how it becomes a record and how a record becomes a row. Pure; knows no Kafka and no Faust.

    clicked    in the browser (the field `clicked`)
    received   by the producer's HTTP server (header `received_us`)
    produced   handed to the Kafka client (header `produced_us`)
    appended   to the topic, by the broker's clock (the record's timestamp, where the topic says LogAppendTime)
    consumed   handed to the agent

Times are whole microseconds since the epoch.
"""

import re
import time
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

import orjson
import uuid_utils

STAGES = ("clicked", "received", "produced", "appended", "consumed")

BODY_BYTES_MAX = 64 * 1024
# Brokers take 1 MiB a record by default (max.message.bytes), the row's other fields and the batch's header included.
ROW_BYTES_MAX = 1_000_000

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_LOG_APPEND_TIME = 1
_WORKSHOP_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2}):(\d{1,3})", re.ASCII)
_KEY = re.compile(r"[\x20-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Unusable(ValueError):
    """What was sent is no event; the text says why, in words that go into an HTTP answer or a dead letter's reason."""


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


Fresh = tuple[str, bytes, int]  # a new event: key, value, consumed_us


def now_us() -> int:
    """The one clock."""
    return time.time_ns() // 1000


def local_time(time_us: int) -> str:
    """`HH:MM:SS:mmm` in the server's time zone: how the workshop writes a time."""
    return f"{_local_second(time_us // 1_000_000)}:{time_us // 1000 % 1000:03}"


@lru_cache(maxsize=16)
def _local_second(time_seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(time_seconds))


# -- from HTTP to a record


def key_of(idempotency_key: str | None) -> str:
    """The event's key: the request's, else a new UUIDv7. Raises Unusable for a key that is not 1 to 128 printable ASCII characters."""
    if idempotency_key is None:
        return str(uuid_utils.uuid7())
    if not _KEY.fullmatch(idempotency_key):
        raise Unusable("The Idempotency-Key is not 1 to 128 printable ASCII characters")
    return idempotency_key


def posted(body: bytes) -> dict[str, Any]:
    """The posted JSON object. Raises Unusable."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Unusable(f"The body is not JSON: {exc}") from None
    if not isinstance(event, dict):
        raise Unusable("The body is JSON, but not an object")
    return event


def record_value(body: bytes, event: dict[str, Any], produced_us: int) -> bytes:
    """The record's value: all fields kept as they were posted, and `produced` as the workshop has it."""
    if "produced" in event:
        return orjson.dumps({**event, "produced": local_time(produced_us)})
    return with_field(body, "produced", local_time(produced_us))


def with_field(json_object: bytes, name: str, text: str) -> bytes:
    """The JSON object with one more field. Not read and written anew, which would change numbers beyond 64 bits."""
    head = json_object.rstrip()[:-1].rstrip()
    comma = b"" if head.endswith(b"{") else b","
    return b'%s%s"%s":"%s"}' % (head, comma, name.encode(), text.encode())


def traceparent_of(sent: list[str]) -> str | None:
    """The request's `traceparent` (W3C Trace Context), if it was sent once and is valid. None is ever made up."""
    return sent[0] if len(sent) == 1 and _TRACEPARENT.fullmatch(sent[0]) else None


def traceparent_in(headers: Iterable[tuple[str, bytes]]) -> str | None:
    """The same of a record's headers."""
    return traceparent_of([text.decode(errors="replace") for name, text in headers if name == "traceparent" and text])


def record_headers(received_us: int, produced_us: int, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    headers = [("received_us", b"%d" % received_us), ("produced_us", b"%d" % produced_us)]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers


# -- from a record to a row


# Put together as text: orjson.dumps takes longer, and what it returns keeps hold of a kilobyte, in a table of many rows. The value
# is as it came, since reading and writing it would change numbers beyond 64 bits.
_ROW = (
    b'{"key":%s,"topic":%s,"partition":%d,"offset":%d,"deliveries":1,"value":%s,'
    b'"stages":{"clicked_us":%s,"received_us":%s,"produced_us":%s,"appended_us":%s,"consumed_us":%d}}'
)


_NULL = b"null"
_ZERO = ord("0")


@lru_cache(maxsize=64)
def _topic_json(topic: str) -> bytes:
    return orjson.dumps(topic)


def row_of(record: Record, consumed_us: int) -> tuple[str, bytes]:
    """Key and row, the row as the JSON that the changelog keeps and HTTP answers. Raises Unusable for what can't be recorded."""
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
    appended = b"%d" % (record.timestamp * 1000) if record.timestamp_type == _LOG_APPEND_TIME else _NULL
    clicked = _NULL
    if (click := event.get("clicked")) is not None:
        arrival_us = int(received) if received is not _NULL else int(appended) if appended is not _NULL else consumed_us
        if (click_us := clicked_us(click, arrival_us)) is not None:
            clicked = b"%d" % click_us
    key = row_key(record)
    place = orjson.dumps(key), _topic_json(record.topic), record.partition, record.offset
    row = _ROW % (*place, value, clicked, received, produced, appended, consumed_us)
    if (size := len(key) + len(row)) > ROW_BYTES_MAX:
        raise Unusable(f"Key and row would have {size} bytes, more than {ROW_BYTES_MAX}")
    return key, row


def delivered_again(row: bytes) -> bytes:
    """The row with one more delivery.

    Works on the text, since reading and writing JSON would change numbers beyond 64 bits. The mark's first place is the right
    one: only key and topic stand before it, and inside a JSON string its quotes would be escaped.
    """
    head, mark, tail = row.partition(b',"deliveries":')
    count, comma, rest = tail.partition(b",")
    return b"".join((head, mark, b"%d" % (int(count) + 1), comma, rest))


def offset_of(row: bytes) -> int:
    """The row's offset, from its text: for the same reason the mark's first place is the right one."""
    return int(row.partition(b',"offset":')[2].partition(b",")[0])


def row_key(record: Record) -> str:
    """The record's key, else `topic-partition-offset`: records of others may have no key, or one that is no text."""
    if record.key:
        try:
            return record.key.decode()
        except UnicodeDecodeError:
            pass
    return f"{record.topic}-{record.partition}-{record.offset}"


def _stamp(text: bytes | None) -> bytes:
    """A header's microseconds as JSON; null for what others may have put there. 16 digits reach to the year 2286."""
    return text if text and len(text) <= 16 and text.isdigit() and text[0] != _ZERO else _NULL


def clicked_us(clicked: object, arrival_us: int) -> int | None:
    """When the event was clicked; None for what can't be read or lies over an hour from the arrival.

    Read are epoch milliseconds (a number), ISO 8601, and the workshop's `HH:MM:SS:mmm`, milliseconds not padded (`:7` is 7 ms),
    which is taken as the server's local time nearest to the arrival.
    """
    time_us: int | None
    if type(clicked) is int:  # the commonest first; a bool is no time
        time_us = clicked * 1000
    elif type(clicked) is float and abs(clicked) < 1e15:
        time_us = round(clicked * 1000)
    elif isinstance(clicked, str):
        if found := _WORKSHOP_TIME.fullmatch(clicked):
            hours, minutes, seconds, milliseconds = map(int, found.groups())
            time_us = _nearest_us(hours, minutes, seconds, milliseconds, arrival_us)
        else:
            time_us = _iso_us(clicked)
    else:
        return None
    return time_us if time_us is not None and -_HOUR_US <= time_us - arrival_us <= _HOUR_US else None


def _nearest_us(hours: int, minutes: int, seconds: int, milliseconds: int, arrival_us: int) -> int | None:
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    east_of_utc_us = time.localtime(arrival_us // 1_000_000).tm_gmtoff * 1_000_000
    time_of_day_us = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + milliseconds * 1000
    away_us = (time_of_day_us - (arrival_us + east_of_utc_us)) % _DAY_US
    return arrival_us + (away_us - _DAY_US if away_us > _DAY_US // 2 else away_us)


def _iso_us(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        return None
