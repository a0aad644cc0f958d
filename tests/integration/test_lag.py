"""The group's lag as each worker tells it, also while no consumer runs."""

from collections.abc import Callable
from typing import Any

from tests.worker import PATIENCE, Worker, wait_for

StartWorker = Callable[..., Worker]


def in_cluster(worker: Worker, group: str) -> dict[str, Any]:
    return next(one for one in worker.get("/cluster").json["groups"] if one["name"] == group)


def ages_in_cluster(worker: Worker, group: str) -> list[float | None]:
    return [one["oldest_seconds"] for one in in_cluster(worker, group)["partitions"]]


def test_lag_rises_while_the_consumer_is_down(names: dict[str, str], start_worker: StartWorker) -> None:
    """A producer tells how many events wait, how long the oldest has waited, and that nobody is there to record them."""
    topic = names["KAFKA_TOPIC"]
    producer, consumer = start_worker(ROLE="producer").ready(), start_worker(ROLE="consumer").ready()

    def of_partitions(name: str) -> list[float]:
        return [producer.metric(f'labapp_group_lag_{name}{{partition="{partition}",topic="{topic}"}}') or 0 for partition in (0, 1)]

    wait_for(lambda: producer.metric("labapp_group_members") == 1, "one member")
    assert consumer.stop() == 0
    for number in range(100):
        producer.post({"id": number})
    wait_for(lambda: sum(of_partitions("records")) == 100, "100 events wait")
    wait_for(lambda: producer.metric("labapp_group_members") == 0, "no member")
    age = max(of_partitions("seconds"))
    assert age > 0
    wait_for(lambda: max(of_partitions("seconds")) > age, "the oldest waits longer")
    group = in_cluster(producer, names["CONSUMER_GROUP"])
    assert sum(one["lag"] for one in group["partitions"]) == 100
    assert group["members"] == []
    assert age < max(one["oldest_seconds"] for one in group["partitions"]) < 60 * PATIENCE

    start_worker(ROLE="consumer").ready()
    wait_for(lambda: producer.metric("labapp_group_members") == 1, "a member again")
    wait_for(lambda: of_partitions("records") == of_partitions("seconds") == [0, 0], "nothing waits")
    wait_for(lambda: ages_in_cluster(producer, names["CONSUMER_GROUP"]) == [0, 0], "nothing waits by /cluster")
