"""`/metrics`: Prometheus text, made of the counts and of what this worker owns at the moment it is asked."""

from collections.abc import Iterator

from aiohttp.web import Request, Response
from faust.web import View
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from labapp import readiness as health
from labapp import settings
from labapp.app import app, events
from labapp.observe import metrics
from labapp.patched.faust_table import Rows

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _State(Collector):
    def collect(self) -> Iterator[Metric]:
        return metrics.families(list(_partitions()), app.rebalancing_count)


def _partitions() -> Iterator[metrics.Partition]:
    """Those owned now: what went to another worker is no longer told."""
    for progress in health.progress():
        rows = events.owned.get(progress.partition, Rows())
        yield metrics.Partition(
            settings.KAFKA_TOPIC, progress.partition, progress.waiting, progress.standing_seconds, len(rows), rows.size_bytes
        )


_registry = CollectorRegistry()
_registry.register(_State())


@app.page("/metrics")
class Metrics(View):
    async def get(self, request: Request) -> Response:
        return Response(body=generate_latest(_registry), headers={"Content-Type": CONTENT_TYPE})
