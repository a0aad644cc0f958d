"""Every setting, once: the environment decides, then `.env` in the current folder, then the default here.

A value that can't be used ends the program with one sentence that names the setting.
"""

import os
import re
from collections.abc import Callable
from typing import Any

from decouple import AutoConfig

# decouple looks for .env upwards from the file that calls it, and would miss the user's own once this package is installed.
_config = AutoConfig(search_path=os.getcwd())


def config(name: str, default: Any, cast: Callable[[str], Any]) -> Any:
    """The setting `name` as `cast` reads its text; a ValueError of `cast` ends the program, its text being the sentence's end."""
    text = str(_config(name, default=default)).strip()
    try:
        return cast(text)
    except ValueError as exc:
        raise SystemExit(f"The setting {name}={text!r} can't be used: {exc}.") from None


def one_of(*words: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if text not in words:
            raise ValueError(f"it is one of {', '.join(words)}")
        return text

    return cast


def number(least: int, most: int) -> Callable[[str], int]:
    def cast(text: str) -> int:
        if not re.fullmatch(r"\d{1,15}", text) or not least <= int(text) <= most:
            raise ValueError(f"it is a whole number from {least} to {most}")
        return int(text)

    return cast


def seconds(least: float, most: float) -> Callable[[str], float]:
    def cast(text: str) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?", text) or not least <= float(text) <= most:
            raise ValueError(f"it is a number of seconds from {least:g} to {most:g}")
        return float(text)

    return cast


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def kafka_name(text: str) -> str:
    """A name that Kafka takes for a topic (org.apache.kafka.common.internals.Topic), and that we take for a group as well."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", text) or text in (".", ".."):
        raise ValueError("it is 1 to 200 letters, digits, dots, dashes or underscores")
    return text


def kafka_names(text: str) -> list[str]:
    return [kafka_name(word) for word in words(text)]


def servers(text: str) -> list[str]:
    found = words(text)
    for server in found:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("it is a list of host:port, parted by commas")
    if not found:
        raise ValueError("it names no broker")
    return found


def origins(text: str) -> list[str]:
    found = words(text)
    for origin in found:
        if not re.fullmatch(r"https?://[^/\s*]+", origin):
            raise ValueError("it is a list of origins such as http://localhost:3000, without a path and without *")
    return found


# -- the five that the workshop has

# Brokers to ask first, any of which may be down. The cluster itself tells about the others.
KAFKA_BOOTSTRAP_SERVERS: list[str] = config("KAFKA_BOOTSTRAP_SERVERS", "localhost:9093,localhost:9094", servers)
# The topic that is produced to and consumed from.
KAFKA_TOPIC: str = config("KAFKA_TOPIC", "first-topic", kafka_name)
# The consumer group, and so the Faust app's id: its table's changelog is named after it.
CONSUMER_GROUP: str = config("CONSUMER_GROUP", "first-group", kafka_name)
# What this worker does: produce (HTTP to topic), consume (topic to table), or both.
ROLE: str = config("ROLE", "all", one_of("all", "producer", "consumer"))
# Where HTTP listens; `faust worker --web-port` beats it.
PORT: int = config("PORT", 8000 if ROLE == "consumer" else 5000, number(1, 65535))

PRODUCES = ROLE != "consumer"
CONSUMES = ROLE != "producer"

# -- topics

# For topics that the app makes: partitions, and copies of each (never more than there are brokers).
KAFKA_PARTITIONS: int = config("KAFKA_PARTITIONS", 2, number(1, 10_000))
KAFKA_REPLICATION: int = config("KAFKA_REPLICATION", 2, number(1, 100))
# Where records go that can't be recorded.
DEAD_LETTER_TOPIC: str = config("DEAD_LETTER_TOPIC", "dlq", kafka_name)
# Further topics that a posted event may name in its field `topic`.
PRODUCER_TOPICS: list[str] = config("PRODUCER_TOPICS", "", kafka_names)

# -- the table

# Rows kept a partition: the newest, at most so many and at most so many bytes.
ROWS_KEPT: int = config("ROWS_KEPT", 10_000, number(1, 10_000_000))
ROWS_KEPT_BYTES: int = config("ROWS_KEPT_BYTES", 64 * 1024 * 1024, number(1024, 1 << 40))

# -- time-outs

# How long a start waits for Kafka before it gives up.
START_TIMEOUT_SECONDS: float = config("START_TIMEOUT_SECONDS", 30, seconds(1, 600))
# How long one request to a broker may take. A broker that hangs, or whose host is gone, is given up after it.
KAFKA_REQUEST_TIMEOUT_SECONDS: float = config("KAFKA_REQUEST_TIMEOUT_SECONDS", 4, seconds(1, 120))
# How long a POST waits for the acknowledgement before it answers 503.
PRODUCE_TIMEOUT_SECONDS: float = config("PRODUCE_TIMEOUT_SECONDS", 10, seconds(1, 120))
# How long the consumer tries to record a batch before it ends itself, to be started anew by whatever runs it.
RECORD_TIMEOUT_SECONDS: float = config("RECORD_TIMEOUT_SECONDS", 30, seconds(1, 600))
# After so long without a heartbeat a worker's partitions go to others. Brokers allow 6 s at the least by default.
KAFKA_SESSION_TIMEOUT_SECONDS: float = config("KAFKA_SESSION_TIMEOUT_SECONDS", 6, seconds(1, 300))

# How long a clean stop may take; then the worker ends at once. Platforms give 5 to 30 s.
STOP_TIMEOUT_SECONDS: float = config("STOP_TIMEOUT_SECONDS", 4.5, seconds(0.1, 600))

# -- HTTP

# The address that HTTP listens on; `faust worker --web-bind` beats it.
WEB_BIND: str = config("WEB_BIND", "127.0.0.1", str)
# The name under which the group's other workers reach this one. Empty: the bound address, or the host's name where all are bound.
WEB_HOST: str = config("WEB_HOST", "", str)
# Pages of these origins may call this worker from a browser. The page of the local lab lives on port 5000.
CORS_ORIGINS: list[str] = config("CORS_ORIGINS", "http://localhost:3000,http://localhost:5000,http://127.0.0.1:5000", origins)
# Posts under way at once; beyond it the answer is 503.
POSTS_UNDER_WAY: int = config("POSTS_UNDER_WAY", 1000, number(1, 100_000))
# Where the other workers' HTTP is, as a producer tells it.
CONSUMERS: list[str] = config("CONSUMERS", "http://localhost:8000,http://localhost:8001,http://localhost:8002", origins)
# The folder of the local lab whose processes the page may stop, start and kill. Empty: it may not. The lab sets it for its producer.
LAB_CONTROL: str = config("LAB_CONTROL", "", str)
LAB_ENVIRONMENT = {**os.environ, "LAB_FOLDER": LAB_CONTROL}
