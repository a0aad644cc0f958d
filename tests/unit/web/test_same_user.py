"""Who is at the other end of a connection of this machine."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web

from labapp.web import same_user
from labapp.web.answers import Refused

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 906545 1 0 100 0 0 10 0
   1: 0100007F:1388 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 906546 1 0 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1388 01 00000000:00000000 00:00000000 00000000  1001        0 906547 1 0 20 4 30 10 -1
"""
TABLE_6 = TABLE.replace("0100007F", "0000000000000000FFFF00000100007F").replace("C350", "C351").replace("1001", "1000")


def asked(client_port: int) -> web.Request:
    ends = {"peername": ("127.0.0.1", client_port), "sockname": ("127.0.0.1", 5000)}
    return cast(web.Request, SimpleNamespace(transport=SimpleNamespace(get_extra_info=ends.__getitem__)))


def test_the_clients_end_is_found() -> None:
    """In either table, and not the server's own end."""
    assert same_user.owners(50000, 5000, [TABLE, TABLE_6]) == {1001}
    assert same_user.owners(50001, 5000, [TABLE, TABLE_6]) == {1000}
    assert same_user.owners(5000, 50000, [TABLE]) == {1000}
    assert same_user.owners(50002, 5000, [TABLE, TABLE_6]) == set()


def test_this_machines_tables_are_read() -> None:
    """A connection of this process is this user's, where the system tells."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        tables = [table.read_text() for table in same_user.TABLES if table.exists()]
        found = same_user.owners(client.getsockname()[1], server.getsockname()[1], tables)

    assert found == ({os.getuid()} if tables else set())


def test_another_user_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same user and root are not; neither is who is not listed, as where the system keeps no such table."""
    table = tmp_path / "tcp"
    monkeypatch.setattr(same_user, "TABLES", (table,))
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    same_user.ensure_same_user(asked(50000))

    table.write_text(TABLE)
    with pytest.raises(Refused, match="Only the user"):
        same_user.ensure_same_user(asked(50000))
    for allowed in ("1000", "   0"):
        table.write_text(TABLE.replace("1001", allowed))
        same_user.ensure_same_user(asked(50000))
