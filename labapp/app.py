"""All that exists in Kafka for this app, on one screen: the app, its topics, its table; and how a worker starts."""

import gc
import ipaddress
import logging
import os
import socket
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any, cast

import faust
from aiohttp_cors import ResourceOptions
from aiokafka import AIOKafkaProducer
from faust.exceptions import AlreadyConfiguredWarning
from yarl import URL

from labapp import settings
from labapp.event.row import BODY_BYTES_MAX
from labapp.kafka import admin as cluster
from labapp.kafka import security
from labapp.observe import logs, tracing
from labapp.patched import aiokafka_timeouts as brokers
from labapp.patched.faust_batches import BatchSchema, BatchTransport
from labapp.patched.faust_table import BatchTable
from labapp.web import middleware as web

# sysexits.h: how a worker ends that could not go on, to be started again.
EX_SOFTWARE = 70

TABLE = "events"
CHANGELOG = f"{settings.CONSUMER_GROUP}-{TABLE}-changelog"

_PRODUCING = {"Write"} if settings.PRODUCES else set()
_CONSUMING = {"Read"} if settings.CONSUMES else set()
_APPENDED = {"message.timestamp.type": "LogAppendTime"}

TOPICS = [
    cluster.Topic(settings.KAFKA_TOPIC, settings.KAFKA_PARTITIONS, _APPENDED, operations=_PRODUCING | _CONSUMING),
    *(
        cluster.Topic(name, settings.KAFKA_PARTITIONS, _APPENDED, operations=_PRODUCING)
        for name in dict.fromkeys(settings.PRODUCER_TOPICS)
        if name != settings.KAFKA_TOPIC
    ),
    cluster.Topic(
        settings.DEAD_LETTER_TOPIC,
        settings.KAFKA_PARTITIONS,
        {"max.message.bytes": "2097152"},  # a record that a topic took has to fit here with our headers
        operations={"Write"} if settings.CONSUMES else set(),
    ),
]


async def declare() -> dict[str, int]:
    """Makes the topics that are missing, checks those that exist, and tells how many partitions each has.

    Raises cluster.Unsuitable. Harmless when repeated.
    """
    found = await cluster.declare(TOPICS)
    if settings.CONSUMES:
        found |= await cluster.declare([changelog(found[settings.KAFKA_TOPIC])])
        ensure_as_many(found[settings.KAFKA_TOPIC], found[CHANGELOG])
    return found


def changelog(partitions: int) -> cluster.Topic:
    compacted = {"cleanup.policy": "compact"}
    # What is in the newest segment is not compacted, and read at each start: smaller ones, as Kafka Streams has them for its changelogs.
    small = {"segment.bytes": str(50 * 1024 * 1024)}
    # Each row that expires leaves a tombstone, which compaction keeps for a day by default: at 1,000 events/s 86 million, read at each
    # start. A restore that takes longer than this may miss one and keep a row too many: the oldest, which goes with the next batch.
    forgetful = {"delete.retention.ms": str(60 * 1000)}
    return cluster.Topic(CHANGELOG, partitions, compacted | small | forgetful, compacted, {"Read", "Write"})


def ensure_as_many(partitions: int, of_changelog: int) -> None:
    """Raises cluster.Unsuitable unless the table's changelog has as many partitions as the topic."""
    if of_changelog != partitions:
        raise cluster.Unsuitable(
            f"The topic {settings.KAFKA_TOPIC} has {partitions} partitions and the table's changelog {CHANGELOG} has "
            f"{of_changelog}, but they must be as many: use another CONSUMER_GROUP, or delete the changelog"
        )


class Worker(faust.Worker):
    """Checks what it needs before it starts, so that a wrong setting ends it with a sentence and not with a traceback.

    And ends in time: with Kafka away Faust's stop waits for it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **logs.for_worker(kwargs))

    def _schedule_shutdown(self, signal: Any) -> None:
        cut_short = threading.Timer(settings.STOP_TIMEOUT_SECONDS, self._cut_short)
        cut_short.daemon = True
        cut_short.start()
        tracing.give_up_after(0.9 * settings.STOP_TIMEOUT_SECONDS)
        super()._schedule_shutdown(signal)

    def _cut_short(self) -> None:
        self.log.warning("The stop took over %g s and is cut short; nothing is lost.", settings.STOP_TIMEOUT_SECONDS)
        logging.shutdown()
        os._exit(EX_SOFTWARE)

    def execute_from_commandline(self) -> Any:
        conf = self.app.conf
        with warnings.catch_warnings(action="ignore", category=AlreadyConfiguredWarning):  # nothing has used them yet
            conf.web_host = settings.WEB_HOST or _reachable_name(conf.web_bind)
            conf.canonical_url = URL(f"http://{conf.web_host}:{conf.web_port}")
        try:
            with socket.create_server((conf.web_bind, conf.web_port)):
                pass
        except OSError as exc:
            raise settings.cant_start(
                f"HTTP can't listen on {conf.web_bind}:{conf.web_port} ({exc.strerror}): set PORT to a free one."
            ) from None
        try:
            self.loop.run_until_complete(declare())
            if settings.CONSUMES:
                self.loop.run_until_complete(cluster.check_group(settings.CONSUMER_GROUP, self.app.assignor.name))  # type: ignore[attr-defined]
        except cluster.Unsuitable as exc:
            raise settings.cant_start(f"{exc}.") from None
        # What is loaded by now stays, so it need not be looked through again and again; and a batch makes thousands of objects that
        # soon go by themselves. Measured: a fifth of the speed of recording.
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 50)
        super().execute_from_commandline()


def _reachable_name(bound: str) -> str:
    try:
        return socket.gethostname() if ipaddress.ip_address(bound).is_unspecified else bound
    except ValueError:  # a name
        return bound


brokers.give_up_in_time()

_millis = 1000
app = faust.App(
    settings.CONSUMER_GROUP,
    broker=[f"kafka://{server}" for server in settings.KAFKA_BOOTSTRAP_SERVERS],
    broker_credentials=security.credentials(),
    # `/` is produce.py's in every role; what loads the modules has a random order (faust/app/base.py, discover).
    autodiscover=[
        "labapp.produce",
        "labapp.views.events",
        "labapp.views.events_stream",
        "labapp.views.cluster",
        "labapp.views.page",
        "labapp.views.lab",
        "labapp.views.metrics",
        "labapp.views.openapi",
        "labapp.commands",
        *(["labapp.consume.agent"] if settings.CONSUMES else []),
    ],
    env_prefix="FAUST",  # else PORT's cousins in the environment (WEB_PORT, BROKER_URL, ...) would beat what is written here
    datadir=Path(tempfile.gettempdir()) / "labapp",  # nothing is kept there: the table lives in Kafka
    store="memory://",
    Worker=Worker,
    Schema=BatchSchema,
    Table=BatchTable,
    logging_config=logs.config(),
    worker_redirect_stdouts=False,
    # Kafka
    broker_client_id="labapp",
    broker_request_timeout=max(settings.KAFKA_REQUEST_TIMEOUT_SECONDS, settings.KAFKA_SESSION_TIMEOUT_SECONDS),  # Faust wants no less
    broker_session_timeout=settings.KAFKA_SESSION_TIMEOUT_SECONDS,
    broker_heartbeat_interval=settings.KAFKA_SESSION_TIMEOUT_SECONDS / 4,
    broker_commit_interval=0.2,
    # aiokafka asks only the brokers of its last metadata: after a broker's absence that list must not stay short for 5 minutes.
    consumer_metadata_max_age_ms=3 * _millis,
    producer_metadata_max_age_ms=3 * _millis,
    producer_acks=-1,
    producer_linger=0,
    producer_request_timeout=settings.KAFKA_REQUEST_TIMEOUT_SECONDS,
    producer_max_batch_size=1_000_000,  # a batch of rows goes in one; brokers take a little more (message.max.bytes)
    producer_max_request_size=2_500_000,
    # streams
    stream_buffer_maxsize=8,  # batches
    stream_wait_empty=False,
    table_standby_replicas=0,
    topic_disable_leader=True,
    # HTTP
    web_bind=settings.WEB_BIND,
    web_port=settings.PORT,
    web_application_options={
        "middlewares": [*tracing.MIDDLEWARES, web.errors_as_json, *([web.token_checked] if settings.API_TOKEN else [])],
        "client_max_size": BODY_BYTES_MAX,
    },
    web_cors_options={
        origin: ResourceOptions(allow_headers="*", allow_methods="*", expose_headers="*") for origin in settings.CORS_ORIGINS
    },
)
app.transport = BatchTransport(app.conf.broker_consumer, app)
app.producer_only = not settings.CONSUMES
app.web._runner = web.runner(app.web.web_app)  # type: ignore[attr-defined]  # Faust passes no time-outs to it

source = app.topic(settings.KAFKA_TOPIC, internal=True)
events = cast(BatchTable, app.Table(TABLE, help="One row an event: what it was, and when it passed each stage."))

logs.take_over()
# Before the worker sets up logging, aiokafka's errors would go to the terminal beside the one sentence that we say. At debug level
# aiokafka.conn has all that is sent, a password too.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())
for _noisy in ("aiokafka.conn", "aiokafka.cluster"):
    logging.getLogger(_noisy).setLevel(logging.ERROR)


def kafka_producer() -> AIOKafkaProducer:
    """The client behind `app.producer`, for what Faust has no method for. Raises faust.exceptions.NotReady before it is connected."""
    return app.producer._ensure_producer()  # type: ignore[attr-defined]
