"""What a client makes of brokers that hang, and of brokers that go away one after the other."""

import asyncio
import os
import signal
import time

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection

from labapp.lab import BROKERS, processes
from labapp.patched import aiokafka_timeouts as brokers
from tests import topics
from tests.conftest import Kafka
from tests.worker import PATIENCE

_EVER = 300_000  # aiokafka's own for metadata_max_age_ms


@pytest.fixture(autouse=True)
def given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "connect", brokers.connect)
    monkeypatch.setattr(AIOKafkaConnection, "send", brokers.send)
    monkeypatch.setattr(AIOKafkaClient, "_metadata_update", brokers.metadata_update)


async def connected(bootstrap: str) -> AIOKafkaClient:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000, metadata_max_age_ms=_EVER)
    await client.bootstrap()
    assert await client.force_metadata_update()
    return client


def known(client: AIOKafkaClient) -> int:
    return len(client.cluster.brokers())


@pytest.mark.usefixtures("all_brokers_up")
def test_a_broker_that_hangs_is_not_waited_for(kafka: Kafka) -> None:
    """The other one is asked in time. Which of them is first is drawn, so it is done often enough to have met the frozen one."""
    pid = {status.name: status.pid for status in processes.statuses(kafka.lab)}[BROKERS[0]]
    assert pid is not None

    async def longest() -> float:
        client = await connected(kafka.bootstrap)
        os.kill(pid, signal.SIGSTOP)
        try:
            longest = 0.0
            for _ in range(10):
                began = time.monotonic()
                assert await client.force_metadata_update()
                longest = max(longest, time.monotonic() - began)
            return longest
        finally:
            os.kill(pid, signal.SIGCONT)
            await client.close()

    assert asyncio.run(longest()) < (2 * brokers.ANSWER_SECONDS + 1) * PATIENCE


@pytest.mark.usefixtures("all_brokers_up")
def test_the_cluster_is_found_again(kafka: Kafka, names: dict[str, str]) -> None:
    """The last answer knew one broker only; now that one is gone, and the other is back. On the way no topic seems to be gone."""
    topic = names["KAFKA_TOPIC"]
    topics.make(kafka.bootstrap, topic, 2)
    seen: list[set[int] | None] = []

    async def find() -> None:
        client = await connected(kafka.bootstrap)
        try:
            await client.set_topics([topic])
            client.cluster.add_listener(lambda cluster: seen.append(cluster.partitions_for_topic(topic)))
            await asyncio.to_thread(processes.stop, kafka.lab, BROKERS[0])
            while known(client) != 1:
                await client.force_metadata_update()
            await asyncio.to_thread(processes.start, kafka.lab, BROKERS[0], lambda text: None)
            await asyncio.to_thread(processes.stop, kafka.lab, BROKERS[1])
            assert known(client) == 1, "it has asked meanwhile, so this shows nothing"
            async with asyncio.timeout(10 * PATIENCE):
                while not await client.force_metadata_update():
                    await asyncio.sleep(0.1)
        finally:
            await client.close()

    asyncio.run(find())
    assert seen
    assert all(partitions == {0, 1} for partitions in seen), seen
