"""Experiments from the page, in the local lab only: stop, start and kill its processes by the lab's own command.

Off unless LAB_CONTROL names the lab's folder, which the lab does for its producer. Only the lab's own page may ask: a page of another
site can't say what is checked here, even if its name was made to lead to this machine.
"""

import asyncio
import sys

from aiohttp.web import Request, Response
from faust.web import View
from yarl import URL

from labapp import settings
from labapp.app import app
from labapp.web.middleware import Refused, json_response

CONSUMERS = ["consumer", "second-consumer", "fan-out"]  # the lab names their addresses in this order (the setting CONSUMERS)
NAMES = [*CONSUMERS, "broker-1", "broker-2"]
ACTIONS = ["stop", "start", "kill"]
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TIMEOUT_SECONDS = 60

_one_at_a_time = asyncio.Lock()


@app.page("/lab/{action}/{name}")
class Experiment(View):
    async def post(self, request: Request, action: str, name: str) -> Response:
        """Answers once it is done."""
        ensure_lab()
        ensure_own_page(request)
        if action not in ACTIONS or name not in NAMES:
            raise Refused(404, f"An experiment is one of {', '.join(ACTIONS)} with one of {', '.join(NAMES)}.")
        if _one_at_a_time.locked():
            raise Refused(409, "Another experiment is under way.")
        async with _one_at_a_time:
            said = await lab(action, name)
        return json_response({"said": said.decode(errors="replace").strip().splitlines()[-1:]})


def ensure_lab() -> None:
    if not settings.LAB_CONTROL:
        raise Refused(404, "There are experiments in the local lab only.")


def ensure_own_page(request: Request) -> None:
    """Raises Refused unless a page that this worker served, on this machine, asks."""
    origin = request.headers.get("Origin", "")
    if (
        request.content_type != "application/json"
        or origin != f"{request.scheme}://{request.host}"
        or URL(origin).host not in LOOPBACK
        or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
    ):
        raise Refused(403, "Only the page of this lab may do that, by its own address.")


async def lab(*arguments: str) -> bytes:
    """Runs one command of the lab and returns what it printed. Raises Refused with what went wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "labapp.lab",
        *arguments,
        env=settings.LAB_ENVIRONMENT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            out, errors = await process.communicate()
    except TimeoutError:
        raise Refused(504, f"The lab did not finish in {TIMEOUT_SECONDS} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise Refused(502, errors.decode(errors="replace").strip() or "The lab failed without a word.")
    return out
