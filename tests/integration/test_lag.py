"""The group's lag as each worker tells it, also while no consumer runs."""

from collections.abc import Callable

from tests.worker import Worker, wait_for

StartWorker = Callable[..., Worker]


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

    start_worker(ROLE="consumer").ready()
    wait_for(lambda: producer.metric("labapp_group_members") == 1, "a member again")
    wait_for(lambda: of_partitions("records") == of_partitions("seconds") == [0, 0], "nothing waits")
