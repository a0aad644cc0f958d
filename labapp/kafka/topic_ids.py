"""Asks brokers for topic ids. A topic that is deleted and recreated gets another id. aiokafka 0.14 does not read them.

Topics have ids from Kafka 2.8 on.
"""

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from labapp.kafka.connection import Admin

_TAGS = ("tags", TaggedFields)
_UUID = (("id_high", Int64), ("id_low", Int64))
_TEXT = CompactString("utf-8")


async def topic_ids(client: Admin, names: list[str]) -> dict[str, str]:
    """The id of each of these topics that exists, as hexadecimal digits. Empty if the broker is too old. Raises KafkaError."""
    try:
        answer = await client.ask(_TopicsRequest(names))
    except NotImplementedError:
        return {}
    found = answer.to_object()["topics"]
    return {topic["name"]: f"{topic['id_high'] % 2**64:016x}{topic['id_low'] % 2**64:016x}" for topic in found if not topic["error_code"]}


class _TopicsResponse(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                *_UUID,
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("in_sync", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("authorized_operations", Int32),
        _TAGS,
    )


class _TopicsRequestStruct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _TopicsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(*_UUID, ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _TopicsRequest(Request[_TopicsRequestStruct]):
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_TopicsRequestStruct]) -> _TopicsRequestStruct:
        return request_struct_class([(0, 0, name, {}) for name in self._names], False, False, False, {})
