"""Every setting. Its value comes from the environment, else from `.env` in the current folder, else from the default here.

A value that can't be used ends the program with one sentence that names the setting.
"""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from decouple import AutoConfig

# By default decouple searches for .env upwards from the calling file. It would miss the user's file once this package is installed.
_config = AutoConfig(search_path=os.getcwd())


def config(name: str, default: Any, cast: Callable[[str], Any], secret: bool = False) -> Any:
    """The setting `name`, as `cast` reads its text. If `cast` raises a ValueError, the program ends with a sentence that quotes the error.

    That sentence does not show the value of a `secret` setting.
    """
    text = str(_config(name, default=default)).strip()
    try:
        return cast(text)
    except ValueError as exc:
        shown = name if secret else f"{name}={text!r}"
        raise cant_start(f"The setting {shown} can't be used: {exc}.") from None


def cant_start(sentence: str) -> SystemExit:
    """The exception to raise if this program can't start. It prints only the sentence, in the format that LOG_FORMAT names."""
    as_json = str(_config("LOG_FORMAT", default="text")).strip() == "json"
    line = {"time": datetime.now(UTC).isoformat(), "level": "CRITICAL", "logger": __name__, "message": sentence}
    return SystemExit(json.dumps(line) if as_json else sentence)


def one_of(*words: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if text not in words:
            raise ValueError(f"it must be one of {', '.join(words)}")
        return text

    return cast


def number(least: int, most: int) -> Callable[[str], int]:
    def cast(text: str) -> int:
        if not re.fullmatch(r"\d{1,15}", text) or not least <= int(text) <= most:
            raise ValueError(f"it must be a whole number from {least} to {most}")
        return int(text)

    return cast


def seconds(least: float, most: float) -> Callable[[str], float]:
    def cast(text: str) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?", text) or not least <= float(text) <= most:
            raise ValueError(f"it must be a number of seconds from {least:g} to {most:g}")
        return float(text)

    return cast


def switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text.lower() == "true"


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def kafka_name(text: str) -> str:
    """A name that Kafka allows for a topic (org.apache.kafka.common.internals.Topic). This app requires the same of a group's name."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", text) or text in (".", ".."):
        raise ValueError("it must have 1 to 200 letters, digits, dots, dashes or underscores")
    return text


def kafka_names(text: str) -> list[str]:
    return [kafka_name(word) for word in words(text)]


def kafka_prefix(text: str) -> str:
    return kafka_name(text) if text else ""


def prefixed(name: str) -> str:
    return name if name.startswith(KAFKA_PREFIX) else KAFKA_PREFIX + name


def servers(text: str) -> list[str]:
    found = words(text)
    for server in found:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("it must be a list of host:port, separated by commas")
    if not found:
        raise ValueError("it names no broker")
    return found


def urls(text: str) -> list[str]:
    """Brokers as Heroku gives them: kafka+ssl://host:port,kafka+ssl://host:port, or the same with kafka://."""
    found = words(text)
    for scheme in ("kafka+ssl://", "kafka://"):
        if all(url.startswith(scheme) for url in found):
            if found:
                servers(text.replace(scheme, ""))
            return found
    raise ValueError("it must be a list of kafka+ssl://host:port, or of kafka://host:port, separated by commas")


def token(text: str) -> str:
    if not re.fullmatch(r"[!-~]*", text):
        raise ValueError("it must be printable ASCII without spaces")
    return text


def address(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        raise ValueError("it must be an address such as http://localhost:4318")
    return text


def origins(text: str) -> list[str]:
    found = words(text)
    for origin in found:
        if not re.fullmatch(r"https?://[^/\s*]+", origin):
            raise ValueError("it must be a list of origins such as http://localhost:3000, without a path and without *")
    return found


def hosts(text: str) -> list[str]:
    found = [word.lower() for word in words(text)]
    if not all(re.fullmatch(r"\*|[a-z0-9._-]+|\[[0-9a-f:.]+\]", host) for host in found):
        raise ValueError("it must be a list of names such as lab.example.com, without scheme and port, or *")
    return [host.strip("[]") for host in found]


class Consumer(NamedTuple):
    name: str | None
    url: str


def consumers(text: str) -> list[Consumer]:
    found = []
    for word in words(text):
        name, equals, url = word.rpartition("=")
        if equals and not re.fullmatch(r"[a-z0-9-]+", name):
            raise ValueError("a name before = must have only lower-case letters, digits and dashes")
        found += [Consumer(name or None, origin) for origin in origins(url)]
    return found


# -- the workshop's five settings

# The brokers to ask first. Any of them may be down, and the cluster itself names the others.
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

# -- the security of the connection to Kafka; security.py checks that these fit together

KAFKA_SECURITY_PROTOCOL: str = config("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT", one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"))
# The user, with SASL_PLAINTEXT or SASL_SSL.
KAFKA_SASL_MECHANISM: str = config("KAFKA_SASL_MECHANISM", "PLAIN", one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
KAFKA_SASL_USERNAME: str = config("KAFKA_SASL_USERNAME", "", str)
KAFKA_SASL_PASSWORD: str = config("KAFKA_SASL_PASSWORD", "", str, secret=True)
# For SSL or SASL_SSL: the brokers' CA (empty: this machine's CAs), our certificate and its key. Each is a path or PEM text.
KAFKA_SSL_CA: str = config("KAFKA_SSL_CA", "", str)
KAFKA_SSL_CERT: str = config("KAFKA_SSL_CERT", "", str)
KAFKA_SSL_KEY: str = config("KAFKA_SSL_KEY", "", str, secret=True)
# Whether a broker's certificate must have the name by which the broker is reached.
KAFKA_SSL_CHECK_HOSTNAME: bool = config("KAFKA_SSL_CHECK_HOSTNAME", "true", switch)

# -- Heroku sets these itself, the certificates and the key as PEM text

# Replaces KAFKA_BOOTSTRAP_SERVERS and KAFKA_SECURITY_PROTOCOL.
KAFKA_URL: list[str] = config("KAFKA_URL", "", urls, secret=True)
KAFKA_TRUSTED_CERT: str = config("KAFKA_TRUSTED_CERT", "", str)
KAFKA_CLIENT_CERT: str = config("KAFKA_CLIENT_CERT", "", str)
KAFKA_CLIENT_CERT_KEY: str = config("KAFKA_CLIENT_CERT_KEY", "", str, secret=True)
# Put before the name of each topic and of the group, unless the name already begins with it.
KAFKA_PREFIX: str = config("KAFKA_PREFIX", "", kafka_prefix)

if KAFKA_URL:
    KAFKA_BOOTSTRAP_SERVERS = [url.partition("://")[2] for url in KAFKA_URL]
    KAFKA_SECURITY_PROTOCOL = "SSL" if KAFKA_URL[0].startswith("kafka+ssl:") else "PLAINTEXT"
    if KAFKA_SECURITY_PROTOCOL == "SSL" and KAFKA_TRUSTED_CERT:
        KAFKA_SSL_CA, KAFKA_SSL_CERT, KAFKA_SSL_KEY = KAFKA_TRUSTED_CERT, KAFKA_CLIENT_CERT, KAFKA_CLIENT_CERT_KEY
        # Heroku's brokers have certificates with other names than their own. Only the CA tells that they are the right brokers.
        KAFKA_SSL_CHECK_HOSTNAME = False

KAFKA_TOPIC, CONSUMER_GROUP = prefixed(KAFKA_TOPIC), prefixed(CONSUMER_GROUP)

# -- topics

# For topics that the app makes: the number of partitions, and of replicas of each partition (never more than there are brokers).
KAFKA_PARTITIONS: int = config("KAFKA_PARTITIONS", 2, number(1, 10_000))
KAFKA_REPLICATION: int = config("KAFKA_REPLICATION", 2, number(1, 100))
# The topic for records that can't be recorded.
DEAD_LETTER_TOPIC: str = config("DEAD_LETTER_TOPIC", "dlq", kafka_name)
# Further topics that a posted event may name in its field `topic`.
PRODUCER_TOPICS: list[str] = config("PRODUCER_TOPICS", "", kafka_names)

DEAD_LETTER_TOPIC, PRODUCER_TOPICS = prefixed(DEAD_LETTER_TOPIC), [prefixed(name) for name in PRODUCER_TOPICS]

# -- the table

# How many rows are kept of each partition, and how many bytes of rows. The newest are kept.
ROWS_KEPT: int = config("ROWS_KEPT", 10_000, number(1, 10_000_000))
ROWS_KEPT_BYTES: int = config("ROWS_KEPT_BYTES", 64 * 1024 * 1024, number(1024, 1 << 40))

# -- time-outs

# How long a start waits for Kafka before it gives up.
START_TIMEOUT_SECONDS: float = config("START_TIMEOUT_SECONDS", 30, seconds(1, 600))
# How long one request to a broker may take. After that the client gives up a broker that hangs or whose host is gone.
KAFKA_REQUEST_TIMEOUT_SECONDS: float = config("KAFKA_REQUEST_TIMEOUT_SECONDS", 4, seconds(1, 120))
# How long a POST waits for the acknowledgement before it answers 503.
PRODUCE_TIMEOUT_SECONDS: float = config("PRODUCE_TIMEOUT_SECONDS", 10, seconds(1, 120))
# How long the consumer retries while none of its partitions can be written. Then it ends itself to be started again.
RECORD_TIMEOUT_SECONDS: float = config("RECORD_TIMEOUT_SECONDS", 30, seconds(1, 600))
# How long it retries while only one of its partitions can't be written. The other partitions go on meanwhile.
PARTITION_TIMEOUT_SECONDS: float = config("PARTITION_TIMEOUT_SECONDS", 600, seconds(1, 86_400))
# How long a worker may make no progress in joining, restoring or recording. Then it ends itself to be started again.
STUCK_TIMEOUT_SECONDS: float = config("STUCK_TIMEOUT_SECONDS", 60, seconds(5, 3600))
# How long a worker may send no heartbeat before other workers get its partitions. By default brokers allow no less than 6 s.
KAFKA_SESSION_TIMEOUT_SECONDS: float = config("KAFKA_SESSION_TIMEOUT_SECONDS", 6, seconds(1, 300))

# How long a worker goes on after SIGTERM before it stops. It is not ready meanwhile, so proxies send their requests elsewhere.
STOP_PAUSE_SECONDS: float = config("STOP_PAUSE_SECONDS", 0, seconds(0, 600))
# How long a clean stop may take after that pause. Then the worker ends at once. Platforms allow 5 to 30 s for both.
STOP_TIMEOUT_SECONDS: float = config("STOP_TIMEOUT_SECONDS", 4.5, seconds(0.1, 600))

# -- the log

# The format of the log: text for people, or a JSON object a line for programs.
LOG_FORMAT: str = config("LOG_FORMAT", "text", one_of("text", "json"))

# -- tracing

# Where spans are sent by OTLP over HTTP, such as http://localhost:4318. Empty: no tracing. Needs requirements-otel.txt.
OTEL_EXPORTER_OTLP_ENDPOINT: str = config("OTEL_EXPORTER_OTLP_ENDPOINT", "", address)
# The name of this worker in spans.
OTEL_SERVICE_NAME: str = config("OTEL_SERVICE_NAME", "labapp", str)

# -- HTTP

# The token that a request must send as `Authorization: Bearer ...`. Empty: no token is needed.
API_TOKEN: str = config("API_TOKEN", "", token, secret=True)
# Which requests need the token: those that change anything, or all except those for health and for the page's files.
API_TOKEN_FOR: str = config("API_TOKEN_FOR", "changes", one_of("changes", "everything"))
if API_TOKEN_FOR == "everything" and not API_TOKEN:
    raise cant_start("The setting API_TOKEN_FOR='everything' can't be used: API_TOKEN is not set.")
# The address that HTTP listens on; `faust worker --web-bind` beats it.
WEB_BIND: str = config("WEB_BIND", "127.0.0.1", str)
# The name by which the group's other workers reach this one. Empty: the bound address, or the host's name if all are bound.
WEB_HOST: str = config("WEB_HOST", "", str)
# Further names, without ports, that the header Host of a request may have. *: any name, for workers behind a proxy that checks names.
ALLOWED_HOSTS: list[str] = config("ALLOWED_HOSTS", "", hosts)
# Pages of these origins may call this worker from a browser. The page of the local lab lives on port 5000.
CORS_ORIGINS: list[str] = config("CORS_ORIGINS", "http://localhost:3000,http://localhost:5000,http://127.0.0.1:5000", origins)
# How many posts may be under way at once. Further posts are answered 503.
POSTS_UNDER_WAY: int = config("POSTS_UNDER_WAY", 1000, number(1, 100_000))
# The HTTP addresses of the other workers, for the page. Each may have a name: name=http://localhost:8000.
CONSUMERS: list[Consumer] = config("CONSUMERS", "http://localhost:8000,http://localhost:8001,http://localhost:8002", consumers)
# The folder of the local lab whose processes the page may stop, start and kill. Empty: none. The lab sets it for its producer.
LAB_CONTROL: str = config("LAB_CONTROL", "", str)
# The file by which the local lab slows a consumer down, for an experiment. Empty: none. The lab sets it for its consumers.
LAB_SLOW: str = config("LAB_SLOW", "", str)
LAB_ENVIRONMENT = {**os.environ, "LAB_FOLDER": LAB_CONTROL}
