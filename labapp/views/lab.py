"""`/lab/{action}/{name}`: experiments, for the local lab's own page alone."""

import orjson
from aiohttp.web import Request, Response
from faust.web import View
from yarl import URL

from labapp import experiments, settings
from labapp.app import app
from labapp.web.answers import Refused, json_response
from labapp.web.callers import LOOPBACK
from labapp.web.requests import body_of
from labapp.web.same_user import ensure_same_user


@app.page("/lab/{action}/{name}")
class Lab(View):
    async def post(self, request: Request, action: str, name: str) -> Response:
        """Answers once it is done."""
        if not settings.LAB_CONTROL:
            raise Refused(404, "There are experiments in the local lab only.")
        ensure_own_page(request)
        ensure_same_user(request)
        return json_response(await experiments.run(action, name, arguments_of(await body_of(request))))


def arguments_of(body: bytes) -> experiments.Arguments:
    """What an experiment takes beside its name; nothing for an empty body. Raises Refused."""
    try:
        arguments = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise Refused(400, "The body is not a JSON object.")
    return arguments


def ensure_own_page(request: Request) -> None:
    """Raises Refused unless a page that this worker served, on this machine, asks.

    A page of another site can't send this content type and origin without a CORS preflight. DNS rebinding does not help it: the name
    in its origin is not this machine's.
    """
    origin = request.headers.get("Origin", "")
    if (
        request.content_type != "application/json"
        or origin != f"{request.scheme}://{request.host}"
        or URL(origin).host not in LOOPBACK
        or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin"
    ):
        raise Refused(403, "Only this lab's own page may do that.")
