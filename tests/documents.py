"""README.md and docs/: their links, their tables, and their blocks of shell commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]

# By the word behind ```sh: why such a block is not run, and the first line of each.
NOT_RUN = {
    "docker": ("It needs a Docker engine.", ["docker compose up --build"]),
    "heroku": ("It needs an app on Heroku.", ["heroku kafka:topics:create first-topic --partitions 2 --replication-factor 3"]),
    "kubernetes": ("It needs a cluster.", ["kubectl apply -k deploy/kubernetes/overlays/example"]),
    "long": (
        "It takes many minutes, or runs the tests that run it.",
        [
            "make test",
            "make check",
            "make faults",
            "venv/bin/python -m tests.faults.soak",
            "make test KAFKA_VERSION=3.9.2 PYTEST_ARGS=tests/integration/test_event_path.py",
        ],
    ),
    "network": ("It asks a package index for newer versions.", ["make requirements UV_ARGS=--upgrade"]),
    "pictures": ("It needs the browser, which tests/browser has to itself.", ["venv/bin/python -m tests.browser.pictures"]),
}
RUN = {"worker", "secured"}


@dataclass(frozen=True)
class Block:
    """A block of shell commands. `words` are those behind ```sh, `section` is the heading above it."""

    document: str
    section: str
    words: frozenset[str]
    text: str

    @property
    def is_run(self) -> bool:
        return self.words <= RUN

    @property
    def first_line(self) -> str:
        return self.text.splitlines()[0]


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> Iterator[Block]:
    section = ""
    for heading, words, text in re.findall(r"^#+ (.+)$|^```sh ?(.*)\n((?:.*\n)*?)```$", read(document), re.MULTILINE):
        section = heading or section
        if text:
            yield Block(document, section, frozenset(words.split()), text)


def section(document: str, heading: str) -> str:
    """The text below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n((?:(?!#).*\n)*)", read(document), re.MULTILINE)
    assert found, f"{document} has no heading {heading}"
    return found[1]


def permissions(column: str, names: dict[str, str]) -> list[tuple[str, str, str]]:
    """What docs/operations.md lists, to produce or to consume: operation, kind and name."""
    names = {**names, "CONSUMER_GROUP-events-changelog": f"{names['CONSUMER_GROUP']}-events-changelog"}
    found = []
    for kind, name, *operations in re.findall(
        r"^\| (Topic|Group) \|([^|]*)\|([^|]*)\|([^|]*)\|$", section("docs/operations.md", "Permissions"), re.MULTILINE
    ):
        [*_, suffix] = re.findall(r"`(-.*?)`", name) or [""]
        words = operations[column == "consume"].split(",")
        found += [(word.strip(), kind, names[re.findall(r"`(.*?)`", name)[0] + suffix]) for word in words if word.strip()]
    assert {kind for _, kind, _ in found} == ({"Topic", "Group"} if column == "consume" else {"Topic"})
    return found
