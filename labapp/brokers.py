"""aiokafka taught to give up a broker that hangs in time, and to find the cluster again.

A broker whose host is lost, or that is frozen, refuses nothing: it is only silent. aiokafka goes on asking it who leads what, and
waits for each answer as long as for a record's acknowledgement, one after the other; the consumer even for as long as the session of
its group, which ends meanwhile. And it asks none but the brokers of its last answer: where one was away then, and the other is now,
it asks for ever in vain (a Java client bootstraps anew, KIP-899).

It overrides methods of the pinned aiokafka 0.14.0; tests/unit/test_batches.py fails when their text changes.
"""

import asyncio
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest

# A broker that is well answers these from memory.
QUESTIONS = (ApiVersionRequest, FindCoordinatorRequest, HeartbeatRequest, MetadataRequest)
ANSWER_SECONDS = 1.5

_send = AIOKafkaConnection.send
_metadata_update = AIOKafkaClient._metadata_update


def give_up_in_time() -> None:
    """From now on, in every client of this process."""
    AIOKafkaConnection.send = send
    AIOKafkaClient._metadata_update = metadata_update


def send(self: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    answer = _send(self, request, expect_response)
    return asyncio.wait_for(answer, ANSWER_SECONDS) if isinstance(request, QUESTIONS) else answer


async def metadata_update(self: AIOKafkaClient, cluster: Any, topics: Any) -> bool:
    if await _metadata_update(self, cluster, topics):
        return True
    try:
        await self.bootstrap()
    except KafkaError:
        return False
    return await _metadata_update(self, cluster, topics)
