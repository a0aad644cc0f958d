"""The connection options of our own Kafka clients. Faust's own clients have theirs in app.py, with the same security."""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from labapp import settings
from labapp.kafka import security

# aiokafka asks only the brokers of its last metadata. That list must not stay short for five minutes after a broker was away.
METADATA_MAX_AGE_MS = 3000
# How large a batch of a producer may become. Brokers take a little more by default (max.message.bytes).
BATCH_BYTES_MAX = 1_000_000
# The largest record of a topic must fit into a request together with the headers of a dead letter.
REQUEST_BYTES_MAX = 2_500_000


def options(request_timeout_seconds: float = settings.KAFKA_REQUEST_TIMEOUT_SECONDS) -> dict[str, Any]:
    """Keyword arguments for a client of aiokafka: an admin client, a consumer or a producer."""
    return {
        "bootstrap_servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "client_id": "labapp",
        "request_timeout_ms": int(request_timeout_seconds * 1000),
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        **security.client_arguments(),
    }


class Admin(AIOKafkaAdminClient):
    """An admin client that also sends requests which aiokafka has no method for. It relies on two private attributes of aiokafka."""

    async def ask(self, request: Any, node: int | None = None) -> Any:
        """The answer of the broker `node`, or of any broker. Raises KafkaError, and NotImplementedError if the broker is too old."""
        return await self._send_request(request, node)

    def known_brokers(self) -> list[str]:
        """The `host:port` of each broker, as the brokers call themselves, without asking them again."""
        return [f"{broker.host}:{broker.port}" for broker in self._client.cluster.brokers()]
