"""The group's lag, asked of the brokers by every worker, so that it can be watched while no consumer runs: it rises then."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from labapp import settings
from labapp.app import app
from labapp.event.stages import now_us
from labapp.kafka.overview import Away, Group, Observer, TooSlow
from labapp.topics import CHANGELOG, TOPICS

LOOK_SECONDS = 5.0

# Of the first topic the groups are told as well.
OBSERVER = Observer(list(dict.fromkeys([settings.KAFKA_TOPIC, *(topic.name for topic in TOPICS), CHANGELOG])))


@dataclass(frozen=True)
class PartitionLag:
    partition: int
    records: int
    oldest_seconds: float  # how long the oldest record that waits has been in the topic; 0 if none waits


@dataclass(frozen=True)
class GroupLag:
    group: str
    members: int
    partitions: list[PartitionLag]


class LagWatch:
    """`latest` is the lag as of the last look; None if no broker answered it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.latest: GroupLag | None = None

    async def watch(self) -> None:
        while True:
            self.latest = await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> GroupLag | None:
        try:
            groups = (await self._observer.overview()).groups
            group = next((group for group in groups if group.name == settings.CONSUMER_GROUP), None)
            return None if group is None else GroupLag(group.name, len(group.members), await self._partitions(group))
        except (Away, TooSlow):
            return None

    async def _partitions(self, group: Group) -> list[PartitionLag]:
        found = []
        for one in group.partitions:
            if one.lag is not None:
                since_us = await self._observer.appended_us(settings.KAFKA_TOPIC, one.partition, one.committed or 0) if one.lag else None
                found.append(PartitionLag(one.partition, one.lag, max(0.0, (now_us() - since_us) / 1e6) if since_us is not None else 0.0))
        return found


LAG = LagWatch(OBSERVER)
app.task(LAG.watch)


async def _close(_: web.Application) -> None:
    await OBSERVER.close()


app.web.web_app.on_shutdown.append(_close)  # type: ignore[attr-defined]
