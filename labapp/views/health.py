"""`/ping`, `/health/live` and `/health/ready`: whether the worker is there, and whether it is ready."""

from aiohttp.web import Request, Response
from faust.web import View

from labapp import settings
from labapp.app import app
from labapp.readiness import READINESS
from labapp.web.answers import json_response


@app.page("/ping")
class Ping(View):
    async def get(self, request: Request) -> Response:
        return Response(text=f"pong:{settings.CONSUMER_GROUP}" if settings.CONSUMES else "pong")


@app.page("/health/live")
class Live(View):
    """An answer shows that the event loop runs."""

    async def get(self, request: Request) -> Response:
        return json_response({"status": "live"})


@app.page("/health/ready")
class Ready(View):
    async def get(self, request: Request) -> Response:
        reasons = READINESS.reasons()
        return json_response({"status": "not ready" if reasons else "ready", "reasons": reasons}, 503 if reasons else 200)
