"""`/page` and `/static/`: what the page in the browser has to know, and its files."""

from aiohttp.web import Request, Response, StreamResponse
from faust.web import View

from labapp import experiments, settings
from labapp.app import app
from labapp.event.stages import STAGES
from labapp.web import shapes, static_files
from labapp.web.answers import json_response


@app.page("/static/{path:.+}")
class Static(View):
    async def get(self, request: Request, path: str) -> StreamResponse:
        return static_files.answer(path)


@app.page("/page")
class Page(View):
    async def get(self, request: Request) -> Response:
        return json_response(
            shapes.Facts(
                {
                    "topic": settings.KAFKA_TOPIC,
                    "dead_letter_topic": settings.DEAD_LETTER_TOPIC,
                    "group": settings.CONSUMER_GROUP,
                    "bootstrap_servers": settings.KAFKA_BOOTSTRAP_SERVERS,
                    "stages": list(STAGES),
                    "here_too": settings.CONSUMES,  # whether the page's own address consumes as well
                    "consumers": [{"url": consumer.url, "name": consumer.name} for consumer in settings.CONSUMERS],
                    "experiments": experiments.offered(),
                }
            )
        )
