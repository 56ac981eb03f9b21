"""Clients of the web page, in a process of their own: `slow_clients.py PORT SLOW VIEWERS`.

Slow ones connect, say nothing, half a request, or a whole one whose answer they hardly read, and
come back when they are thrown out. Viewers look as the page does.
"""

import asyncio
import itertools
import sys
from contextlib import suppress

AGAIN_S = 1.0
BITES_A_SECOND = 10
BITE_BYTES = 200
HOST = "127.0.0.1"


def asked(viewer: int, after: int = -1) -> bytes:
    query = f"viewer={viewer:016x}&after={after}"
    return f"GET /live?{query} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


async def slow(port: int, number: int) -> None:
    while True:
        with suppress(OSError):
            # A small window: the kernel takes little on the client's behalf.
            reader, writer = await asyncio.open_connection(HOST, port, limit=BITE_BYTES)
            writer.write([b"", b"GET / HTT", asked(number)][number % 3])
            while await reader.read(BITE_BYTES):
                await asyncio.sleep(1 / BITES_A_SECOND)
            writer.close()
        await asyncio.sleep(AGAIN_S)


async def view(port: int, number: int) -> None:
    for after in itertools.count():
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(asked(number, after))
            await reader.read()
            writer.close()
        # As long as a page needs to show it.
        await asyncio.sleep(0.02)


async def main(port: int, slow_ones: int, viewers: int) -> None:
    # Viewers first: they were there before the crowd came.
    looking = [view(port, 10_000 + number) for number in range(viewers)]
    await asyncio.gather(*looking, *(slow(port, number) for number in range(slow_ones)))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
