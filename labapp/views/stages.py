"""`/stages`: where the time of the newest events went."""

from dataclasses import asdict

from aiohttp.web import Request, Response
from faust.web import View

from labapp.app import app, event_table
from labapp.event import gaps
from labapp.event.rows import newest_first
from labapp.readiness import ensure_restored
from labapp.web.answers import json_response, own_turn
from labapp.web.requests import whole_number
from labapp.web.shapes import ROWS_MAX, WINDOW_DEFAULT


@app.page("/stages")
class Stages(View):
    async def get(self, request: Request) -> Response:
        ensure_restored()
        window = whole_number(request, "window", WINDOW_DEFAULT, 1, ROWS_MAX)
        async with own_turn():
            rows, _ = newest_first(event_table.owned, window, {})
            return json_response(asdict(gaps.summary(rows, window)))
