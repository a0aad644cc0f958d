"""The lag of a group."""

import pytest

from labapp.kafka.overview import lag


@pytest.mark.parametrize(
    ("committed", "first", "following", "expected"),
    [
        (3, 0, 10, 7),
        (10, 0, 10, 0),
        (None, 0, 10, 10),
        (None, 4, 10, 6),
        (2, 5, 10, 5),  # 2 to 4 were deleted unread
        (12, 0, 10, 0),  # the topic was made anew
        (3, None, None, None),
    ],
)
def test_lag(committed: int | None, first: int | None, following: int | None, expected: int | None) -> None:
    """Never below 0, never counting what was deleted, and unknown where the leader does not answer."""
    assert lag(committed, first, following) == expected
