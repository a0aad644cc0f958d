"""The commands by which a person makes what this client may not make: Heroku's, or Kafka's own."""

import shlex
from collections.abc import Mapping

from labapp import settings

# Heroku refuses a smaller replication factor.
HEROKU_COPIES_LEAST = 3


def topic(name: str, partitions: int, config: Mapping[str, str]) -> str:
    """The command that makes a topic. Of `config`, Heroku's command takes only compaction."""
    if settings.KAFKA_URL:
        copies = max(settings.KAFKA_REPLICATION, HEROKU_COPIES_LEAST)
        command = f"heroku kafka:topics:create {_unprefixed(name)} --partitions {partitions} --replication-factor {copies}"
        return f"{command} --compaction" if config.get("cleanup.policy") == "compact" else command
    options = ["--create", "--topic", name, "--partitions", str(partitions), "--replication-factor", str(settings.KAFKA_REPLICATION)]
    options += [word for setting, value in config.items() for word in ("--config", f"{setting}={value}")]
    return shlex.join(["kafka-topics.sh", "--bootstrap-server", settings.KAFKA_BOOTSTRAP_SERVERS[0], *options])


def group(name: str) -> list[str]:
    """The command that makes a group. Only Heroku's shared plans need it, which set a prefix."""
    return [f"heroku kafka:consumer-groups:create {_unprefixed(name)}"] if settings.KAFKA_URL and settings.KAFKA_PREFIX else []


def _unprefixed(name: str) -> str:
    """The name without the prefix, which Heroku adds itself."""
    return name.removeprefix(settings.KAFKA_PREFIX)
