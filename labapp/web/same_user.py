"""Finds the user of this machine at the other end of a connection. Only Linux tells it."""

import os
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from labapp.web.answers import Refused

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ROOT = 0  # this user may do everything anyway


def ensure_same_user(request: web.Request) -> None:
    """Raises Refused if the connection is that of another user's program. Loopback alone keeps out no user of this machine."""
    transport = request.transport
    if transport is None:
        return
    ports = transport.get_extra_info("peername")[1], transport.get_extra_info("sockname")[1]
    if any(owner not in (_ROOT, os.getuid()) for owner in owners(*ports, [table.read_text() for table in TABLES if table.exists()])):
        raise Refused(403, "Only the user who runs this lab may do that.")


def owners(client_port: int, server_port: int, tables: Iterable[str]) -> set[int]:
    """The users of the client's end of a connection, from the kernel's tables of connections. Empty if the tables don't list it."""
    found = set[int]()
    for table in tables:
        for line in table.splitlines()[1:]:
            _, local, remote, _, _, _, _, user, *_ = line.split()
            if [int(address.rpartition(":")[2], 16) for address in (local, remote)] == [client_port, server_port]:
                found.add(int(user))
    return found
