"""`/metrics`: Prometheus text, made of this worker's counts and of what it owns at the moment it is asked."""

from collections.abc import Iterator

from aiohttp.web import Request, Response
from faust.web import View
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from labapp import settings
from labapp.app import app, event_table
from labapp.event.rows import Rows
from labapp.lag import LAG
from labapp.observe.metrics import COUNTS, Group, GroupPartition, Partition, families
from labapp.readiness import READINESS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Worker(Collector):
    def collect(self) -> Iterator[Metric]:
        restore = READINESS.restore()
        return families(COUNTS, _partitions(), app.rebalancing_count, restore.offsets_left if restore else 0, _group())


def _partitions() -> Iterator[Partition]:
    """The partitions that this worker owns now."""
    for progress in READINESS.progress():
        rows = event_table.owned.get(progress.partition, Rows())
        yield Partition(settings.KAFKA_TOPIC, progress.partition, progress.waiting, progress.standing_seconds, len(rows), rows.size_bytes)


def _group() -> Group | None:
    if (group := LAG.latest) is None:
        return None
    topic = settings.KAFKA_TOPIC
    return Group(len(group.members), [GroupPartition(topic, one.partition, one.lag, one.oldest_seconds) for one in group.partitions])


_registry = CollectorRegistry()
_registry.register(_Worker())


@app.page("/metrics")
class Metrics(View):
    async def get(self, request: Request) -> Response:
        return Response(body=generate_latest(_registry), headers={"Content-Type": CONTENT_TYPE})
