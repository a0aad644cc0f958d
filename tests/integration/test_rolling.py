"""A restart behind a load balancer: the worker stops to be ready, then pauses, then ends; so no request is refused."""

import asyncio
import signal
from collections.abc import Callable

from tests.faults.load import send
from tests.faults.outcome import Outcome
from tests.rolling.balancer import balancer
from tests.rolling.restart import Restarted
from tests.worker import PATIENCE, Worker, free_port, wait_for

StartWorker = Callable[..., Worker]

BALANCER_SECONDS = 1.0  # how often it looks


def test_a_restart_of_one_of_two_producers(start_worker: StartWorker) -> None:
    """No post is refused if the pause is longer than the load balancer needs."""
    assert refused_in_a_restart(start_worker, 2 * BALANCER_SECONDS * PATIENCE, BALANCER_SECONDS) == 0


def test_a_restart_that_the_load_balancer_does_not_notice(start_worker: StartWorker) -> None:
    """The control: without a pause, and with a balancer that looks once an hour, posts are refused."""
    assert refused_in_a_restart(start_worker, pause_seconds=0, looks_every_seconds=3600) > 0


def refused_in_a_restart(start_worker: StartWorker, pause_seconds: float, looks_every_seconds: float) -> int:
    ports = [free_port(), free_port()]
    producers = [
        Restarted("producer", lambda port=port: start_worker(ROLE="producer", PORT=port, STOP_PAUSE_SECONDS=pause_seconds))
        for port in ports
    ]
    for producer in producers:
        producer.awaited()
    outcome, over = Outcome(), asyncio.Event()

    async def restart_under_load() -> None:
        async with balancer(ports, looks_every_seconds) as front:
            sender = asyncio.create_task(send(front.url, 100, outcome, over))
            await asyncio.sleep(BALANCER_SECONDS)
            await asyncio.to_thread(producers[0].restart)
            await asyncio.sleep(2 * BALANCER_SECONDS)
            over.set()
            await sender

    asyncio.run(restart_under_load())
    [restart] = producers[0].restarts
    assert restart.code == 0
    assert restart.to_end_seconds >= pause_seconds
    assert len(outcome.acknowledged) + outcome.refused == len(outcome.posted) > 100
    return outcome.refused


def test_a_worker_that_is_told_to_stop(start_worker: StartWorker) -> None:
    """It is not ready at once, and still takes events, on connections that it closes. A second signal ends the pause."""
    worker = start_worker(STOP_PAUSE_SECONDS=60).ready()
    worker.process.send_signal(signal.SIGTERM)

    ready = wait_for(lambda: (answer := worker.get("/health/ready")).status == 503 and answer, "not ready")
    assert ready.json["reasons"] == ["This worker was told to stop."]
    posted = worker.post({"id": 1})
    assert (posted.status, posted.headers["Connection"]) == (200, "close")
    wait_for(lambda: worker.get(f"/events/{posted.json['key']}").status == 200, "its row")
    assert worker.get("/health/live").status == 200

    assert worker.stop() == 0
