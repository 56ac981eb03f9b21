"""Ports for servers that must know theirs beforehand, or come back to it."""

import random
import socket
from collections import deque
from itertools import chain

PORTS = range(20_000, 32_000)
"""Below those that a system gives away itself (Linux from 32,768 on): of these, any connection or
server of another test may get the one that was free a moment ago."""
MOST_CLAIMS = 200

_claims: "deque[socket.socket]" = deque()


def free_port() -> int:
    """A TCP port of 127.0.0.1 where nobody listens; no other caller gets it, in any process.

    It is claimed until this process ends, or has claimed many others.

    Raises:
        RuntimeError: if there is none.
    """
    start = random.randrange(len(PORTS))
    for port in chain(PORTS[start:], PORTS[:start]):
        # Who asks for a port binds its UDP twin, which is in nobody's way, and keeps that.
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if len(_claims) > MOST_CLAIMS:
            _claims.popleft().close()
        return port
    raise RuntimeError(f"no free port from {PORTS[0]} to {PORTS[-1]}")
