"""Requests that nobody who means well sends: each is refused with a sentence, and none is an error of the worker's own."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.unit.served import Served, served


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.mark.parametrize(
    "number",
    ["0000000019999", "00000000199999999", "0" * 4400, "1" * 4400, "0", "1001", "-1", "+1", "1_0", " 1", "\u0661", "1e1", ""],
    ids=lambda number: f"{number[:12]}-{len(number)}",
)
@pytest.mark.parametrize("address", ["/events?limit=", "/stages?window=", "/records?partition=0&limit=", "/dead-letters?limit="])
def test_a_number_is_checked_as_a_whole(address: str, number: str, worker: Served) -> None:
    """What is checked is what is used: leading zeros don't hide the digits behind them, and thousands of digits are not read."""
    refused = worker.get(address + quote(number))

    assert refused.status == 400
    assert "must be a whole number from 1 to" in refused.json["error"]


@pytest.mark.parametrize(
    "path",
    ["/static/%00", "/static/" + "x" * 300, "/static/main.js%00", "/static/" + "x/" * 999,
     "/static/%2e%2e/settings.py", "/static/../app.py", "/static/docs/../README.md", "/static/docs/alerts.yaml",
     "/static//etc/passwd", "/static/%2fetc/passwd", "/static/%ff"],
    ids=lambda path: path[:30],
)  # fmt: skip
def test_no_file_of_that_name(path: str, worker: Served) -> None:
    """404, whether or not the file system takes such a name."""
    refused = worker.get(path)

    assert refused.status == 404
    assert refused.json == {"error": "There is nothing at this address."}
    assert "Traceback" not in worker.log


def test_every_file_of_the_page_is_served(worker: Served) -> None:
    """The page itself, what it loads, and the documents to which it links."""
    assert worker.get("/", Accept="text/html").status == 200
    assert worker.get("/static/main.js").headers.get_content_type() == "text/javascript"
    assert worker.get("/static/docs/operations.md").headers.get_content_type() == "text/plain"
