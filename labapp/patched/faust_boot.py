"""Faust's order of services in a worker that only produces: here the web server stops before the Kafka producer.

In such a worker Faust starts the web server first, and so stops the producer first. Requests under way would then find no producer. A
worker that also consumes has the right order already.
"""

from collections.abc import Iterable

from faust.app import BootStrategy
from faust.types import ServiceT


class ProducerFirst(BootStrategy):
    def producer_only(self) -> Iterable[ServiceT]:
        return [*self.kafka_producer(), *self.web_server()]
