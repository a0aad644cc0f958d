"""The code of pinned libraries that labapp/patched overrides or relies on is as it was read."""

import hashlib
import inspect
from typing import Any

import aiokafka
import pytest
from aiohttp import web_app, web_server, web_urldispatcher
from aiohttp.web import AppRunner, FileResponse
from aiohttp.web_protocol import RequestHandler
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.app import BootStrategy
from faust.app.router import Router
from faust.cli import worker as worker_command
from faust.streams import Stream
from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.conductor import ConductorCompiler
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.web.apps import router, tables
from faust.web.drivers.aiohttp import Web
from mode import Service
from mode.threads import QueueServiceThread, ServiceThread

# The text of what labapp/patched and labapp/kafka/connection.py override, call or rely on, by its hash, in the pinned versions.
READ = {
    BootStrategy.producer_only: "72a52b298643",
    Consumer.getmany: "4b168d84882a",
    Consumer._wait_next_records: "6218e1969a63",
    Consumer._drain_messages: "44a2500309e8",
    Consumer._new_offset: "1d2c7ea89a7a",
    Consumer._filter_tps_with_pending_acks: "f6f923977423",
    Consumer._should_commit: "5ce941793947",
    Consumer.commit: "a354437baaa0",
    Consumer._commit_offsets: "1a6979904118",
    Consumer.ack: "5fcf41cf4515",
    Consumer.perform_seek: "0e8c130ff4b0",
    Consumer.pause_partitions: "27a1c94bdacd",
    Consumer.resume_partitions: "afe6b7c02a41",
    Consumer.resume_flow: "db59630f25b5",
    Consumer._set_active_tps: "401f4dc88319",
    Consumer.on_buffer_full: "c8961679e0bc",
    Consumer.on_partitions_assigned: "29ce96596f05",
    Consumer.on_partitions_revoked: "d04b7ae72c6f",
    ThreadDelegateConsumer.seek_to_committed: "f1d483b861b0",
    driver.Consumer._to_message: "7c24f6511b2f",
    driver.AIOKafkaConsumerThread.getmany: "26fc5fc9f3b6",
    driver.AIOKafkaConsumerThread._fetch_records: "39a2c6c79fc1",
    driver.AIOKafkaConsumerThread._create_worker_consumer: "c2701bfc3e6f",
    driver.AIOKafkaConsumerThread.on_thread_stop: "8dfc004e258b",
    ServiceThread: "327e312386fa",
    QueueServiceThread: "219c18b1f499",
    Service.stop: "e17cd2b6bd01",
    driver.Producer._new_producer: "e72355c3430e",
    DefaultSchedulingStrategy: "93e70bad15f8",
    ConductorCompiler: "f8bedb3d7dc2",
    Collection.on_rebalance: "0812ad692171",
    Recovery: "a652ef029484",
    Router: "5d4c8619e063",
    router.TableDetail: "9531050c9086",
    router.TableKeyDetail: "ea74931dc9c2",
    tables.TableDetail: "1ee39dbf90e4",
    tables.TableKeyDetail: "0526ee91c225",
    Stream.noack: "921a6f5c674d",
    aiokafka.AIOKafkaProducer.send_batch: "bf42b0f0c5c0",
    Fetcher.fetched_records: "be4348896b9b",
    Fetcher._create_fetch_waiter: "61d840568746",
    Fetcher._notify: "d3a30d94f34f",
    Fetcher.seek_to: "f0ba6aba6c22",
    AIOKafkaClient.bootstrap: "198943b004e5",
    AIOKafkaClient._metadata_update: "06dc51ed3e0d",
    AIOKafkaConnection.connect: "b0f9ba7f0cf6",
    AIOKafkaConnection.send: "5909ea32f4ef",
    AIOKafkaConnection._handle_frame: "46a7d9b8cf7c",
    AIOKafkaAdminClient._send_request: "1ed126f126dd",
    AIOKafkaAdminClient.__init__: "2598ace9015c",
    AIOKafkaConsumer.__init__: "01506f316191",
    GroupCoordinator._do_heartbeat: "dc1d6632aaa6",
    GroupCoordinator._start_heartbeat_task: "358d0cfad997",
    GroupCoordinator._heartbeat_routine: "61d010289522",
    GroupCoordinator.ensure_active_group: "33c84c1a9301",
    SubscriptionState.fetch_context: "ff2a654dca23",
    SubscriptionState.fetcher_idle_time.fget: "45289bef04d7",
    driver.Producer._ensure_producer: "5592a4bbdf25",
    TableManager.recovery.fget: "f0bf5de78b4c",
    TableManager.on_start: "365dd25fbc0e",
    TableManager._update_channels: "88e3941facc9",
    worker_command.worker.on_worker_created: "ea70b48f55a6",
    Service.start: "d2f2f9e03f52",
    Service.wait_first: "feade6a31f8a",
    web_urldispatcher._default_expect_handler: "bfb7969f618f",
    Web.__init__: "52b00c1bd653",
    AppRunner.__init__: "0193207d4c8f",
    web_app.Application._make_handler: "63e4c1bdd0e8",
    web_server.Server: "8c9d06ee1abd",
    RequestHandler.connection_made: "44d50b5763b2",
    RequestHandler.connection_lost: "df2fe6e95fd0",
    RequestHandler._handle_request: "a88a34ee65a2",
    FileResponse._sendfile: "d1549234e2cd",
}


@pytest.mark.parametrize("what", READ, ids=lambda what: f"{what.__module__}.{what.__qualname__}")
def test_what_is_overridden_is_as_it_was_read(what: Any) -> None:
    """Another version of Faust or aiokafka is taken over only after a look at each change."""
    text = inspect.getsource(what)

    assert hashlib.sha256(text.encode()).hexdigest()[:12] == READ[what], (
        f"{what.__qualname__} of {what.__module__} is not as labapp was written for: "
        "compare both, run `make faults`, then put the new hash here."
    )
