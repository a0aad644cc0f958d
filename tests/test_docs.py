"""README.md and docs/ say what is so: links, settings, addresses, commands, overrides, alerts, and the tests that they name."""

import ast
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from labapp.lab.__main__ import _parser as lab_parser
from labapp.web.openapi import OPERATIONS
from tests.documents import DOCUMENTS, NOT_RUN, ROOT, Block, blocks, read, section
from tests.test_repository import settings

ALL_BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


def prose(document: str) -> str:
    """The text without its blocks."""
    return re.sub(r"^```.*?^```", "", read(document), flags=re.MULTILINE | re.DOTALL)


# -- links


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: str, text: str) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links(document: str) -> None:
    """Each link to a file of the repository finds it, and its anchor is a heading there."""
    assert broken_links(document, prose(document)) == []


def test_a_broken_link_is_noticed() -> None:
    """A file that is not there, and a heading that is not there."""
    links = "[a](docs/nothing.md) [b](docs/design.md#nothing) [c](docs/design.md#limits) [d](#limits)"

    assert broken_links("README.md", links) == ["docs/nothing.md", "docs/design.md#nothing"]


def test_every_document_is_linked() -> None:
    """README.md leads to each document, directly."""
    assert [document for document in DOCUMENTS[1:] if f"]({document})" not in read("README.md")] == []


# -- tables


def test_settings() -> None:
    """docs/settings.md lists each setting, and its default."""
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \|([^|]*)\|", read("docs/settings.md"), re.MULTILINE))
    known = settings()

    assert rows.keys() == known.keys()
    wrong = {name: (rows[name].strip(), default) for name, default in known.items() if f"`{default}`" not in rows[name]}
    assert not wrong, "what the table says, and what is so"


def test_addresses() -> None:
    """docs/http-api.md has each address with its method, and none that is not there."""
    named = {(method.lower(), path) for method, path in re.findall(r"`(GET|POST) (/[^`? ]*)", read("docs/http-api.md"))}

    assert named - {("get", "/table/"), ("get", "/router/")} == {(one.method, one.path) for one in OPERATIONS}


def test_overrides() -> None:
    """docs/design.md has a row for each module of labapp/patched, and says why."""
    rows = dict(re.findall(r"^\| \[`(\w+\.py)`\].*\|.*\| (.+) \|$", section("docs/design.md", "Overrides"), re.MULTILINE))

    assert rows.keys() == {path.name for path in (ROOT / "labapp" / "patched").glob("*.py")} - {"__init__.py"}


def test_alerts() -> None:
    """docs/operations.md has a row for each alert of docs/alerts.yaml."""
    rows = re.findall(r"^\| `(\w+)` \|", section("docs/operations.md", "Alert"), re.MULTILINE)

    assert rows == [rule["alert"] for group in yaml.safe_load(read("docs/alerts.yaml"))["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_tests_that_are_named(document: str) -> None:
    """A test that a document names is there."""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read(document)):
        functions = {node.name for node in ast.walk(ast.parse(read(path))) if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{path}::{name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named(document: str) -> None:
    """A path in the repository that a document names is there."""
    named = re.findall(r"`((?:labapp|tests|docs|bench)/[\w/.-]*)`", prose(document))

    assert [path for path in named if not (ROOT / path).exists()] == []


# -- commands


def commands(text: str) -> list[str]:
    """The words behind each command of ours: `make`, `python -m labapp.lab`, `faust -A labapp.app`."""
    return re.findall(r"(?<![\w-])((?:make|(?:venv/bin/)?python -m labapp\.lab|faust -A labapp\.app)(?: [\w=./:-]+)*)", text)


def problem_of(command: str) -> str | None:
    """Why a command can't be run as it is written; None if it can."""
    targets = re.search(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)[1].split()
    known = set(re.findall(r"^class (\w+)\(Command\)", read("labapp/commands.py"), re.MULTILINE)) | {"worker"}
    match command.split():
        case ["make", *words]:
            return next((f"no target {word}" for word in words if "=" not in word and word not in targets), None)
        case ["faust", "-A", _, name, *_]:
            return None if name in known else f"no command {name}"
        case [_, "-m", "labapp.lab", *words] if words:
            try:
                lab_parser().parse_args(words)
            except SystemExit:
                return "the lab refuses it"
    return None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_the_text(document: str) -> None:
    """A command that stands in a line of text is one that there is."""
    named = [command for code in re.findall(r"`([^`\n]+)`", prose(document)) for command in commands(code) if code.startswith(command)]

    assert [(command, problem) for command in named if (problem := problem_of(command))] == []


def test_a_wrong_command_is_noticed() -> None:
    """A target, a name of the lab and a command that are not there."""
    wrong = ["make tea", "venv/bin/python -m labapp.lab brew consumer", "faust -A labapp.app rewinds"]

    assert [bool(problem_of(command)) for command in wrong] == [True] * 3
    assert [problem_of(command) for command in ("make test", "python -m labapp.lab kill broker-1", "faust -A labapp.app rewind")] == [
        None
    ] * 3


def test_the_guides_commands() -> None:
    """What the page tells people to type stands in a document as well."""
    typed = re.findall(r"<pre>([^<]+)</pre>", read("labapp/static/index.html"))

    assert "make run" in typed
    texts = [read(document) for document in DOCUMENTS]
    assert [command for command in typed if not any(command in text for text in texts)] == []


def missing_sections(page: str) -> list[str]:
    """The page's links to documents that lead nowhere. A link names its section by the heading's line, as a text fragment."""
    missing = []
    for name, fragment in re.findall(r'href="/static/(docs/[^"#]+)(?:#:~:text=([^"]+))?"', page):
        lines = read(name).splitlines() if (ROOT / name).exists() else []
        if not lines or (fragment and unquote(fragment) not in lines):
            missing.append(f"{name} {unquote(fragment)}")
    return missing


def test_the_guides_links() -> None:
    """Each step of the guide leads to a section of a document, and the section is there."""
    page = read("labapp/static/index.html")
    steps = re.split("<li data-step=", page.split("</aside>")[0])[1:]

    assert len(steps) > 10
    assert [step[:20] for step in steps if "/static/docs/" not in step and not step.startswith(('"stop"', '"four"'))] == []
    assert missing_sections(page) == []


def test_a_missing_section_is_noticed() -> None:
    links = 'href="/static/docs/nothing.md" href="/static/docs/operations.md#:~:text=%23%23%20Nothing" href="/static/docs/design.md"'

    assert missing_sections(links) == ["docs/nothing.md ", "docs/operations.md ## Nothing"]


def test_blocks_that_are_not_run_are_listed() -> None:
    """tests/integration/test_docs.py runs each block of shell commands, but those that are listed with a reason."""
    left_out = [(word, block.first_line) for block in ALL_BLOCKS if not block.is_run for word in sorted(block.words)]

    assert sorted(left_out) == sorted((word, line) for word, (_, lines) in NOT_RUN.items() for line in lines)


@pytest.mark.parametrize("block", ALL_BLOCKS, ids=lambda block: f"{block.document}: {block.first_line[:40]}")
def test_every_block_is_shell(block: Block) -> None:
    """bash can read it, and so can who pastes it: no prompts, no output, nothing left to fill in."""
    read_ = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True)

    assert read_.returncode == 0, read_.stderr
    assert not re.search(r"^[$>] |…|\.\.\.|<\w+>", block.text, re.MULTILINE)


def test_the_readme_is_short() -> None:
    """It is read at one sitting; all else is in docs/."""
    assert len(Path(ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 125
