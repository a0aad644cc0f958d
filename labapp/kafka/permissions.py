"""Asks brokers what they allow this client to do. aiokafka 0.14 does not read that part of their answers (Kafka 2.3 and newer)."""

from collections.abc import Iterable
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from labapp.kafka.connection import Admin

# The numbers of org.apache.kafka.common.acl.AclOperation. An answer has the bit of each allowed operation.
OPERATIONS = {"Read": 3, "Write": 4}
# The answer of a broker that does not know.
_UNKNOWN = -(1 << 31)

Allowed = frozenset[str] | None  # None: the broker does not say


async def allowed_on_topics(client: Admin, names: Iterable[str]) -> dict[str, Allowed]:
    """What is allowed on each of these topics, which must exist."""
    try:
        answer = await client.ask(_TopicsRequest(list(names)))
    except NotImplementedError:  # an older broker
        return dict.fromkeys(names)
    return {topic["name"]: _decoded(topic["authorized_operations"]) for topic in answer.to_object()["topics"]}


async def allowed_on_group(client: Admin, name: str, coordinator: int) -> Allowed:
    """What is allowed on a group, which need not exist. Raises GroupAuthorizationFailedError if nothing is, or another KafkaError."""
    try:
        answer = await client.ask(_GroupRequest(name), coordinator)
    except NotImplementedError:
        return None
    [group] = answer.to_object()["groups"]
    if group["error_code"]:
        raise for_code(group["error_code"])
    return _decoded(group["authorized_operations"])


def _decoded(bits: int) -> Allowed:
    return None if bits == _UNKNOWN else frozenset(name for name, bit in OPERATIONS.items() if bits & 1 << bit)


class _TopicsResponse(Response):
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("name", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("in_sync", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _TopicsRequestStruct(RequestStruct):
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _TopicsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicsRequest(Request[_TopicsRequestStruct]):
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_TopicsRequestStruct]) -> _TopicsRequestStruct:
        return request_struct_class(self._names, False, False, True)


class _GroupRequestStruct(RequestStruct):
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE: Any = DescribeGroupsResponse_v3  # aiokafka's own request of this version reads the answer as one of version 2
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _GroupRequest(Request[_GroupRequestStruct]):
    API_KEY = 15

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_GroupRequestStruct]) -> _GroupRequestStruct:
        return request_struct_class([self._name], True)
