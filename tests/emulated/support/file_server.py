"""Answers one HTTP visitor on standard input with the files of a folder, as inetd starts servers.

The emulator runs it by its path for each connection to `qemu_board.SERVER`, which is the only place
that such a board reaches.
"""

import os
import socket
import sys
from http.server import SimpleHTTPRequestHandler


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: standard error is the visitor's connection."""


def main(folder: str) -> None:
    """Answer, and end."""
    link = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    # The handler of files looks at nothing of its server.
    _Handler(link, ("", 0), None, directory=folder)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1])
