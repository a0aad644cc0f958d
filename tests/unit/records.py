"""Records as a consumer gets them, for tests of pure functions."""

from dataclasses import dataclass

ARRIVAL_US = 1_764_000_000_874_012


@dataclass
class Record:
    value: bytes | None = b'{"id": 7}'
    key: bytes | None = b"key-7"
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = "first-topic"
    partition: int = 1
    offset: int = 42
    timestamp: int = ARRIVAL_US // 1000 + 2
    timestamp_type: int = 1
