"""`/openapi.json` and `/asyncapi.json`: this app's interfaces, for programs."""

from aiohttp.web import Request, Response
from faust.web import View

from labapp.app import app
from labapp.web import asyncapi, openapi
from labapp.web.answers import json_response


@app.page("/openapi.json")
class OpenApi(View):
    async def get(self, request: Request) -> Response:
        return json_response(openapi.document())


@app.page("/asyncapi.json")
class AsyncApi(View):
    async def get(self, request: Request) -> Response:
        return json_response(asyncapi.document())
