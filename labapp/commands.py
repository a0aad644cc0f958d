"""Commands beside `worker`, each ending with one sentence and exit code 1 where it can't do its work."""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar, NoReturn

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.cli.base import AppCommand, option

from labapp import cluster, dead_letters, settings
from labapp.app import declare


class Command(AppCommand):
    """Not run as Faust runs a command, inside a worker: that would log, and take a second to end."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            asyncio.run(self.work(**self.kwargs))
        except cluster.Unsuitable as exc:
            raise SystemExit(f"{exc}.") from None
        raise SystemExit(0)

    def work(self, **options: Any) -> Coroutine[Any, Any, None]:
        raise NotImplementedError


class release(Command):  # the class's name is the command's
    """Make the topics that are missing and check those that exist. Harmless when run again."""

    async def work(self) -> None:
        for topic, partitions in (await declare()).items():
            self.say(f"{topic}: {partitions} partitions")


class resend(Command):
    """Send dead letters again, to the topic and partition they came from: those chosen by their place in the dead-letter topic, or all."""

    options: ClassVar = [
        option("--place", "places", multiple=True, metavar="PARTITION:OFFSET", help="One of them; may be given several times."),
        option("--all", "every", is_flag=True, help="All of them."),
        option("--dry-run", is_flag=True, help="Only say what would be sent."),
    ]

    async def work(self, places: tuple[str, ...], every: bool, dry_run: bool) -> None:
        if bool(places) == every:
            raise SystemExit("Say which dead letters: --place PARTITION:OFFSET, or --all.")
        async with cluster.admin_client():  # says in a sentence if no broker answers
            pass
        async with AIOKafkaConsumer(**cluster.connection()) as consumer:
            letters = {f"{letter.partition}:{letter.offset}": letter for letter in await dead_letters.read(consumer)}
        if unknown := [place for place in places if place not in letters]:
            raise SystemExit(f"There is no dead letter at {', '.join(unknown)} of {settings.DEAD_LETTER_TOPIC}.")
        chosen = {place: letter for place, letter in letters.items() if every or place in places}
        if strangers := [place for place, letter in chosen.items() if not dead_letters.is_ours(letter)]:
            raise SystemExit(f"{', '.join(strangers)} of {settings.DEAD_LETTER_TOPIC} does not say where it came from: nothing was sent.")
        if not dry_run:
            async with AIOKafkaProducer(**cluster.connection(), acks="all", max_request_size=2_500_000) as producer:
                await dead_letters.send_again(producer, chosen.values())
        self.say(f"{len(chosen)} dead letters {'would be sent' if dry_run else 'sent'} again: {', '.join(chosen) or 'there are none'}.")
