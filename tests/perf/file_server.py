"""Serve one file as a registry's blob, by the kernel's own copying (sendfile).

Run as ``file_server.py FILE``: prints its port, serves until its input ends.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from pathlib import Path

_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\n"
    "Content-Length: {length}\r\nAccept-Ranges: bytes\r\n{more}\r\n"
)


def _serve(connection: socket.socket, path: Path) -> None:
    size = path.stat().st_size
    with connection, path.open("rb") as file:
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                data = connection.recv(65536)
                if not data:
                    return
                received += data
            request, _, received = received.partition(b"\r\n\r\n")
            found = re.search(rb"(?i)\r\nrange: bytes=(\d+)-(\d*)", request)
            first, last, status, more = 0, size - 1, "200 OK", ""
            if found:
                first = int(found[1])
                last = int(found[2]) if found[2] else last
                status = "206 Partial Content"
                more = f"Content-Range: bytes {first}-{last}/{size}\r\n"
            length = last + 1 - first
            head = _HEAD.format(status=status, length=length, more=more)
            connection.sendall(head.encode())
            while length:
                sent = os.sendfile(connection.fileno(), file.fileno(), first, length)
                first, length = first + sent, length - sent


def _accept(listener: socket.socket, path: Path) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_guarded, args=(connection, path), daemon=True).start()


def _guarded(connection: socket.socket, path: Path) -> None:
    try:
        _serve(connection, path)
    except OSError:
        return  # the client hung up


def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    arguments = (listener, Path(sys.argv[1]))
    threading.Thread(target=_accept, args=arguments, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
