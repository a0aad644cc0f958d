"""Which keys have a row, asked for many at once."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from labapp.web.shapes import KEYS_MAX
from tests.unit.records import Record
from tests.unit.served import Served, served

KEYS = ["a", "b & c", "é"]


def have_rows() -> None:
    """Three rows, one of them in another partition."""
    from labapp.app import app, event_table
    from labapp.event.row import row_of
    from labapp.event.rows import Rows

    async def record(_: object) -> None:
        for partition, keys in enumerate((KEYS[:2], KEYS[2:])):
            records = [Record(key=key.encode(), partition=partition, offset=offset) for offset, key in enumerate(keys)]
            event_table.owned[partition] = Rows(dict(row_of(one, 1_764_000_000_000_000) for one in records))

    app.web.web_app.on_startup.append(record)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), have_rows) as found:
        yield found


def test_many_keys_at_once(worker: Served) -> None:
    """Those that have a row are told with the place of their record, whichever characters they have."""
    answer = worker.get("/keys?" + "&".join(f"key={quote(key)}" for key in [*KEYS, "nothing"]))

    assert answer.status == 200
    assert answer.json == {
        "rows": {"a": {"partition": 0, "offset": 0}, "b & c": {"partition": 0, "offset": 1}, "é": {"partition": 1, "offset": 0}}
    }


@pytest.mark.parametrize("query", ["", "?partition=0", "?" + "&".join(["key=a"] * (KEYS_MAX + 1))])
def test_so_many_keys_and_no_more(worker: Served, query: str) -> None:
    """Without a key, or with too many, the request is refused."""
    assert worker.get(f"/keys{query}").status == 400
