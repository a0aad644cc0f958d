"""The view of `/`: `post` stamps *received*, sends the record, stamps *produced* and answers once all in-sync replicas have it."""

import asyncio
import logging

from aiohttp.web import HTTPException, Request, Response, StreamResponse
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata
from faust.exceptions import NotReady
from faust.web import View

from labapp import settings
from labapp.app import app, kafka_producer
from labapp.consume import feed
from labapp.event.row import Unusable, key_of, now_us, posted, record_headers, record_value
from labapp.observe import logs, metrics, tracing
from labapp.views import page
from labapp.web.middleware import Refused, body_of, json_response, traceparent_of
from labapp.web.shapes import Sent

log = logging.getLogger(__name__)

_TOPICS = {settings.KAFKA_TOPIC, *settings.PRODUCER_TOPICS}
_under_way = 0


@app.page("/")
class Root(View):
    async def __call__(self, request: Request) -> StreamResponse:
        # Past Faust's dispatch, which costs a POST a twentieth of its time, for sensors that nobody reads.
        return await (self.post(request) if request.method == "POST" else super().__call__(request))

    async def get(self, request: Request) -> StreamResponse:
        if settings.PRODUCES and "text/html" in request.headers.get("Accept", ""):
            return page.index()
        if settings.CONSUMES:
            return json_response(feed.hand_out())
        return json_response(settings.CONSUMERS)

    async def post(self, request: Request) -> Response:
        outcome = "failed"
        try:
            answer = await send(request, now_us())
            outcome = "acknowledged"
        except NotAcknowledged:
            outcome = "timed_out"
            raise
        except (Refused, HTTPException):
            outcome = "refused"
            raise
        finally:
            metrics.posts[outcome] += 1
        return json_response(answer)


async def send(request: Request, received_us: int) -> Sent:
    if not settings.PRODUCES:
        raise Refused(405, "This worker only consumes (ROLE=consumer): post to a producer.")
    if request.content_type != "application/json":
        raise Refused(415, "The Content-Type must be application/json.")
    try:
        key = key_of(request.headers.get("Idempotency-Key"))
        body = await body_of(request)
        event = posted(body)
    except Unusable as exc:
        raise Refused(400, f"{exc}.") from None
    topic = event.get("topic", settings.KAFKA_TOPIC)
    if not isinstance(topic, str) or topic not in _TOPICS:
        raise Refused(400, f"The topic {topic!r} is not allowed: PRODUCER_TOPICS lists those that are.")
    produced_us = now_us()
    value = record_value(body, event, produced_us)
    appended = await produce(topic, key.encode(), value, record_headers(received_us, produced_us, traceparent_of(request)))
    return {
        "key": key,
        "topic": topic,
        "partition": appended.partition,
        "offset": appended.offset,
        "stages": {
            "received_us": received_us,
            "produced_us": produced_us,
            # aiokafka calls it LogAppendTime (1) where the acknowledgement carries a time.
            "appended_us": appended.timestamp * 1000 if appended.timestamp_type == 1 else None,
            "acknowledged_us": now_us(),
        },
    }


class NotAcknowledged(Refused):
    """Whether Kafka has the event is not known."""


@tracing.sent
async def produce(topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> RecordMetadata:
    """Sends until acknowledged, for PRODUCE_TIMEOUT_SECONDS at most; then Refused with 503, as where too many are under way.

    The record may be in the topic twice, or in spite of the 503: the same key shows once.
    """
    global _under_way
    if _under_way >= settings.POSTS_UNDER_WAY:
        raise Refused(503, f"{_under_way} posts are under way, which is all that this worker takes at once.", retry_after_seconds=1)
    _under_way += 1
    try:
        async with asyncio.timeout(settings.PRODUCE_TIMEOUT_SECONDS):
            while True:
                try:
                    # Not by app.producer.send, which costs a tenth of the speed and does nothing more.
                    return await (await kafka_producer().send(topic, value, key, headers=headers))
                except MessageSizeTooLargeError:
                    raise Refused(413, f"The topic {topic} takes no record of that size.") from None
                except (KafkaError, NotReady):
                    await asyncio.sleep(0.1)
    except TimeoutError:
        sentence = "Kafka did not acknowledge the event in time: send it again with the same Idempotency-Key."
        log.debug(sentence, extra=logs.about(headers))
        raise NotAcknowledged(503, sentence, retry_after_seconds=1) from None
    finally:
        _under_way -= 1
