"""aiokafka's time-outs and metadata: a client gives up a broker that hangs in time, and finds the cluster again.

A broker that is frozen, or whose host is lost, does not answer. Still aiokafka asks it for metadata again and again. It waits for each
answer as long as for a record's acknowledgement. Its consumer waits as long as the group's session, which ends meanwhile.

Also, aiokafka asks only the brokers of its last metadata. If one was away at that time and the others are away now, it never finds the
cluster again. A Java client asks the bootstrap servers again (KIP-899).
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
from aiokafka.util import wait_for  # asyncio's own may lose a cancellation, up to Python 3.11

from labapp import settings

# A healthy broker answers these from memory.
QUESTIONS = (ApiVersionRequest, FindCoordinatorRequest, HeartbeatRequest, MetadataRequest)
ANSWER_SECONDS = settings.KAFKA_REQUEST_TIMEOUT_SECONDS * 3 / 8
# TLS and a password take longer than a question. All other connections wait meanwhile (client.py:411).
CONNECT_SECONDS = settings.KAFKA_REQUEST_TIMEOUT_SECONDS * 3 / 4

_connect, _send = AIOKafkaConnection.connect, AIOKafkaConnection.send
_metadata_update = AIOKafkaClient._metadata_update


def give_up_in_time() -> None:
    """Changes every client that this process makes from now on."""
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
    # This bootstraps a copy. A client forgets its topics when it bootstraps, and a group leader without topics assigns nothing.
    finder = copy.copy(self)
    finder.cluster, finder._conns = ClusterMetadata(), {}
    finder._sync_task = finder._sync_task or True  # else bootstrap would start a task
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
