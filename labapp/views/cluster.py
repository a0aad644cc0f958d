"""`/cluster`, `/records` and `/dead-letters`: the cluster's state, and the newest records of a partition or of the dead-letter topic."""

from dataclasses import asdict

from aiohttp.web import Request, Response
from aiokafka import ConsumerRecord
from faust.web import View

from labapp import settings
from labapp.app import app
from labapp.event.stages import appended_us
from labapp.kafka.newest import BYTES_MOST, Newest
from labapp.kafka.overview import TIMEOUT_SECONDS, Away, Overview, TooSlow
from labapp.lag import LAG, OBSERVER
from labapp.web import shapes
from labapp.web.answers import Refused, json_response
from labapp.web.requests import whole_number
from labapp.web.shapes import RECORDS_DEFAULT, RECORDS_MAX

# A record may have a megabyte. The answer has at most so many bytes of each key, header and value.
TEXT_MAX = 4096
PARTITION_MAX = 999_999


@app.page("/cluster")
class Cluster(View):
    async def get(self, request: Request) -> Response:
        try:
            return json_response(asdict(await LAG.overview()))
        except Away:
            raise _no_broker() from None


@app.page("/records")
class Records(View):
    async def get(self, request: Request) -> Response:
        """The newest records of one partition, newest first."""
        topic = request.query.get("topic", settings.KAFKA_TOPIC)
        if topic not in OBSERVER.topics:
            raise Refused(400, f"topic must be one of {', '.join(OBSERVER.topics)}.")
        partition = whole_number(request, "partition", None, 0, PARTITION_MAX)
        limit = whole_number(request, "limit", RECORDS_DEFAULT, 1, RECORDS_MAX)
        if partition not in _partitions(await _overview(), topic):
            raise Refused(404, f"The topic {topic} has no partition {partition}.")
        found = await _newest(topic, partition, limit, BYTES_MOST)
        return json_response({"records": [as_text(record) for record in found.records], "truncated": found.truncated})


@app.page("/dead-letters")
class DeadLetters(View):
    async def get(self, request: Request) -> Response:
        """The newest dead letters of all partitions, newest first."""
        limit = whole_number(request, "limit", RECORDS_DEFAULT, 1, RECORDS_MAX)
        topic = settings.DEAD_LETTER_TOPIC
        partitions = _partitions(await _overview(), topic)
        found = [await _newest(topic, partition, limit, BYTES_MOST // len(partitions)) for partition in partitions]
        records = sorted((record for one in found for record in one.records), key=lambda record: record.timestamp, reverse=True)
        truncated = len(records) < limit and any(one.truncated for one in found)
        return json_response({"records": [as_text(record) for record in records[:limit]], "truncated": truncated})


async def _overview() -> Overview:
    try:
        return await OBSERVER.overview()
    except Away:
        raise _no_broker() from None


async def _newest(topic: str, partition: int, limit: int, bytes_most: int) -> Newest:
    try:
        return await OBSERVER.newest(topic, partition, limit, bytes_most)
    except Away:
        raise _no_broker() from None
    except TooSlow:
        raise Refused(503, f"The records could not be read within {TIMEOUT_SECONDS:g} s.", retry_after_seconds=1) from None


def _no_broker() -> Refused:
    return Refused(503, "No Kafka broker answers.", retry_after_seconds=1)


def _partitions(overview: Overview, topic: str) -> list[int]:
    return [partition.partition for found in overview.topics if found.name == topic for partition in found.partitions]


def as_text(record: ConsumerRecord) -> shapes.Record:
    """A record for people: its bytes as shortened text, and their number."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_us": record.timestamp * 1000,
        "timestamp_by": "client" if appended_us(record.timestamp, record.timestamp_type) is None else "broker",
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
        "value": _text(record.value),
        "value_bytes": len(record.value) if record.value is not None else None,
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else data[:TEXT_MAX].decode(errors="backslashreplace")
