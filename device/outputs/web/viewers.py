"""The viewers of the live picture. Everything here is called only on the server's thread."""

import asyncio
import time
from dataclasses import dataclass

from device.outputs.web.view import EncodedFrame

MAX_VIEWERS = 4
EXPIRE_S = 10.0
"""A viewer that has sent no request for this long is gone."""


@dataclass
class Viewer:
    """One open page."""

    seen_s: float
    shot: EncodedFrame | None = None
    """The last frame sent to it, which it may save."""


class Viewers:
    """The viewers, limited in number, and the newest frame for them."""

    def __init__(self) -> None:
        self._viewers: dict[str, Viewer] = {}
        self._newest: EncodedFrame | None = None
        self._arrival = asyncio.Event()

    def __len__(self) -> int:
        return len(self._viewers)

    def find(self, name: str) -> Viewer | None:
        """The viewer with this id if it is still here; marks it as active."""
        now_s = time.monotonic()
        gone = [key for key, v in self._viewers.items() if now_s - v.seen_s > EXPIRE_S]
        for key in gone:
            del self._viewers[key]
        viewer = self._viewers.get(name)
        if viewer is not None:
            viewer.seen_s = now_s
        return viewer

    def admit(self, name: str) -> Viewer | None:
        """The viewer with this id, new or known; None if there are too many viewers."""
        viewer = self.find(name)
        if viewer is None and len(self._viewers) < MAX_VIEWERS:
            viewer = self._viewers[name] = Viewer(time.monotonic())
        return viewer

    def show(self, shot: EncodedFrame) -> None:
        """Give a new frame to all waiting viewers."""
        self._newest = shot
        arrival, self._arrival = self._arrival, asyncio.Event()
        arrival.set()

    def forget(self) -> None:
        """Forget the newest frame, and the viewers that are gone."""
        self._newest = None
        self.find("")

    async def after(self, number: int, timeout_s: float) -> EncodedFrame | None:
        """The newest frame if its number is not `number`, else the next; None after the timeout.

        Not "if it is later": numbers start again when the service restarts.
        """
        if self._newest is None or self._newest.observation.number == number:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrival.wait()
            except TimeoutError:
                return None
        return self._newest
