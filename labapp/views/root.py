"""`/`: `POST` stamps *received*, makes the record and answers once it is acknowledged. `GET` is the page, or what was consumed."""

import asyncio

from aiohttp.web import HTTPException, Request, Response, StreamResponse
from faust.web import View

from labapp import settings
from labapp.app import app
from labapp.consume.feed import FEED
from labapp.event.record import Unusable, json_object, key_of, record_headers, record_value
from labapp.event.stages import appended_us, now_us
from labapp.observe.metrics import COUNTS
from labapp.produce import NotAcknowledged, produce
from labapp.web import static_files
from labapp.web.answers import ANSWER_BYTES_MOST, Refused, json_list_response, json_response
from labapp.web.callers import asks_for_page, ensure_allowed_page
from labapp.web.requests import body_of, traceparent_of
from labapp.web.shapes import Sent

HANDED_OUT_A_STEP = 1000

_TOPICS = {settings.KAFKA_TOPIC, *settings.PRODUCER_TOPICS}


@app.page("/")
class Root(View):
    """The only view of `/`, because aiohttp refuses the same method of a path twice."""

    async def __call__(self, request: Request) -> StreamResponse:
        # Faust's dispatch would cost a POST a twentieth of its time, for sensors that nobody reads.
        return await (self.post(request) if request.method == "POST" else super().__call__(request))

    async def get(self, request: Request) -> StreamResponse:
        if asks_for_page(request):
            return static_files.answer("index.html")
        if settings.CONSUMES:
            ensure_allowed_page(request)
            return json_list_response(b"[", await _handed_out(), b"]")
        return json_response([consumer.url for consumer in settings.CONSUMERS])

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
            COUNTS.posts[outcome] += 1
        return json_response(answer)


async def _handed_out() -> list[bytes]:
    """The events that wait, up to the size of an answer. They are taken in steps, so that the loop serves others in between."""
    events, room = list[bytes](), ANSWER_BYTES_MOST
    while some := FEED.hand_out(HANDED_OUT_A_STEP, room):
        events += some
        room -= sum(map(len, some))
        await asyncio.sleep(0)
    return events


async def send(request: Request, received_us: int) -> Sent:
    """Makes a record of the request and sends it. Raises Refused."""
    if not settings.PRODUCES:
        raise Refused(405, "This worker only consumes (ROLE=consumer): post to a producer.")
    if request.content_type != "application/json":
        raise Refused(415, "The Content-Type must be application/json.")
    try:
        key = key_of(request.headers.get("Idempotency-Key"))
        body = await body_of(request)
        event = json_object(body, "body")
    except Unusable as exc:
        raise Refused(400, f"{exc}.") from None
    topic = event.get("topic", settings.KAFKA_TOPIC)
    if not isinstance(topic, str) or topic not in _TOPICS:
        raise Refused(400, f"The topic {topic!r} is not allowed: PRODUCER_TOPICS lists those that are.")
    produced_us = now_us()
    value = record_value(body, event, produced_us)
    acknowledged = await produce(topic, key.encode(), value, record_headers(received_us, produced_us, traceparent_of(request)))
    return {
        "key": key,
        "topic": topic,
        "partition": acknowledged.partition,
        "offset": acknowledged.offset,
        "stages": {
            "received_us": received_us,
            "produced_us": produced_us,
            "appended_us": appended_us(acknowledged.timestamp, acknowledged.timestamp_type),
            "acknowledged_us": now_us(),
        },
    }
