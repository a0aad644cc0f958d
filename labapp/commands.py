"""Commands beside `worker`. A command that fails prints one sentence and ends with exit code 1."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any, ClassVar, NoReturn

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError
from faust.cli.base import AppCommand, option

from labapp import settings
from labapp.app import app
from labapp.consume import dead_letters
from labapp.kafka import admin, connection
from labapp.kafka.admin import Topic, Unsuitable
from labapp.kafka.connection import Admin
from labapp.topics import CHANGELOG, NOT_KNOWN, TOPICS, changelog, declare, ensure_as_many


class Command(AppCommand):
    """A command that runs without a worker. Faust would run it inside one, which logs and takes a second to end."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            asyncio.run(self.work(**self.kwargs))
        except Unsuitable as exc:
            raise settings.cant_start(str(exc)) from None
        raise SystemExit(0)

    # Takes the options. A SystemExit that it raises ends the program.
    work: Callable[..., Coroutine[Any, Any, None]]


class release(Command):  # the class's name is the command's
    """Make the topics that are missing and check those that exist. Harmless when run again."""

    async def work(self) -> None:
        for topic, partitions in (await declare()).items():
            self.say(f"{topic}: {partitions} partitions")


class check(Command):
    """Say whether a worker with these settings would start, without making or changing anything."""

    async def work(self) -> None:
        wrong = False
        async with admin.admin_client() as client:
            brokers = (await client.describe_cluster())["brokers"]
            self.say(f"Connected to {', '.join('{host}:{port}'.format(**broker) for broker in brokers)}.")
            found: dict[str, int | None] = {}
            for topic in _all_topics(found):
                try:
                    found[topic.name] = await admin.look_at(client, topic)
                    partitions = found[topic.name]
                    state = "is missing, and a worker makes it" if partitions is None else f"is there, with {partitions} partitions"
                    self.say(f"The topic {topic.name} {state}.")
                    if partitions and topic.name == CHANGELOG and (warning := await _about_changelog(client)):
                        self.say(warning)
                except Unsuitable as exc:
                    wrong = True
                    self.say(str(exc))
        try:
            if (partitions := found.get(settings.KAFKA_TOPIC)) and (of_changelog := found.get(CHANGELOG)):
                ensure_as_many(partitions, of_changelog)
            if settings.CONSUMES:
                await admin.check_group(settings.CONSUMER_GROUP, app.assignor.name)  # type: ignore[attr-defined]
                self.say(f"The group {settings.CONSUMER_GROUP} can be joined.")
        except Unsuitable as exc:
            wrong = True
            self.say(str(exc))
        if wrong:
            raise SystemExit("A worker would not start.")
        self.say("A worker would start.")


def _all_topics(found: dict[str, int | None]) -> Iterator[Topic]:
    """All topics. The changelog comes last, with as many partitions as `found` has for the source topic."""
    yield from TOPICS
    if settings.CONSUMES:
        yield changelog(found.get(settings.KAFKA_TOPIC) or settings.KAFKA_PARTITIONS)


async def _about_changelog(client: Admin) -> str | None:
    """A warning about the changelog's settings, if they are poor but let a worker start."""
    configs = await admin.configs(client, [CHANGELOG])
    if CHANGELOG not in configs:
        return NOT_KNOWN
    if configs[CHANGELOG].get("message.timestamp.type") == "LogAppendTime":
        return None
    return (
        f"The topic {CHANGELOG} keeps the client's time, so recorded_us is null: "
        "set its message.timestamp.type=LogAppendTime, and later rows have it."
    )


class rewind(Command):
    """Move the group's committed offsets in all partitions of the topic. No worker of the group may run."""

    options: ClassVar = [  # type: ignore[misc]  # Faust declares it as an instance attribute
        option("--to", required=True, metavar="PLACE", help="beginning, end, an offset, or a time such as 2026-01-31T12:00:00Z."),
        option("--dry-run", is_flag=True, help="Only say how many events would be delivered again."),
    ]

    async def work(self, to: str, dry_run: bool) -> None:
        target = target_of(to)
        again = skipped = 0
        async with admin.admin_client() as client:
            await admin.ensure_no_members(client, settings.CONSUMER_GROUP)
            committed = await client.list_consumer_group_offsets(settings.CONSUMER_GROUP)
            # This consumer commits for the group without joining it, which Kafka allows while the group has no members.
            async with AIOKafkaConsumer(**connection.options(), group_id=settings.CONSUMER_GROUP, enable_auto_commit=False) as consumer:
                tps = [TopicPartition(settings.KAFKA_TOPIC, number) for number in await admin.partitions_of(client, settings.KAFKA_TOPIC)]
                if not tps:
                    raise Unsuitable(f"There is no topic {settings.KAFKA_TOPIC}")
                consumer.assign(tps)
                consumer.pause(*tps)
                first, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
                targets = await offsets_at(consumer, target, first, end)
                for tp in tps:
                    now = max(committed[tp].offset if tp in committed else -1, first[tp])
                    again, skipped = again + max(0, now - targets[tp]), skipped + max(0, targets[tp] - now)
                    self.say(f"{tp.topic} {tp.partition}: from {now} to {targets[tp]}")
                if not dry_run:
                    try:
                        await consumer.commit(targets)
                    except CommitFailedError:
                        raise Unsuitable(f"A worker of the group {settings.CONSUMER_GROUP} has just started: nothing is changed") from None
        verb = "would be" if dry_run else "will be"
        and_skipped = f", and {skipped} {verb} skipped" if skipped else ""
        self.say(f"{again} events {verb} delivered again{and_skipped}.")


Offsets = dict[TopicPartition, int]


def target_of(text: str) -> str | int | datetime:
    """The target that the option --to names. Raises SystemExit."""
    if text in ("beginning", "end"):
        return text
    if text.isdecimal():
        return int(text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SystemExit(f"--to {text!r} can't be used: give beginning, end, an offset, or a time such as 2026-01-31T12:00:00Z.") from None


async def offsets_at(consumer: AIOKafkaConsumer, target: str | int | datetime, first: Offsets, end: Offsets) -> Offsets:
    """The offset of each partition at that target, between its first and its next offset."""
    match target:
        case "beginning":
            return first
        case int():
            return {tp: min(max(target, first[tp]), end[tp]) for tp in first}
        case datetime():
            found = await consumer.offsets_for_times(dict.fromkeys(first, int(target.timestamp() * 1000)))
            return {tp: found[tp].offset if found[tp] else end[tp] for tp in first}
    return end


class resend(Command):
    """Send chosen dead letters, or all of them, back to the topic and partition that they came from."""

    options: ClassVar = [  # type: ignore[misc]  # Faust declares it as an instance attribute
        option(
            "--place",
            "ids",
            multiple=True,
            metavar="PARTITION:OFFSET",
            help="One dead letter; may be given several times.",
        ),
        option("--all", "every", is_flag=True, help="All of them."),
        option("--value", metavar="TEXT", help="Another value for the one dead letter that --place names."),
        option("--dry-run", is_flag=True, help="Only say what would be sent."),
    ]

    async def work(self, ids: tuple[str, ...], every: bool, value: str | None, dry_run: bool) -> None:
        if bool(ids) == every:
            raise SystemExit("Say which dead letters: --place PARTITION:OFFSET, or --all.")
        if value is not None and len(ids) != 1:
            raise SystemExit("--value needs exactly one --place.")
        async with admin.admin_client() as client, AIOKafkaConsumer(**connection.options()) as consumer:
            partitions = await admin.partitions_of(client, settings.DEAD_LETTER_TOPIC)
            letters = {f"{letter.partition}:{letter.offset}": letter for letter in await dead_letters.read(consumer, partitions)}
        if unknown := [one for one in ids if one not in letters]:
            raise SystemExit(f"There is no dead letter at {', '.join(unknown)} of {settings.DEAD_LETTER_TOPIC}.")
        chosen = {one: letter for one, letter in letters.items() if every or one in ids}
        if strangers := [one for one, letter in chosen.items() if not dead_letters.is_ours(letter)]:
            raise SystemExit(f"Nothing was sent: {', '.join(strangers)} of {settings.DEAD_LETTER_TOPIC} does not say where it came from.")
        if value is not None:
            chosen = {one: dataclasses.replace(letter, value=value.encode()) for one, letter in chosen.items()}
        if not dry_run:
            async with AIOKafkaProducer(**connection.options(), acks="all", max_request_size=connection.REQUEST_BYTES_MAX) as producer:
                await dead_letters.send_again(producer, chosen.values())
        self.say(f"{len(chosen)} dead letters {'would be sent' if dry_run else 'sent'} again: {', '.join(chosen) or 'there are none'}.")
