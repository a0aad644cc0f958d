"""`/status`: the state of this worker, for the page, which asks each worker every second. It asks Kafka nothing."""

from aiohttp.web import Request, Response
from faust.web import View

from labapp import settings
from labapp.app import app, event_table
from labapp.consume.slow import SLOWNESS
from labapp.event.stages import now_us
from labapp.readiness import READINESS, offsets, restored
from labapp.web import shapes
from labapp.web.answers import json_response

_started_us = now_us()


def _restore() -> shapes.Restore | None:
    restore = READINESS.restore()
    return {"offsets_left": restore.offsets_left, "seconds_left": restore.seconds_left} if restore else None


@app.page("/status")
class Status(View):
    async def get(self, request: Request) -> Response:
        ready = restored()
        return json_response(
            shapes.Status(
                {
                    "role": settings.ROLE,
                    "group": settings.CONSUMER_GROUP if settings.CONSUMES else None,
                    "state": "starting" if not ready else "stalled" if READINESS.stalled() else "online",
                    "partitions": sorted(event_table.owned) if settings.CONSUMES and ready else [],
                    "restore": _restore(),
                    "offsets": offsets() if settings.CONSUMES and ready else [],
                    "acks": "all" if app.conf.producer_acks == -1 else str(app.conf.producer_acks),
                    "slow_ms": SLOWNESS.ms,
                    "started_us": _started_us,
                    "now_us": now_us(),  # by which the page measures how far its own clock is off
                }
            )
        )
