"""Faust's router, by which a worker asks another worker of the group, for `/table/` and for `/events/{key}`.

Faust's own passes on all headers of the client's request, even `Authorization`. It follows redirects, and waits for 5 minutes. But a
worker's address comes from the group's metadata. So this router passes on the path alone, and reads a bounded answer for a bounded time.
"""

import hmac
from typing import Any

from aiohttp import ClientError, ClientTimeout
from faust.app import router
from faust.exceptions import NotReady, SameNode
from faust.web.exceptions import NotFound, ServiceUnavailable
from yarl import URL

from labapp import settings

TIMEOUT_SECONDS = 3
# Twice the size of the largest row, because `/table/` encodes the JSON again.
ANSWER_BYTES_MAX = 2_000_000


def authorization(path: str) -> str:
    """The header Authorization by which a worker reads that path of another worker, if reading needs API_TOKEN.

    The other worker's address comes from the group's metadata. So it does not get the token itself, but a digest for this path alone.
    """
    return "Worker " + hmac.digest(settings.API_TOKEN.encode(), path.encode(), "sha256").hex()


class Router(router.Router):
    async def ask(self, worker: URL, path: str) -> tuple[int, bytes]:
        """The answer of the worker at that address from its own rows: the status, or 0 if there is no answer, and the body."""
        address = URL(f"http://{worker.authority}{path}?local", encoded=True)
        headers = {"Authorization": authorization(path)} if settings.API_TOKEN_FOR == "everything" else {}
        timeout, body = ClientTimeout(TIMEOUT_SECONDS), bytearray()
        try:
            async with self.app.http_client.get(address, headers=headers, timeout=timeout, allow_redirects=False) as response:
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        response.close()
                        return 0, b""
                return response.status, bytes(body)
        except (ClientError, TimeoutError, OSError, ValueError):
            return 0, b""

    def key_store(self, table_name: str, key: Any) -> URL:
        try:
            return super().key_store(table_name, key)
        except NotReady:
            raise ServiceUnavailable("The worker is still starting.") from None

    async def _route_req(self, dest_url: URL, web: Any, request: Any) -> Any:
        # Two workers that disagree about a key's owner, as in a rebalance, would else pass the request to each other without end.
        if "local" in request.query or self._urlident(dest_url) == self._urlident(self.app.conf.canonical_url):
            raise SameNode
        status, body = await self.ask(dest_url, request.rel_url.raw_path)
        if status not in (200, 404):
            raise ServiceUnavailable("The worker of the group that has this key could not be asked.")
        return web.bytes(body, content_type="application/json", status=status)

    def _get_table(self, name: str) -> Any:
        try:
            return super()._get_table(name)
        except KeyError:
            raise NotFound("There is no table of that name.") from None
