"""Faust's transport: it uses our consumer, and gives access to the aiokafka client behind Faust's producer."""

from typing import Any

from aiokafka import AIOKafkaProducer
from faust.transport.drivers import aiokafka as driver

from labapp.patched.faust_consumer import BatchConsumer


class OpenProducer(driver.Producer):
    """Faust's producer, with access to what its own interface lacks."""

    def client(self) -> AIOKafkaProducer:
        """The connected aiokafka client. Raises faust.exceptions.NotReady before it is connected."""
        return self._ensure_producer()

    def new_client(self) -> AIOKafkaProducer:
        """Another aiokafka client with the same options, not started."""
        return self._new_producer()


class BatchTransport(driver.Transport):
    Consumer = BatchConsumer
    Producer = OpenProducer

    async def _create_topic(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing, because all topics exist before the worker starts. Faust would create them again, which ACLs may forbid."""
