"""From a posted event to its acknowledgement: sends one record until all in-sync replicas have it."""

import asyncio
import logging

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata
from faust.exceptions import NotReady

from labapp import settings
from labapp.app import kafka_producer
from labapp.observe import logs, tracing
from labapp.web.answers import Refused

log = logging.getLogger(__name__)


class NotAcknowledged(Refused):
    """Kafka did not acknowledge the event in time. The event may be in the topic nevertheless."""


class Posts:
    """The posts that are under way, at most `most` at once. `with` counts one more. It raises Refused if there are too many."""

    def __init__(self, most: int) -> None:
        self.most, self.under_way = most, 0

    def __enter__(self) -> None:
        if self.under_way >= self.most:
            raise Refused(503, f"{self.under_way} posts are under way, and this worker takes no more at once.", retry_after_seconds=1)
        self.under_way += 1

    def __exit__(self, *exc_info: object) -> None:
        self.under_way -= 1


POSTS = Posts(settings.POSTS_UNDER_WAY)


@tracing.sent
async def produce(topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> RecordMetadata:
    """Sends a record until it is acknowledged. Raises Refused: 503 after PRODUCE_TIMEOUT_SECONDS, 413 for a record that is too large.

    After a 503 the record may be in the topic nevertheless, once or twice. Sent again with the same key, the event shows once.
    """
    with POSTS:
        try:
            async with asyncio.timeout(settings.PRODUCE_TIMEOUT_SECONDS):
                while True:
                    try:
                        # app.producer.send does the same, but costs a tenth of the throughput.
                        return await (await kafka_producer().send(topic, value, key, headers=headers))
                    except MessageSizeTooLargeError:
                        raise Refused(413, f"The record is too large for the topic {topic}.") from None
                    except (KafkaError, NotReady):
                        await asyncio.sleep(0.1)
        except TimeoutError:
            sentence = "Kafka did not acknowledge the event in time: send it again with the same Idempotency-Key."
            log.debug(sentence, extra=logs.about(headers))
            raise NotAcknowledged(503, sentence, retry_after_seconds=1) from None
