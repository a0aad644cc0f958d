"""aiokafka taught to give up a broker that hangs in time, and to find the cluster again.

A broker whose host is lost, or that is frozen, refuses nothing: it is only silent. aiokafka goes on asking it who leads what, and
waits for each answer as long as for a record's acknowledgement, one after the other; the consumer even for as long as the session of
its group, which ends meanwhile. And it asks none but the brokers of its last answer: where one was away then, and the other is now,
it asks for ever in vain (a Java client bootstraps anew, KIP-899).

It overrides methods of the pinned aiokafka 0.14.0; tests/unit/patched/test_faust_batches.py fails when their text changes.
"""

import copy
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.util import wait_for  # asyncio's own swallows a cancellation now and then, up to Python 3.11

from labapp import settings

# A broker that is well answers these from memory.
QUESTIONS = (ApiVersionRequest, FindCoordinatorRequest, HeartbeatRequest, MetadataRequest)
ANSWER_SECONDS = settings.KAFKA_REQUEST_TIMEOUT_SECONDS * 3 / 8
# With TLS and a password more than a question. All other connections wait meanwhile (client.py:411).
CONNECT_SECONDS = settings.KAFKA_REQUEST_TIMEOUT_SECONDS * 3 / 4

_connect, _send = AIOKafkaConnection.connect, AIOKafkaConnection.send
_metadata_update = AIOKafkaClient._metadata_update


def give_up_in_time() -> None:
    """From now on, in every client of this process."""
    AIOKafkaConnection.connect, AIOKafkaConnection.send = connect, send
    AIOKafkaClient._metadata_update = metadata_update


async def connect(self: AIOKafkaConnection) -> Any:
    return await wait_for(_connect(self), CONNECT_SECONDS)


def send(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    answer = _send(self, request, expect_response)
    return wait_for(answer, ANSWER_SECONDS) if isinstance(request, QUESTIONS) else answer


async def metadata_update(self: AIOKafkaClient, cluster: Any, topics: Any) -> bool:
    if await _metadata_update(self, cluster, topics):
        return True
    # On a copy, since to bootstrap a client forgets its topics, and a group whose leader has none is assigned nothing.
    finder = copy.copy(self)
    finder.cluster, finder._conns = ClusterMetadata(), {}
    finder._sync_task = finder._sync_task or True  # else it would start one
    try:
        await finder.bootstrap()
    except KafkaError:
        return False
    finally:
        for connection in finder._conns.values():
            connection.close()
    if not finder.cluster.brokers():
        return False
    self.cluster._brokers = finder.cluster._brokers
    return await _metadata_update(self, cluster, topics)
