"""The page's scripts: what each folder may import and do, and that every script is used."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

STATIC = Path(__file__).parent.parent / "labapp" / "static"
SCRIPTS = {
    path.relative_to(STATIC).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(STATIC.rglob("*.js"))
    if "vendor" not in path.relative_to(STATIC).parts
}
# What a script of each folder may import. "" is main.js, which wires the others together, and theme.js.
MAY_IMPORT = {"": {"state", "ask", "draw"}, "state": {"state"}, "ask": {"state", "ask"}, "draw": {"state", "draw"}}
# What makes a script one that draws, or one that asks: only its own folder's scripts, and main.js, have it.
DRAWS = r"\bdocument\b|\bcreateElement\b|\baddEventListener\(|\.append\(|\.replaceChildren\("
ASKS = r"\bfetch\(|\bEventSource\b|\bXMLHttpRequest\b|\bWebSocket\b|\bsendBeacon\b"

# `import {one, two as three} from "./file.js";` or `import * as file from "./file.js";`, over several lines too
IMPORT = re.compile(r"""^import\s+(?P<names>\{[^}]*\}|\*\s+as\s+(?P<namespace>\w+))\s+from\s+["'](?P<file>[^"']+)["'];$""", re.MULTILINE)
EXPORT = re.compile(r"^export\s+(?:async\s+)?(?:function\*?|class|const|let)\s+(\w+)", re.MULTILINE)


def imports(script: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each import of a script, and the file it names, relative to the folder `static`."""
    for found in IMPORT.finditer(SCRIPTS[script]):
        yield found, (STATIC / script).parent.joinpath(found["file"]).resolve().relative_to(STATIC.resolve()).as_posix()


def folder(script: str) -> str:
    return script.rpartition("/")[0]


def test_every_import_is_understood() -> None:
    """The tests below see every import: each has one of the two forms, and no script imports or exports in another way."""
    for script, text in SCRIPTS.items():
        code = re.sub(r"//.*", "", text)
        assert len(re.findall(r"\bimport\b", code)) == len(IMPORT.findall(text)), script
        assert len(re.findall(r"\bexport\b", code)) == len(EXPORT.findall(text)), script
    assert sum(len(IMPORT.findall(text)) for text in SCRIPTS.values()) > len(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_imports_go_in_one_direction(script: str) -> None:
    """`state` imports only `state`; `ask` and `draw` also import `state`, but never each other; nothing imports `main.js`."""
    assert folder(script) in MAY_IMPORT, "a new folder needs a line in MAY_IMPORT"
    for _, file in imports(script):
        assert file in SCRIPTS, f"{script} imports {file}, which is no script of the page"
        assert folder(file) in MAY_IMPORT[folder(script)], f"{script} imports {file}"


@pytest.mark.parametrize("script", SCRIPTS)
def test_folders_say_what_scripts_do(script: str) -> None:
    """Only `draw` touches the document, and only `ask` sends requests. `main.js` has the page's own elements too, and sends nothing."""
    if folder(script) in ("state", "ask"):
        assert re.findall(DRAWS, SCRIPTS[script]) == []
    if folder(script) != "ask":
        assert re.findall(ASKS, SCRIPTS[script]) == []


def test_every_script_is_reached() -> None:
    """The page loads each script: `index.html` names it, or a script that is loaded imports it."""
    named = re.findall(r'<script src="/static/([^"]+)"', (STATIC / "index.html").read_text(encoding="utf-8"))
    assert [file for file in named if not (STATIC / file).is_file()] == []

    waiting = [file for file in named if file in SCRIPTS]
    reached: set[str] = set()
    while waiting:
        script = waiting.pop()
        if script not in reached:
            reached.add(script)
            waiting += [file for _, file in imports(script)]

    assert sorted(SCRIPTS.keys() - reached) == []


def test_every_imported_name_is_exported_and_used() -> None:
    """A script imports only names that the other one exports, and every export is used by another script."""
    exported = {(script, name) for script, text in SCRIPTS.items() for name in EXPORT.findall(text)}
    used = set()
    for script, text in SCRIPTS.items():
        for found, file in imports(script):
            if found["namespace"]:
                names = re.findall(rf"\b{found['namespace']}\.(\w+)", IMPORT.sub("", text))
            else:
                names = [name.split(" as ")[0].strip() for name in found["names"].strip("{}").split(",")]
            used |= {(file, name) for name in names}

    assert used - exported == set()
    assert exported - used == set()
