"""A frame, and what gives frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from device.contract.arrays import Pixels


@dataclass(frozen=True)
class Frame:
    """One picture from a source, or why it could not be decoded."""

    name: str
    """Path of the photo, or the source's address with the frame's number."""
    picture: Pixels | None
    """uint8 (h, w, 3) R, G, B, any size; nobody writes to it any more."""
    error: str = ""
    captured_s: float = 0.0
    """`time.monotonic()` when the picture was complete."""
    decode_s: float = 0.0
    """Time to read and decode it, seconds; waiting for a camera is not counted."""
    outdated: int = 0
    """How many of a camera's frames before it were passed over, for it had come already."""
    lag_s: float = 0.0
    """How far behind a camera's stream it is; `captured_s` is as long ago as well."""

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height of the picture."""
        if self.picture is None:
            return None
        height, width = self.picture.shape[:2]
        return width, height

    @property
    def is_passed_over(self) -> bool:
        """Whether it only says that the camera sends: nobody wanted this frame decoded."""
        return self.picture is None and not self.error


class Demand(Protocol):
    """Who looks at a camera's frames."""

    @property
    def due_s(self) -> float:
        """`time.monotonic()` from which the next frame is wanted; before that none is."""
        ...


class EveryFrame:
    """Every frame is wanted."""

    due_s = float("-inf")


EVERY_FRAME = EveryFrame()


class FrameSource(Protocol):
    """Something that yields frames until it ends; unless it says otherwise, a file or folder."""

    live: bool = False
    """A camera, whose newest frame matters; a file's frames all do."""
    hang_is_final: bool = False
    """Whether a call that hangs leaves the camera unusable for this process."""
    alive_s: float = float("-inf")
    """`time.monotonic()` when its own threads last did something; -inf: it has none."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError when there can be no more through a fault."""
        ...


@runtime_checkable
class Polled(FrameSource, Protocol):
    """A source whose frames may also be asked for one by one, without waiting long.

    `poll`, and what `frames` gives, are for one thread at a time, but not always the same one.
    """

    @property
    def ended(self) -> bool:
        """Whether there will be no more frames."""
        ...

    def poll(self, timeout_s: float) -> Frame | None:
        """The newest frame; None if none comes in time or there will be no more.

        Raises:
            SourceError: when there can be no more through a fault.
        """
        ...
