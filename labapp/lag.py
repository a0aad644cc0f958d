"""The group's lag. Every worker asks the brokers for it, so that it can be watched even while no consumer runs."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from aiohttp import web

from labapp import settings
from labapp.app import app
from labapp.event.stages import now_us
from labapp.kafka.overview import Away, Group, Observer, Overview, Progress, TooSlow
from labapp.topics import CHANGELOG, TOPICS

LOOK_SECONDS = 5.0
# How long the brokers may take to tell the ages of all partitions.
AGES_SECONDS = 1.0

# For the first topic, the observer also describes the groups.
OBSERVER = Observer(list(dict.fromkeys([settings.KAFKA_TOPIC, *(topic.name for topic in TOPICS), CHANGELOG])))


class LagWatch:
    """`latest` is this worker's group at the last look. It is None if no broker answered."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._lock = asyncio.Lock()
        self._kept: tuple[Overview, Overview] | None = None  # the observer's last overview, without and with ages
        self.latest: Group | None = None

    async def watch(self) -> None:
        while True:
            self.latest = await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> Group | None:
        try:
            groups = (await self.overview()).groups
        except Away:
            return None
        return next((group for group in groups if group.name == settings.CONSUMER_GROUP), None)

    async def overview(self) -> Overview:
        """The observer's overview, with the age of the oldest waiting event in each partition of this worker's group. Raises Away."""
        async with self._lock:
            overview = await self._observer.overview()
            if self._kept is None or self._kept[0] is not overview:
                groups = [await self._with_ages(group) if group.name == settings.CONSUMER_GROUP else group for group in overview.groups]
                self._kept = overview, replace(overview, groups=groups)
            return self._kept[1]

    async def _with_ages(self, group: Group) -> Group:
        partitions = list(group.partitions)
        with suppress(TimeoutError, Away, TooSlow):  # then the remaining ages stay unknown
            async with asyncio.timeout(AGES_SECONDS):
                for index, one in enumerate(partitions):
                    partitions[index] = replace(one, oldest_seconds=await self._oldest_seconds(one))
        return replace(group, partitions=partitions)

    async def _oldest_seconds(self, one: Progress) -> float | None:
        if not one.lag:
            return None if one.lag is None else 0.0
        since_us = await self._observer.appended_us(settings.KAFKA_TOPIC, one.partition, one.committed or 0)
        return None if since_us is None else max(0.0, (now_us() - since_us) / 1e6)


LAG = LagWatch(OBSERVER)
app.task(LAG.watch)


async def _close(_: web.Application) -> None:
    await OBSERVER.close()


app.web.web_app.on_shutdown.append(_close)  # type: ignore[attr-defined]
