"""The cluster, read: `/cluster`, the newest records of a partition, the newest dead letters."""

from dataclasses import asdict
from typing import Any

from aiohttp import web
from aiohttp.web import Request, Response
from aiokafka import ConsumerRecord
from faust.web import View

from labapp import settings
from labapp.app import CHANGELOG, TOPICS, app
from labapp.kafka.overview import Away, Observer
from labapp.web import shapes
from labapp.web.middleware import Refused, json_response

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
# Of each key, header and value no more characters are answered: a record may have a megabyte.
TEXT_MAX = 4096

# The source topic first: its groups are told.
observer = Observer(list(dict.fromkeys([settings.KAFKA_TOPIC, *(topic.name for topic in TOPICS), CHANGELOG])))


async def _close(_: web.Application) -> None:
    await observer.close()


app.web.web_app.on_shutdown.append(_close)  # type: ignore[attr-defined]


@app.page("/cluster")
class Cluster(View):
    async def get(self, request: Request) -> Response:
        try:
            return json_response(asdict(await observer.overview()))
        except Away:
            raise _no_broker() from None


@app.page("/records")
class Records(View):
    async def get(self, request: Request) -> Response:
        """Newest first."""
        topic = request.query.get("topic", settings.KAFKA_TOPIC)
        partition = request.query.get("partition", "")
        if topic not in observer.topics:
            raise Refused(400, f"topic is one of {', '.join(observer.topics)}.")
        if not partition.isdecimal():
            raise Refused(400, "partition is the number of a partition.")
        limit = _limit(request)
        try:
            await _ensure_partition(topic, int(partition[:9]))
            records = await observer.newest(topic, int(partition[:9]), limit)
        except Away:
            raise _no_broker() from None
        return json_response({"records": [as_text(record) for record in records]})


@app.page("/dead-letters")
class DeadLetters(View):
    async def get(self, request: Request) -> Response:
        """Newest first, of all partitions."""
        limit = _limit(request)
        try:
            partitions = _partitions(await observer.overview(), settings.DEAD_LETTER_TOPIC)
            records = [record for partition in partitions for record in await observer.newest(settings.DEAD_LETTER_TOPIC, partition, limit)]
        except Away:
            raise _no_broker() from None
        records.sort(key=lambda record: record.timestamp, reverse=True)
        return json_response({"records": [as_text(record) for record in records[:limit]]})


async def _ensure_partition(topic: str, partition: int) -> None:
    if partition not in _partitions(await observer.overview(), topic):
        raise Refused(404, f"The topic {topic} has no partition {partition}.")


def _partitions(overview: Any, topic: str) -> list[int]:
    return [partition.partition for found in overview.topics if found.name == topic for partition in found.partitions]


def _limit(request: Request) -> int:
    limit = request.query.get("limit", str(LIMIT_DEFAULT))
    if not limit.isdecimal() or not 1 <= int(limit[:9]) <= LIMIT_MAX:
        raise Refused(400, f"limit is a whole number from 1 to {LIMIT_MAX}.")
    return int(limit)


def _no_broker() -> Refused:
    return Refused(503, "No Kafka broker answers.", retry_after_seconds=1)


def as_text(record: ConsumerRecord) -> shapes.Record:
    """A record for people: its bytes as text, shortened, and how many they are."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_us": record.timestamp * 1000,
        "timestamp_by": "broker" if record.timestamp_type == 1 else "client",
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
        "value": _text(record.value),
        "value_bytes": len(record.value) if record.value is not None else None,
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else data[:TEXT_MAX].decode(errors="backslashreplace")
