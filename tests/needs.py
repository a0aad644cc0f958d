"""What the tests need besides Python and make: a browser that starts, and curl. `make test` runs this first: it fetches what is missing.

As root on Debian apt installs both. Elsewhere Playwright fetches its browser into this user's cache. If that does not do it, one sentence
says which command to run, and no test begins.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.worker import ROOT

CHROMIUM = Path("/usr/bin/chromium")  # Debian's
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
DEBIAN = Path("/etc/debian_version")
# Debian's packages. Playwright's Node needs libatomic, which a small Debian does not have.
PACKAGES = {"curl": ["curl"], "chromium": ["chromium", "libatomic1"]}

Run = Callable[[list[str]], bool]


def launch(playwright: Playwright, *flags: str, chromium: Path = CHROMIUM) -> Browser:
    """Debian's Chromium if it is there, else the one that Playwright has fetched. Raises playwright's Error if it does not start."""
    return playwright.chromium.launch(executable_path=chromium if chromium.exists() else None, args=[*FLAGS, *flags])


def try_browser(chromium: str) -> None:
    """Ends this process, with one line if no browser starts."""
    try:
        with sync_playwright() as playwright:
            launch(playwright, chromium=Path(chromium)).close()
    except Exception as exc:  # Playwright's own Node may not start either, and that is a bare Exception
        sys.exit(str(exc).splitlines()[0])


def why_no_browser() -> str | None:
    """One line if no browser starts."""
    # In a process of its own: Playwright can't be started again where it has failed.
    code = "import sys; from tests.needs import try_browser; try_browser(sys.argv[1])"
    tried = subprocess.run([sys.executable, "-c", code, str(CHROMIUM)], cwd=ROOT, capture_output=True, text=True)
    return None if tried.returncode == 0 else tried.stderr.partition("\n")[0]


def missing() -> dict[str, str]:
    """What is missing, each with the reason."""
    found = {"curl": "it is not on the PATH"} if shutil.which("curl") is None else {}
    if why := why_no_browser():
        found["chromium"] = why
    return found


def packages(names: list[str]) -> list[str]:
    return [package for name in names for package in PACKAGES[name]]


def fetch(names: list[str], run: Run, is_root: bool, has_apt: bool) -> None:
    """Tries to get these. Says nothing about whether that succeeded."""
    if is_root and has_apt:
        run(["apt-get", "update", "-q"])
        run(["apt-get", "install", "-qy", "--no-install-recommends", *packages(names)])
    elif "chromium" in names:
        run([sys.executable, "-m", "playwright", "install", "chromium"])


def command_for(names: list[str], has_apt: bool) -> str:
    """The one command that somebody has to run who may."""
    if has_apt:
        return f"sudo apt-get install {' '.join(packages(names))}"
    install = [f"install {name}" for name in names if name != "chromium"]
    return " and ".join([*install, *(["sudo venv/bin/playwright install --with-deps chromium"] if "chromium" in names else [])])


def _run(command: list[str]) -> bool:
    print(f"The tests need more than is here. Running: {' '.join(command)}", file=sys.stderr, flush=True)
    return subprocess.run(command, stdout=sys.stderr, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}).returncode == 0


def main(
    missing: Callable[[], dict[str, str]] = missing, run: Run = _run, is_root: bool | None = None, has_apt: bool | None = None
) -> str | None:
    """Fetches what is missing. Returns one sentence if it can't."""
    if not (lacking := missing()):
        return None
    is_root = os.geteuid() == 0 if is_root is None else is_root
    has_apt = DEBIAN.exists() and shutil.which("apt-get") is not None if has_apt is None else has_apt
    fetch(list(lacking), run, is_root, has_apt)
    if not (lacking := missing()):
        return None
    reasons = "; ".join(f"{name}: {why}" for name, why in lacking.items())
    return f"The tests need more than is here ({reasons}). Run: {command_for(list(lacking), has_apt)}"


if __name__ == "__main__":
    sys.exit(main())
