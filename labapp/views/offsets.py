"""`/offsets` and `/keys`: which offsets and which keys have a row.

With few requests, a client learns what became of many events that it sent.
"""

from aiohttp.web import Request, Response
from faust.web import View

from labapp.app import app, event_table
from labapp.event.row import offset_of
from labapp.event.rows import keys_between
from labapp.readiness import ensure_restored, offsets
from labapp.web.answers import Refused, json_response
from labapp.web.requests import whole_number
from labapp.web.shapes import KEYS_MAX, OFFSETS_MAX, Found, Position, Recorded

PARTITION_MAX, OFFSET_MAX = 999_999, 10**18 - 1


@app.page("/offsets")
class RecordedOffsets(View):
    async def get(self, request: Request) -> Response:
        ensure_restored()
        partition = whole_number(request, "partition", None, 0, PARTITION_MAX)
        first = whole_number(request, "first", None, 0, OFFSET_MAX)
        for found in offsets():
            if found["partition"] == partition:
                rows = keys_between(event_table.owned[partition], first, first + OFFSETS_MAX)
                return json_response(Recorded({**found, "rows": rows}))
        raise Refused(404, f"Partition {partition} is not this worker's.")


@app.page("/keys")
class RecordedKeys(View):
    async def get(self, request: Request) -> Response:
        ensure_restored()
        keys = request.query.getall("key", [])
        if not 1 <= len(keys) <= KEYS_MAX:
            raise Refused(400, f"key must be given 1 to {KEYS_MAX} times.")
        rows = {
            key: Position(partition=partition, offset=offset_of(row))
            for partition, owned in event_table.owned.items()
            for key in keys
            if (row := owned.get(key)) is not None
        }
        return json_response(Found({"rows": rows}))
