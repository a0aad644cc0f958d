"""Answers of many rows leave the loop to others."""

import asyncio

from labapp.web import answers


def test_one_a_turn_of_the_loop() -> None:
    """However many requests have much to do at once, others have a turn between any two of them."""
    order = list[str]()

    async def request() -> None:
        async with answers.own_turn():
            order.append("request")

    async def other() -> None:
        while True:
            order.append("other")
            await asyncio.sleep(0)

    async def all_at_once() -> None:
        others = asyncio.create_task(other())
        await asyncio.gather(*(request() for _ in range(10)))
        others.cancel()

    asyncio.run(all_at_once())

    assert order.count("request") == 10
    assert "request,request" not in ",".join(order)


def test_a_list_leaves_in_parts() -> None:
    """They are the JSON text of the whole, and its length is right; the loop has a turn between them."""

    async def parts(items: list[bytes]) -> list[bytes]:
        return [part async for part in answers._parts(b"[", items, b"]")]

    for items in ([], [b"1"], [b"1", b"2"], [b'"%s"' % (b"x" * answers.PART_BYTES)] * 3):
        found = asyncio.run(parts(items))
        response = answers.json_list_response(b"[", items, b"]")
        assert b"".join(found) == b"[" + b",".join(items) + b"]"
        assert response.content_length == len(b"".join(found))
        assert len(found) == (4 if len(items) == 3 else 1)
