"""The page in the browser: its files, as they are, and what it needs to know at the start."""

from itertools import zip_longest
from pathlib import Path

from aiohttp.web import FileResponse, Request, Response, StreamResponse
from faust.web import View

from labapp import settings
from labapp.app import app
from labapp.event.row import STAGES
from labapp.views import lab as control
from labapp.web import shapes
from labapp.web.middleware import Refused, json_response

STATIC = Path(__file__).parents[1] / "static"
# Said here, since a machine's own list of types may say otherwise, and then scripts don't run.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
# Nothing from elsewhere, and no script or style in the page itself; nobody may put it into a frame.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        " ".join(["connect-src 'self'", *settings.CONSUMERS]),
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Cache-Control": "no-cache",  # asks each time, and is answered 304 by its ETag
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


def index() -> FileResponse:
    return _file(STATIC / "index.html")


def _file(path: Path) -> FileResponse:
    return FileResponse(path, headers={**HEADERS, "Content-Type": TYPES[path.suffix]})


@app.page("/static/{path:.+}")
class Static(View):
    async def get(self, request: Request, path: str) -> StreamResponse:
        file = (STATIC / path).resolve()
        if not file.is_relative_to(STATIC.resolve()) or not file.is_file() or file.suffix not in TYPES:
            raise Refused(404, "There is nothing at this address.")
        return _file(file)


@app.page("/page")
class Page(View):
    """What the page can't know by itself."""

    async def get(self, request: Request) -> Response:
        names = control.CONSUMERS[: len(settings.CONSUMERS)] if settings.LAB_CONTROL else []
        return json_response(
            shapes.Facts(
                {
                    "topic": settings.KAFKA_TOPIC,
                    "dead_letter_topic": settings.DEAD_LETTER_TOPIC,
                    "group": settings.CONSUMER_GROUP,
                    "bootstrap_servers": settings.KAFKA_BOOTSTRAP_SERVERS,
                    "stages": list(STAGES),
                    "here_too": settings.CONSUMES,  # whether the page's own address consumes as well
                    "consumers": [{"url": url, "name": name} for url, name in zip_longest(settings.CONSUMERS, names)],
                    "experiments": control.NAMES if settings.LAB_CONTROL else [],
                }
            )
        )
