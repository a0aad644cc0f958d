"""Faust's order of services in a worker that only produces: it answers HTTP before its Kafka producer stops, not after.

Faust starts the web server first there, and so stops the producer first. Requests that are under way then find no producer. In a worker
that consumes too, Faust has this order itself.
"""

from collections.abc import Iterable

from faust.app import BootStrategy
from faust.types import ServiceT


class ProducerFirst(BootStrategy):
    def producer_only(self) -> Iterable[ServiceT]:
        return [*self.kafka_producer(), *self.web_server()]
