"""Who looks at the live picture. Everything here is called on the server's thread alone."""

import asyncio
import time
from dataclasses import dataclass

from device.outputs.web.view import EncodedFrame

MAX_VIEWERS = 4
EXPIRE_S = 10.0
"""A viewer that has asked for nothing for this long has gone."""


@dataclass
class Viewer:
    """One open page."""

    seen_s: float
    shot: EncodedFrame | None = None
    """The frame that it was sent last, which it may save."""


class Viewers:
    """The few viewers there may be, and the newest frame for them."""

    def __init__(self) -> None:
        self._viewers: dict[str, Viewer] = {}
        self._newest: EncodedFrame | None = None
        self._arrival = asyncio.Event()

    def __len__(self) -> int:
        return len(self._viewers)

    def find(self, name: str) -> Viewer | None:
        """The viewer of this name, if it is still here; shows that it is."""
        now_s = time.monotonic()
        gone = [key for key, v in self._viewers.items() if now_s - v.seen_s > EXPIRE_S]
        for key in gone:
            del self._viewers[key]
        viewer = self._viewers.get(name)
        if viewer is not None:
            viewer.seen_s = now_s
        return viewer

    def admit(self, name: str) -> Viewer | None:
        """The viewer of this name, new or known; None if there are too many."""
        viewer = self.find(name)
        if viewer is None and len(self._viewers) < MAX_VIEWERS:
            viewer = self._viewers[name] = Viewer(time.monotonic())
        return viewer

    def show(self, shot: EncodedFrame) -> None:
        """Hand a new frame to all that wait."""
        self._newest = shot
        arrival, self._arrival = self._arrival, asyncio.Event()
        arrival.set()

    def forget(self) -> None:
        """Let go of the newest frame, and of the viewers that have gone."""
        self._newest = None
        self.find("")

    async def after(self, number: int, timeout_s: float) -> EncodedFrame | None:
        """The newest frame if it is another than `number`, else the next; None after the timeout.

        Another, not a later one: numbers begin anew when the service does.
        """
        if self._newest is None or self._newest.observation.number == number:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrival.wait()
            except TimeoutError:
                return None
        return self._newest
