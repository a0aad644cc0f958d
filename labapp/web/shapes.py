"""The shape of what goes over HTTP and into topics: `/openapi.json` and `/asyncapi.json` are made from these types.

Two answers have their dataclasses elsewhere: the cluster's state in kafka/overview.py, and the gaps between stages in event/gaps.py.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from msgspec import Meta

from labapp.event import offsets

# How many rows, and records of a topic, an answer has: by default and at most.
ROWS_DEFAULT, ROWS_MAX = 100, 1000
WINDOW_DEFAULT = 500
RECORDS_DEFAULT, RECORDS_MAX = 20, 100
# How many offsets, and how many keys, one request looks up.
OFFSETS_MAX, KEYS_MAX = 1000, 100

Microseconds = Annotated[int, Meta(description="Microseconds since the epoch.", examples=[1764000000874012])]
Number = Annotated[int, Meta(ge=0)]
Key = Annotated[str, Meta(description="The event's key: its Idempotency-Key, else a UUIDv7.")]
IdempotencyKey = Annotated[str, Meta(pattern=r"^[\x20-\x7e]{1,128}$", description="The event's key. Sent again, the event shows once.")]
Keys = Annotated[list[str], Meta(min_length=1, max_length=KEYS_MAX)]
Traceparent = Annotated[
    str,
    Meta(description="W3C Trace Context: kept with the event if it is valid, else ignored.", examples=[f"00-{'1' * 32}-{'2' * 16}-01"]),
]
# The worker makes cursors and ids.
Cursor = Annotated[str, Meta(pattern=rf"^{offsets.PATTERN}$", description="The field `next` of an earlier answer.")]
StreamId = Annotated[str, Meta(pattern=rf"^\d{{1,16}};({offsets.PATTERN})?$", description="The id of an earlier message.")]


class Error(TypedDict):
    """The body of every answer from 400 on, except that of `/health/ready`."""

    error: Annotated[str, Meta(description="One sentence.")]


# -- an event


class _Posted(TypedDict, total=False):
    clicked: Annotated[Any, Meta(description="The time: epoch milliseconds, ISO 8601 or `HH:MM:SS:mmm`. Other values are only kept.")]
    topic: Annotated[str, Meta(description="Another topic, if PRODUCER_TOPICS allows it.")]


class Posted(_Posted):
    """An event as it is posted: any JSON object up to 64 KiB. All fields are kept."""


class Produced(_Posted):
    """A record's value: the posted object, and when it was produced. Records of other programs may have any object."""

    produced: Annotated[str, Meta(pattern=r"^\d\d:\d\d:\d\d:\d{3}$", description="The producer's local time.")]


class SentStages(TypedDict):
    received_us: Microseconds
    produced_us: Microseconds
    appended_us: Microseconds | None
    acknowledged_us: Microseconds


class Sent(TypedDict):
    """Where the event is in Kafka, once all in-sync replicas have it."""

    key: Key
    topic: str
    partition: Number
    offset: Number
    stages: SentStages


class RowStages(TypedDict):
    """When the event passed each stage; null where that is not known."""

    clicked_us: Microseconds | None
    received_us: Microseconds | None
    produced_us: Microseconds | None
    appended_us: Microseconds | None
    consumed_us: Microseconds
    recorded_us: Annotated[Microseconds | None, Meta(description="Null if the changelog keeps the client's time.")]


class Row(TypedDict):
    """What the table keeps of an event."""

    key: Key
    topic: str
    partition: Number
    offset: Number
    deliveries: Annotated[int, Meta(ge=1, description="How often the event was delivered. It shows once.")]
    value: dict[str, Any]
    stages: RowStages


class Events(TypedDict):
    """Rows, newest first."""

    events: list[Row]
    next: Cursor | None


class RecordHeaders(TypedDict, total=False):
    received_us: Annotated[str, Meta(pattern=r"^\d{1,16}$", description="Microseconds since the epoch.")]
    produced_us: Annotated[str, Meta(pattern=r"^\d{1,16}$", description="Microseconds since the epoch.")]
    traceparent: Traceparent


class DeadLetterHeaders(RecordHeaders):
    """The record's own headers, then its origin and the reason."""

    topic: str
    partition: Annotated[str, Meta(pattern=r"^\d+$")]
    offset: Annotated[str, Meta(pattern=r"^\d+$")]
    time: Annotated[str, Meta(description="When it was sent here, ISO 8601.")]
    reason: str


# -- a worker


class Health(TypedDict):
    status: Literal["ready", "not ready"]
    reasons: list[str]


class Alive(TypedDict):
    status: Literal["live"]


class Restore(TypedDict):
    """A restore of the table that is under way."""

    offsets_left: Annotated[Number, Meta(description="Changelog offsets still to be read.")]
    seconds_left: Annotated[float | None, Meta(description="The time left, at the speed so far; null until it is known.")]


class Offsets(TypedDict):
    """How far a worker is in a partition that it owns."""

    partition: Number
    next_to_record: Annotated[int, Meta(ge=0, description="Each event before this offset is recorded, or is a dead letter.")]
    end: Annotated[int | None, Meta(description="The offset after the last record, up to a second old. Null: not known yet.")]
    oldest_kept: Annotated[int | None, Meta(description="The offset of the oldest row; older ones have expired. Null: none has.")]
    commits: Annotated[list[offsets.Commit], Meta(description="The newest commits, oldest first. A worker commits at most every 0.2 s.")]


class Recorded(Offsets):
    """Which offsets of a range have a row, and how far the worker was at the same moment."""

    rows: Annotated[dict[str, Number], Meta(description="The offset of each row, by its key. Keys over 128 characters are left out.")]


class Position(TypedDict):
    partition: Number
    offset: Number


class Found(TypedDict):
    """Which of the keys have a row at this worker, and where the record of each row is."""

    rows: dict[str, Position]


class Status(TypedDict):
    role: Annotated[str, Meta(extra_json_schema={"enum": ["all", "producer", "consumer"]})]
    group: str | None
    state: Literal["starting", "stalled", "online"]
    partitions: list[Number]
    restore: Restore | None
    offsets: list[Offsets]
    acks: Annotated[str, Meta(description="Which acknowledgements the producer waits for: all, 1 or 0.", examples=["all"])]
    slow_ms: Annotated[Number, Meta(description="Milliseconds an event by which an experiment of the local lab slows it down.")]
    started_us: Microseconds
    now_us: Microseconds


class Arguments(TypedDict, total=False):
    """What an experiment takes beside its name. Each takes only some of these."""

    seconds: Annotated[int, Meta(ge=1, le=60, description="freeze and slow: the longest time.")]
    ms: Annotated[int, Meta(ge=0, le=500, description="slow: milliseconds an event, or for which a broker stands still again and again.")]
    acks: Annotated[str, Meta(pattern="^(1|all)$", description="acks: the acknowledgements that the restarted producer waits for.")]
    key: Annotated[str, Meta(pattern="^[!-~]{1,128}$", description="write: the record's key.")]
    value: Annotated[str, Meta(max_length=1000, description="write, resend: the record's value, any text.")]
    place: Annotated[str, Meta(pattern=r"^\d{1,9}:\d{1,18}$", description="resend: partition and offset of the dead letter.")]
    to: Annotated[str, Meta(pattern="^[0-9A-Za-z.:+-]{1,40}$", description="rewind: beginning, end, an offset or a time.")]


class Said(TypedDict):
    """What the lab said. `write` also says where the record is."""

    said: list[str]
    partition: NotRequired[Number]
    offset: NotRequired[Number]


class Consumer(TypedDict):
    url: str
    name: str | None


class Facts(TypedDict):
    """What the page can't know by itself."""

    topic: str
    dead_letter_topic: str
    group: str
    bootstrap_servers: list[str]
    stages: list[str]
    here_too: bool
    consumers: list[Consumer]
    experiments: Annotated[dict[str, list[str]], Meta(description="Each experiment, with the names that it takes. Empty outside the lab.")]


# -- records, as people read them


class Record(TypedDict):
    """Bytes as text, shortened."""

    topic: str
    partition: Number
    offset: Number
    timestamp_us: int
    timestamp_by: Literal["broker", "client"]
    key: str | None
    headers: dict[str, str | None]
    value: str | None
    value_bytes: Number | None


class Records(TypedDict):
    """Newest first."""

    records: list[Record]
    truncated: Annotated[bool, Meta(description="Whether records are left out because they are large.")]
