"""The page's files and the documents to which it links, as they are, with the headers that protect the page."""

from pathlib import Path

from aiohttp.web import FileResponse

from labapp import settings
from labapp.web.answers import Refused

FOLDER = Path(__file__).parents[1] / "static"
DOCUMENTS = Path(__file__).parents[2] / "docs"
# A machine's own list of types may say otherwise, and a browser then refuses to run the scripts.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",  # a browser shows plain text, and scrolls to the words that a link names
}
# By their names in an address. No name that a client sends gets to the file system.
FILES = {file.relative_to(FOLDER).as_posix(): file for file in FOLDER.rglob("*") if file.is_file() and file.suffix in TYPES}
FILES |= {f"docs/{file.name}": file for file in DOCUMENTS.glob("*.md")}
# Nothing comes from elsewhere, the page itself has no script or style, and no other page may frame it.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        " ".join(["connect-src 'self'", *(consumer.url for consumer in settings.CONSUMERS)]),
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Cache-Control": "no-cache",  # the browser asks each time, and the ETag answers 304
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}


def answer(name: str) -> FileResponse:
    """The file of that name in the folder. Raises Refused if there is none."""
    if (file := FILES.get(name)) is None:
        raise Refused(404, "There is nothing at this address.")
    return FileResponse(file, headers={**HEADERS, "Content-Type": TYPES[file.suffix]})
