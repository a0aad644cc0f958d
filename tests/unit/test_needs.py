"""tests/needs.py fetches what the tests lack, or names the one command to run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).parent.parent.parent


class Machine:
    """Lacks these until a command of `helps` is run. Keeps what was run."""

    def __init__(self, *lacking: str, helps: str = "nothing") -> None:
        self.lacking, self.helps = dict.fromkeys(lacking, "not there"), helps
        self.ran: list[str] = []

    def missing(self) -> dict[str, str]:
        return dict(self.lacking)

    def run(self, command: list[str]) -> bool:
        self.ran.append(" ".join(command).replace(sys.executable, "python"))
        if self.helps in self.ran[-1]:
            self.lacking.clear()
        return self.helps in self.ran[-1]

    def main(self, is_root: bool, has_apt: bool) -> str | None:
        return needs.main(self.missing, self.run, is_root, has_apt)


def test_nothing_is_missing() -> None:
    """Then nothing is run."""
    machine = Machine()

    assert machine.main(is_root=True, has_apt=True) is None
    assert machine.ran == []


def test_root_on_debian() -> None:
    """apt installs all that is missing, at once."""
    machine = Machine("curl", "chromium", helps="install")

    assert machine.main(is_root=True, has_apt=True) is None
    assert machine.ran == ["apt-get update -q", "apt-get install -qy --no-install-recommends curl chromium libatomic1"]


def test_a_user() -> None:
    """Playwright fetches its browser into the user's cache."""
    machine = Machine("chromium", helps="playwright install")

    assert machine.main(is_root=False, has_apt=True) is None
    assert machine.ran == ["python -m playwright install chromium"]


def test_what_can_not_be_fetched() -> None:
    """The sentence has the reason and the one command."""
    assert Machine("chromium").main(is_root=False, has_apt=True) == (
        "The tests need more than is here (chromium: not there). Run: sudo apt-get install chromium libatomic1"
    )
    assert Machine("chromium").main(is_root=False, has_apt=False) == (
        "The tests need more than is here (chromium: not there). Run: sudo venv/bin/playwright install --with-deps chromium"
    )
    without_curl = Machine("curl")
    assert without_curl.main(is_root=False, has_apt=True) == (
        "The tests need more than is here (curl: not there). Run: sudo apt-get install curl"
    )
    assert without_curl.ran == []


def test_a_machine_without_them(tmp_path: Path) -> None:
    """It is asked what it has, not believed: without a PATH there is no curl, and with an empty cache no browser of Playwright's."""
    code = "from pathlib import Path; from tests import needs; needs.CHROMIUM = Path('nowhere'); print(*needs.missing())"
    environment = {**os.environ, "PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (asked.returncode, asked.stdout) == (0, "curl chromium\n"), asked.stderr


@pytest.mark.parametrize(("user", "apt_works"), [(0, True), (0, False), (1000, True)])
def test_a_python_that_can_make_no_venv(user: int, apt_works: bool, tmp_path: Path) -> None:
    """Debian's, without python3-venv: root has it installed. Else one sentence has the command, and nothing is made."""
    code = f"""
import os, runpy, subprocess, sys
sys.modules["ensurepip"] = None  # as if it were missing
os.geteuid, os.path.exists = lambda: {user}, lambda path: path == "/etc/debian_version"
ran = []
subprocess.call = lambda command: ran.append(" ".join(command[:2])) or int(command[0] == "apt-get" and not {apt_works})
os.makedirs("venv")
try:
    runpy.run_path({str(ROOT / "make_venv.py")!r})
finally:
    print(*ran, sep=", ")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    ran = done.stdout.splitlines()[-1]

    if user == 0 and apt_works:
        assert (done.returncode, ran) == (0, f"apt-get update, apt-get install, {sys.executable} -m, venv/bin/python -m"), done.stderr
    else:
        assert (done.returncode, ran) == (1, "apt-get update" if user == 0 else "")
        assert done.stderr.startswith("This Python can't make a venv, because its module ensurepip is missing. Run: sudo apt-get install")
