"""Checks whether a caller is allowed: by the request's Host, by the page that sent it, and by API_TOKEN."""

import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from hmac import compare_digest

from aiohttp import web

from labapp import settings
from labapp.patched.faust_router import authorization
from labapp.web.answers import Refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+?)\.?)(?::[0-9]{1,5})?", re.IGNORECASE | re.ASCII)


def host_checked(own_names: Callable[[], Iterable[str]]) -> Middleware:
    """Refuses a request whose Host is not a name of this worker, for every address.

    Another site can make its own name resolve to this machine (DNS rebinding). A browser then takes this worker for a part of that site.
    Only the header Host tells the difference. A request without that header does not come from a browser.
    """
    always = {*LOOPBACK, socket.gethostname(), *settings.ALLOWED_HOSTS}

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        hosts = [_name(host) for host in request.headers.getall("Host", [])]
        if "*" not in always and not always.issuperset(hosts):
            bound = request.transport.get_extra_info("sockname") if request.transport else None
            allowed = {name.lower() for name in (*always, *own_names(), bound[0] if bound else "")}
            if not allowed.issuperset(hosts):
                raise Refused(421, "The header Host is not a name of this worker: ALLOWED_HOSTS may list further names.")
        return await handler(request)

    return checked


@lru_cache(maxsize=64)
def _name(host: str) -> str | None:
    """The name in a header Host, without port and in lower case. None if there is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else None


def ensure_allowed_page(request: web.Request) -> None:
    """Raises Refused for the request of a page that is neither this worker's nor of one of CORS_ORIGINS.

    A page of another site can't read the answer. But it can send the request, for example as the address of an image. The browser then
    says so in Sec-Fetch-Site.
    """
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    if site == "same-origin" or (site == "none" if origin is None else origin in (*settings.CORS_ORIGINS, _own_origin(request))):
        return
    raise Refused(403, "A page of another site sent this request, and CORS_ORIGINS does not list that site.")


def _own_origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def asks_for_page(request: web.Request) -> bool:
    """Whether a browser asks for the page with a request for `/`."""
    return settings.PRODUCES and "text/html" in request.headers.get("Accept", "")


@web.middleware
async def token_checked(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses a request without API_TOKEN if it needs one. CORS preflights need none."""
    if _needs_token(request) and not _has_token(request):
        sentence = "This request needs the header Authorization: Bearer with the worker's API_TOKEN."
        raise Refused(401, sentence, headers={"WWW-Authenticate": "Bearer"})
    return await handler(request)


def _needs_token(request: web.Request) -> bool:
    if not settings.API_TOKEN or request.method == "OPTIONS":
        return False
    if request.method not in ("GET", "HEAD"):
        return True
    free = request.path == "/ping" or request.path.startswith(("/health/", "/static/")) or (request.path == "/" and asks_for_page(request))
    return settings.API_TOKEN_FOR == "everything" and not free


def _has_token(request: web.Request) -> bool:
    sent = request.headers.get("Authorization", "")
    scheme, _, token = sent.partition(" ")
    if scheme.lower() == "bearer":
        return _same(token.strip(), settings.API_TOKEN)
    return request.method == "GET" and "local" in request.query and _same(sent, authorization(request.rel_url.raw_path))


def _same(sent: str, expected: str) -> bool:
    return compare_digest(sent.encode(errors="replace"), expected.encode())
