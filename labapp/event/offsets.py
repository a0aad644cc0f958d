"""Offsets by partition as text (`partition:offset,...`), for the cursors of pages and the ids of streamed rows; and commits of offsets."""

import re
from typing import TypedDict

Offsets = dict[int, int]


class Commit(TypedDict):
    """A commit of the offsets from `first` to before `next`. The coordinator confirmed it at `time_us`."""

    first: int
    next: int
    time_us: int


PATTERN = r"\d{1,9}:\d{1,18}(,\d{1,9}:\d{1,18})*"
_OFFSETS = re.compile(PATTERN, re.ASCII)


def parse(text: str) -> Offsets:
    """Raises ValueError for text that `to_text` did not write."""
    if not _OFFSETS.fullmatch(text):
        raise ValueError(f"{text!r} is not partition:offset,...")
    return {int(partition): int(offset) for partition, _, offset in (part.partition(":") for part in text.split(","))}


def to_text(offsets: Offsets) -> str:
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()))
