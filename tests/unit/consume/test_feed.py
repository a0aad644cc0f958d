"""What `GET /` hands out, and how open streams learn of news."""

import asyncio

import orjson

from labapp.consume.feed import HANDED_OUT_BYTES_MAX, HANDED_OUT_MAX, Feed
from tests.unit.records import Record


def handed_out(feed: Feed, most: int = HANDED_OUT_MAX, bytes_most: int = 1_000_000) -> list[dict]:
    return [orjson.loads(event) for event in feed.hand_out(most, bytes_most)]


def test_each_event_is_handed_out_once() -> None:
    """What was recorded since the last call comes, oldest first, with the time when it was consumed; then no more."""
    feed = Feed()
    feed.add([("a", Record(b'{"id": 1}'), 1_764_000_000_123_000), ("b", Record(b"{}"), 1_764_000_000_124_000)])
    first = handed_out(feed)

    assert [event.get("id") for event in first] == [1, None]
    assert [event["consumed"][-3:] for event in first] == ["123", "124"]
    assert handed_out(feed) == []


def test_the_oldest_make_room() -> None:
    """However long nobody asks, no more than the newest wait."""
    feed = Feed()
    feed.add((str(number), Record(b'{"id": %d}' % number), 0) for number in range(HANDED_OUT_MAX + 1))
    events = handed_out(feed)

    assert (len(events), events[0]["id"]) == (HANDED_OUT_MAX, 1)


def test_what_waits_has_a_bound_in_bytes() -> None:
    """Large events make room sooner."""
    feed = Feed()
    large = b'{"text":"%s"}' % (b"x" * (HANDED_OUT_BYTES_MAX // 4))
    for number in range(9):
        feed.add([(str(number), Record(large), 0)])

    assert len(handed_out(feed, bytes_most=10**9)) == 3
    assert handed_out(feed) == []


def test_what_is_handed_out_is_bounded() -> None:
    """In number and in bytes; the rest comes at the next call, in order."""
    feed = Feed()
    feed.add((str(number), Record(b'{"id": %d, "text": "%s"}' % (number, b"x" * 1000)), 0) for number in range(10))

    found = [[event["id"] for event in handed_out(feed, most, bytes_most)] for most, bytes_most in ((2, 10**6), (9, 2500), (9, 1), (9, 0))]

    assert found == [[0, 1], [2, 3, 4], [5], []]
    assert [event["id"] for event in handed_out(feed)] == [6, 7, 8, 9]


def test_news_wake_all_who_wait() -> None:
    """Everyone who took the news before they came is woken, and nobody by old ones."""
    feed = Feed()

    async def waiting() -> None:
        before = [feed.news(), feed.news()]
        feed.tell()
        await asyncio.gather(*(news.wait() for news in before))
        assert not feed.news().is_set()

    asyncio.run(waiting())
