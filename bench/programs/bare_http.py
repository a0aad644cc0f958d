"""The least that answers a POST once the event is in Kafka: aiohttp, JSON, aiokafka with acks=all."""

import os
import uuid
from collections.abc import AsyncIterator

import orjson
from aiohttp import web
from aiokafka import AIOKafkaProducer

TOPIC = os.environ["TOPIC"]
producer: AIOKafkaProducer


async def connect(_: web.Application) -> AsyncIterator[None]:
    global producer
    async with AIOKafkaProducer(bootstrap_servers=os.environ["BOOTSTRAP"], acks="all") as producer:
        yield


async def post(request: web.Request) -> web.Response:
    body = await request.read()
    orjson.loads(body)
    key = str(uuid.uuid4())
    appended = await producer.send_and_wait(TOPIC, body, key=key.encode())
    answer = orjson.dumps({"key": key, "partition": appended.partition, "offset": appended.offset})
    return web.Response(body=answer, content_type="application/json")


app = web.Application()
app.cleanup_ctx.append(connect)
app.router.add_post("/", post)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
