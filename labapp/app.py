"""The Faust app: its settings, its topic, its table, and the modules that it loads."""

import logging
import tempfile
from pathlib import Path
from typing import cast

import faust
from aiohttp_cors import ResourceOptions
from aiokafka import AIOKafkaProducer

from labapp import settings
from labapp.event.record import BODY_BYTES_MAX
from labapp.event.row import recorded_at
from labapp.kafka import security
from labapp.kafka.connection import BATCH_BYTES_MAX, METADATA_MAX_AGE_MS, REQUEST_BYTES_MAX
from labapp.observe import logs, tracing
from labapp.patched import aiohttp_server, aiokafka_group, aiokafka_timeouts, faust_worker
from labapp.patched.faust_batches import BatchSchema
from labapp.patched.faust_boot import ProducerFirst
from labapp.patched.faust_recovery import RetriedTableManager
from labapp.patched.faust_router import Router
from labapp.patched.faust_table import BatchTable
from labapp.patched.faust_transport import BatchTransport, OpenProducer
from labapp.topics import TABLE
from labapp.web import callers, middleware
from labapp.worker import STOPPING, Worker

aiokafka_timeouts.give_up_in_time()
aiokafka_group.remember_heartbeats()


def _own_names() -> tuple[str, str]:
    """The names by which other workers and programs reach this worker. They are known once it starts."""
    return app.conf.web_host, app.conf.web_bind


app = faust.App(
    settings.CONSUMER_GROUP,
    broker=[f"kafka://{server}" for server in settings.KAFKA_BOOTSTRAP_SERVERS],
    broker_credentials=security.credentials(),
    # Faust loads these in random order (faust/app/base.py, discover), so no module may need another of them to be loaded first. Each
    # module is listed, because Faust only logs an import error if it is given the package.
    autodiscover=[
        "labapp.views.root",
        "labapp.views.health",
        "labapp.views.events",
        "labapp.views.events_stream",
        "labapp.views.offsets",
        "labapp.views.stages",
        "labapp.views.status",
        "labapp.views.cluster",
        "labapp.views.metrics",
        "labapp.views.openapi",
        "labapp.views.page",
        "labapp.views.lab",
        "labapp.commands",
        *(["labapp.consume.agent"] if settings.CONSUMES else []),
    ],
    env_prefix="FAUST",  # else WEB_PORT, BROKER_URL and others in the environment would override these arguments
    datadir=Path(tempfile.gettempdir()) / "labapp",  # Faust requires it, but stores nothing there
    store="memory://",
    Worker=Worker,
    Router=Router,
    Schema=BatchSchema,
    Table=BatchTable,
    TableManager=RetriedTableManager,
    logging_config=logs.config(),
    worker_redirect_stdouts=False,
    # Kafka
    broker_client_id="labapp",
    broker_request_timeout=max(settings.KAFKA_REQUEST_TIMEOUT_SECONDS, settings.KAFKA_SESSION_TIMEOUT_SECONDS),  # Faust wants no less
    broker_session_timeout=settings.KAFKA_SESSION_TIMEOUT_SECONDS,
    broker_heartbeat_interval=settings.KAFKA_SESSION_TIMEOUT_SECONDS / 4,
    broker_commit_interval=0.2,
    consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
    producer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
    producer_acks=-1,
    producer_linger=0,
    producer_request_timeout=settings.KAFKA_REQUEST_TIMEOUT_SECONDS,
    producer_max_batch_size=BATCH_BYTES_MAX,
    producer_max_request_size=REQUEST_BYTES_MAX,
    # streams
    stream_buffer_maxsize=8,  # batches
    stream_wait_empty=False,
    table_standby_replicas=0,
    topic_disable_leader=True,
    # HTTP
    web_bind=settings.WEB_BIND,
    web_port=settings.PORT,
    web_application_options={
        "middlewares": [
            middleware.closing_once(STOPPING.is_set),
            *tracing.MIDDLEWARES,
            middleware.errors_as_json,
            callers.host_checked(_own_names),
            *([callers.token_checked] if settings.API_TOKEN else []),
        ],
        "client_max_size": BODY_BYTES_MAX,
    },
    web_cors_options={
        origin: ResourceOptions(allow_headers="*", allow_methods="*", expose_headers="*") for origin in settings.CORS_ORIGINS
    },
)
app.transport = BatchTransport(app.conf.broker_consumer, app)
app.producer_only = not settings.CONSUMES
app.boot_strategy = ProducerFirst(app)
aiohttp_server.take_over(app)

source = app.topic(settings.KAFKA_TOPIC, internal=True)
event_table = cast(BatchTable, app.Table(TABLE, help="One row an event: what it was, and when it passed each stage.", stamp=recorded_at))

logs.take_over()
if logs.JSON:
    faust_worker.print_no_banner()
# Until the worker sets up logging, aiokafka's errors would go to the terminal beside the one sentence that we print.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())
# At debug level aiokafka.conn logs everything that is sent, including passwords.
for _noisy in ("aiokafka.conn", "aiokafka.cluster"):
    logging.getLogger(_noisy).setLevel(logging.ERROR)


def kafka_producer() -> AIOKafkaProducer:
    """The client behind `app.producer`, for calls that Faust does not offer. Raises faust.exceptions.NotReady before it is connected."""
    return cast(OpenProducer, app.producer).client()
