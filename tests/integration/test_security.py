"""Against a broker that trusts nobody: with what docs/operations.md lists everything works, and what is wrong is said in one sentence."""

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.documents import permissions
from tests.secured import PASSWORDS, Secured
from tests.worker import PATIENCE, Worker, free_port, request, run, wait_for

TOKEN = "a-token-of-its-own-41"
Settings = dict[str, str]


# -- how to get in


def by_password(secured: Secured, user: str = "app", mechanism: str = "PLAIN") -> Settings:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": secured.at("SASL_SSL"),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": PASSWORDS[user],
        "KAFKA_SSL_CA": secured.pem("ca"),
    }


def by_certificate(secured: Secured, name: str = "app") -> Settings:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": secured.at("SSL"),
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CA": secured.pem("ca"),
        "KAFKA_SSL_CERT": secured.pem(name),
        "KAFKA_SSL_KEY": secured.pem(f"{name}-key"),
    }


def as_on_heroku(secured: Secured) -> Settings:
    """The brokers' certificate is made out to another name there, and what is ours comes as text."""
    return {
        "KAFKA_URL": f"kafka+ssl://{secured.at('OTHER_NAME')},kafka+ssl://{secured.at('OTHER_NAME')}",
        "KAFKA_TRUSTED_CERT": Path(secured.pem("ca")).read_text(),
        "KAFKA_CLIENT_CERT": Path(secured.pem("app")).read_text(),
        "KAFKA_CLIENT_CERT_KEY": Path(secured.pem("app-key")).read_text(),
        "KAFKA_PREFIX": "team-7.",
    }


# -- what is allowed


@pytest.fixture
def topics_made(secured: Secured, names: Settings) -> Settings:
    """The topics are there before the app comes, which may not make any."""
    secured.make(names["KAFKA_TOPIC"], names["DEAD_LETTER_TOPIC"])
    secured.make(f"{names['CONSUMER_GROUP']}-events-changelog", cleanup_policy="compact", message_timestamp_type="LogAppendTime")
    return names


@pytest.fixture
def start() -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(*arguments: str, **settings: object) -> Worker:
        workers.append(Worker(arguments, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


# -- what works


def ensure_event_arrives(producer: Worker, consumer: Worker) -> None:
    answer = request(producer.port, "POST", "/", b'{"id": 1}', {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 200, answer
    wait_for(lambda: consumer.get(f"/events/{answer.json['key']}").status == 200, "row")


def ensure_browsers_may_ask(producer: Worker) -> None:
    """A page of an allowed origin may send the token, and may read that it was wrong."""
    page = {"Origin": "http://localhost:3000"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    may = request(producer.port, "OPTIONS", "/", None, page | asked)
    assert may.status == 200
    assert "AUTHORIZATION" in may.headers["Access-Control-Allow-Headers"].upper()
    refused = request(producer.port, "POST", "/", b"{}", page | {"Content-Type": "application/json", "Authorization": "Bearer no"})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, page["Origin"])


def ensure_no_secret(log: str, *texts: str) -> None:
    """None of the texts is in the log; of a longer one no line is."""
    secrets = [line for text in texts for line in text.splitlines() if not line.startswith("-----")]
    for user, password in PASSWORDS.items():
        secrets += [password, f"\\x00{user}", b64encode(password.encode()).decode()]
    assert " DEBUG " in log
    assert [secret for secret in [*secrets, TOKEN] if secret in log] == []


def test_by_password_with_the_rights_of_each_role(secured: Secured, topics_made: Settings, start: Callable[..., Worker]) -> None:
    """Producer and consumer, each with no more than docs/operations.md lists for it, over SASL_SSL; and no secret is in a log."""
    secured.allow("guest", *permissions("produce", topics_made))
    secured.allow("app", *permissions("consume", topics_made))
    common = {**topics_made, "API_TOKEN": TOKEN}

    producer = start("-l", "debug", ROLE="producer", **common, **by_password(secured, "guest", "PLAIN"))
    consumer = start("-l", "debug", ROLE="consumer", **common, **by_password(secured, "app", "SCRAM-SHA-512"))

    ensure_event_arrives(producer.ready(60), consumer.ready(60))
    assert consumer.get("/cluster").json["topics"][0]["name"] == topics_made["KAFKA_TOPIC"]
    assert producer.get("/cluster").status == 200
    assert producer.post({"id": 2}).status == 401
    ensure_browsers_may_ask(producer)
    ensure_no_secret(producer.log + consumer.log)
    assert (producer.stop(), consumer.stop()) == (0, 0)


def test_by_certificate(secured: Secured, topics_made: Settings, start: Callable[..., Worker]) -> None:
    """The whole app over mutual TLS; the page's view of the cluster too."""
    secured.allow("app", *permissions("produce", topics_made), *permissions("consume", topics_made))

    worker = start("-l", "debug", **topics_made, **by_certificate(secured)).ready(60)

    ensure_event_arrives(worker, worker)
    assert [group["name"] for group in worker.get("/cluster").json["groups"]] == [topics_made["CONSUMER_GROUP"]]
    ensure_no_secret(worker.log, Path(secured.pem("app-key")).read_text())
    assert worker.stop() == 0


def test_as_on_heroku(secured: Secured, names: Settings, start: Callable[..., Worker]) -> None:
    """Its own settings, rights and topics are all that it takes, and the log says once what can't be known with them."""
    prefixed = {setting: f"team-7.{name}" for setting, name in names.items()}
    topics_of_heroku(secured, prefixed)
    secured.allow("app", *rights_of_heroku(prefixed))

    worker = start("-l", "debug", **names, **as_on_heroku(secured)).ready(60)

    ensure_event_arrives(worker, worker)
    assert worker.get("/ping").body.decode() == f"pong:{prefixed['CONSUMER_GROUP']}"
    assert worker.get("/cluster").status == 200
    assert worker.log.count(f"DescribeConfigs on the topic {prefixed['CONSUMER_GROUP']}-events-changelog, so") == 1
    ensure_no_secret(worker.log, Path(secured.pem("app-key")).read_text())
    assert worker.stop() == 0


def test_what_is_not_known_on_heroku(secured: Secured, names: Settings, start: Callable[..., Worker]) -> None:
    """No time is made up where topics keep the client's; a row that the changelog does not take is a dead letter; rows are restored."""
    prefixed = {setting: f"team-7.{name}" for setting, name in names.items()}
    topics_of_heroku(secured, prefixed, max_message_bytes="20000")
    secured.allow("app", *rights_of_heroku(prefixed))
    worker = start(**names, **as_on_heroku(secured)).ready(60)

    assert worker.post({"id": 1, "text": "x" * 50_000}, "large").status == 200
    assert worker.post({"id": 2}, "small").status == 200
    small = wait_for(lambda: (answer := worker.get("/events/small")).status == 200 and answer.json, "small row")
    [letter] = wait_for(lambda: worker.get("/dead-letters").json["records"], "dead letter")

    assert [small["stages"][stage] for stage in ("appended_us", "recorded_us")] == [None, None]
    assert (letter["key"], letter["headers"]["reason"].startswith("The changelog refuses the row")) == ("large", True)
    assert worker.stop() == 0
    assert start(**names, **as_on_heroku(secured)).ready(60).get("/events/small").json == small


def topics_of_heroku(secured: Secured, names: Settings, **of_changelog: str) -> None:
    """As its command line makes them: the client's time, and with --compaction still a retention time on shared plans."""
    secured.make(names["KAFKA_TOPIC"], names["DEAD_LETTER_TOPIC"])
    secured.make(f"{names['CONSUMER_GROUP']}-events-changelog", cleanup_policy="compact,delete", retention_ms="86400000", **of_changelog)


def rights_of_heroku(names: Settings) -> list[tuple[str, str, str]]:
    """All that an app may do there."""
    topics = [names["KAFKA_TOPIC"], names["DEAD_LETTER_TOPIC"], f"{names['CONSUMER_GROUP']}-events-changelog"]
    on_topics = [(operation, "Topic", topic) for topic in topics for operation in ("Read", "Write", "Describe")]
    return on_topics + [(operation, "Group", names["CONSUMER_GROUP"]) for operation in ("Read", "Describe")]


# -- what does not


PASSWORD_REFUSED = "does not accept KAFKA_SASL_USERNAME='app' and its password"
REFUSALS: dict[str, tuple[Callable[[Secured], Settings], Settings, str]] = {
    "wrong password": (by_password, {"KAFKA_SASL_PASSWORD": "not-it"}, PASSWORD_REFUSED),
    "wrong password, SCRAM": (lambda s: by_password(s, "app", "SCRAM-SHA-256"), {"KAFKA_SASL_PASSWORD": "not-it"}, PASSWORD_REFUSED),
    "unknown CA": (lambda s: {**by_password(s), "KAFKA_SSL_CA": s.pem("other-ca")}, {}, "it comes from an unknown CA, so set KAFKA_SSL_CA"),
    "expired": (lambda s: {**by_certificate(s), "KAFKA_BOOTSTRAP_SERVERS": s.at("EXPIRED")}, {}, "is not accepted: it has expired"),
    "other name": (lambda s: {**by_certificate(s), "KAFKA_BOOTSTRAP_SERVERS": s.at("OTHER_NAME")}, {}, "it is issued to another name"),
    "no certificate": (by_certificate, {"KAFKA_SSL_CERT": "", "KAFKA_SSL_KEY": ""}, "does not accept a client without a certificate"),
    "stranger": (lambda s: by_certificate(s, "stranger"), {}, "does not accept this client's certificate"),
    "no TLS": (lambda s: {"KAFKA_BOOTSTRAP_SERVERS": s.at("SSL")}, {}, "PROTOCOL=PLAINTEXT may not fit"),
    "no TLS there": (lambda s: {**by_certificate(s), "KAFKA_BOOTSTRAP_SERVERS": s.at("PLAINTEXT")}, {}, "PROTOCOL=SSL may not fit"),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_start_that_is_refused(reason: str, secured: Secured, names: Settings) -> None:
    """One sentence says why, soon, the exit code is 1, and no password is shown."""
    way, changed, sentence = REFUSALS[reason]
    settings = {**names, **way(secured), **changed, "START_TIMEOUT_SECONDS": "2"}

    began = time.monotonic()
    ended = run("worker", "-l", "info", PORT=free_port(), **settings)

    assert time.monotonic() - began < 15 * PATIENCE
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert ended.stderr.strip().count("\n") == 0, ended.stderr
    assert settings.get("KAFKA_SASL_PASSWORD") not in (words := ended.stdout + ended.stderr).split("'"), words


def test_topics_that_it_may_not_make(secured: Secured, names: Settings) -> None:
    """One start says all that is missing, and the commands that make it; nothing else is on stderr."""
    changelog = f"{names['CONSUMER_GROUP']}-events-changelog"

    ended = run("release", **names, **by_password(secured))

    assert ended.returncode == 1
    make = f"  kafka-topics.sh --bootstrap-server {secured.at('SASL_SSL')} --create --topic"
    broker_time = " --config message.timestamp.type=LogAppendTime"
    assert ended.stderr.splitlines() == [
        "Topics are missing, or hidden from this client, and it may not make them (an ACL for Create is missing): "
        f"{names['KAFKA_TOPIC']}, {names['DEAD_LETTER_TOPIC']}, {changelog}. These commands make them:",
        f"{make} {names['KAFKA_TOPIC']} --partitions 2 --replication-factor 2{broker_time}",
        f"{make} {names['DEAD_LETTER_TOPIC']} --partitions 2 --replication-factor 2 --config max.message.bytes=2097152",
        f"{make} {changelog} --partitions 2 --replication-factor 2 --config cleanup.policy=compact --config segment.bytes=52428800"
        f" --config delete.retention.ms=60000{broker_time}",
    ]


def test_topics_that_heroku_has_to_make(secured: Secured, names: Settings) -> None:
    """The commands are Heroku's, with names to which Heroku adds the prefix; the changelog has as many partitions as the topic has."""
    prefixed = {setting: f"team-7.{name}" for setting, name in names.items()}
    secured.make(prefixed["KAFKA_TOPIC"], partitions=3)
    secured.allow("app", *rights_of_heroku(prefixed))

    ended = run("release", **names, **as_on_heroku(secured), KAFKA_PARTITIONS="5")

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[1:] == [
        f"  heroku kafka:topics:create {names['DEAD_LETTER_TOPIC']} --partitions 5 --replication-factor 3",
        f"  heroku kafka:topics:create {names['CONSUMER_GROUP']}-events-changelog --partitions 3 --replication-factor 3 --compaction",
    ]


def test_a_group_that_heroku_has_to_make(secured: Secured, names: Settings) -> None:
    """Without a right on the group `check` says the command that makes it."""
    prefixed = {setting: f"team-7.{name}" for setting, name in names.items()}
    topics_of_heroku(secured, prefixed)
    secured.allow("app", *(right for right in rights_of_heroku(prefixed) if right[1] == "Topic"))

    checked = run("check", **names, **as_on_heroku(secured))

    assert checked.returncode == 1
    assert checked.stdout.splitlines()[-2:] == [
        f"Kafka does not allow this client Read on the group {prefixed['CONSUMER_GROUP']}: an ACL is missing:",
        f"  heroku kafka:consumer-groups:create {names['CONSUMER_GROUP']}",
    ]


@pytest.mark.parametrize(
    ("operation", "kind", "name"),
    [
        ("Write", "topic", "KAFKA_TOPIC"),
        ("Read", "topic", "changelog"),
        ("Read", "group", "CONSUMER_GROUP"),
    ],
)
def test_each_right_is_needed(operation: str, kind: str, name: str, secured: Secured, topics_made: Settings) -> None:
    """Without one of them no worker would start, and `check` says which one it is; it has found all others well."""
    full_name = topics_made.get(name, f"{topics_made['CONSUMER_GROUP']}-events-changelog")
    rights = [*permissions("produce", topics_made), *permissions("consume", topics_made)]
    secured.allow("app", *(right for right in rights if right != (operation, kind.title(), full_name)))

    checked = run("check", **topics_made, **by_password(secured))

    assert checked.returncode == 1
    assert checked.stderr == "A worker would not start.\n"
    assert f"Kafka does not allow this client {operation} on the {kind} {full_name}: an ACL is missing." in checked.stdout
    assert checked.stdout.count("DescribeConfigs") == (name != "changelog"), "which no worker needs"
    assert checked.stdout.count("\n") == 5 + (name != "changelog"), checked.stdout


def test_check_makes_nothing(secured: Secured, names: Settings) -> None:
    """Where topics are missing that a worker would make it says so, again and again."""
    for _ in range(2):
        checked = run("check", KAFKA_BOOTSTRAP_SERVERS=secured.at("PLAINTEXT"), **names)

        assert (checked.returncode, checked.stderr) == (0, "")
        assert checked.stdout.splitlines() == [
            f"Connected to {secured.at('PLAINTEXT')}.",
            f"The topic {names['KAFKA_TOPIC']} is missing, and a worker makes it.",
            f"The topic {names['DEAD_LETTER_TOPIC']} is missing, and a worker makes it.",
            f"The topic {names['CONSUMER_GROUP']}-events-changelog is missing, and a worker makes it.",
            f"The group {names['CONSUMER_GROUP']} can be joined.",
            "A worker would start.",
        ]
