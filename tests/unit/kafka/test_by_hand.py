"""The commands that a start without the right to make topics prints."""

from pathlib import Path

from tests.unit.apart import ROOT, python

COMMANDS = """
from labapp import settings
from labapp.kafka import by_hand
from labapp.topics import TOPICS, changelog

for topic in (*TOPICS, changelog(settings.KAFKA_PARTITIONS)):
    print(by_hand.topic(topic.name, topic.partitions, topic.config))
print(*by_hand.group(settings.CONSUMER_GROUP))
"""


def commands(folder: Path, **environment: str) -> list[str]:
    done = python(folder, "-c", COMMANDS, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_herokus_are_those_of_the_documents(tmp_path: Path) -> None:
    """With Heroku's settings they are those of docs/operations.md: no prefix, which Heroku adds, and not fewer copies than it takes."""
    said = commands(tmp_path, KAFKA_URL="kafka+ssl://broker.example:9096", KAFKA_PREFIX="team-7.")

    assert said == [line for line in (ROOT / "docs/operations.md").read_text().splitlines() if line.startswith("heroku kafka:")]
    assert len(said) == 4


def test_no_prefix_no_group(tmp_path: Path) -> None:
    """Only shared plans, which give a prefix, want groups to be made. Copies are as many as the setting says."""
    said = commands(tmp_path, KAFKA_URL="kafka+ssl://broker.example:9096", KAFKA_REPLICATION="5")

    assert said[0] == "heroku kafka:topics:create first-topic --partitions 2 --replication-factor 5"
    assert said[-1] == ""


def test_kafkas_own(tmp_path: Path) -> None:
    """Elsewhere they are commands of Kafka's, with all that the app would set."""
    said = commands(tmp_path, KAFKA_BOOTSTRAP_SERVERS="broker.example:9092", KAFKA_PARTITIONS="4")

    begin = "kafka-topics.sh --bootstrap-server broker.example:9092 --create --topic"
    assert said[0] == f"{begin} first-topic --partitions 4 --replication-factor 2 --config message.timestamp.type=LogAppendTime"
    changelog = f"{begin} first-group-events-changelog --partitions 4 --replication-factor 2 --config cleanup.policy=compact"
    assert said[2].startswith(changelog)
    assert said[-1] == ""
