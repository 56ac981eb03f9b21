"""A frame, and the protocols of what gives and wants frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from device.contract.arrays import Pixels
from device.contract.photos import Decoded


@dataclass(frozen=True)
class Frame:
    """One picture from a source, or the reason why it could not be decoded."""

    name: str
    """Path of the photo, or the source's address with the frame's number."""
    given: Pixels | Decoded | None
    """The picture as its source has it, any size; read-only from here on."""
    error: str = ""
    captured_s: float = 0.0
    """`time.monotonic()` when the picture was complete."""
    decode_s: float = 0.0
    """Time to read and decode it, seconds; waiting for a camera is not counted."""
    outdated: int = 0
    """Frames of the camera skipped because this newer one had already arrived."""
    lag_s: float = 0.0
    """How far behind the camera's stream it is; `captured_s` is set back by this much."""

    film_s: float | None = None
    """When it is shown, from the beginning of the film it is of; None for a camera and photos."""
    decoder: "Callable[[], Frame] | None" = None
    """Decodes it; for one that came before it was wanted, and may be replaced by a newer one."""

    @property
    def picture(self) -> Pixels | None:
        """uint8 (h, w, 3) R, G, B; for some sources made when it is first asked for."""
        return self.given.pixels() if isinstance(self.given, Decoded) else self.given

    @property
    def moment_s(self) -> float:
        """When it was there, for arithmetic between frames of one source.

        A film may be read faster or slower than it plays: its own clock tells how long things last.
        """
        return self.captured_s if self.film_s is None else self.film_s

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height of the picture."""
        if self.given is None:
            return None
        height, width = self.given.shape[:2]
        return width, height

    @property
    def is_passed_over(self) -> bool:
        """Whether it was left undecoded because nobody wanted it; the camera does send."""
        return self.given is None and not self.error and self.decoder is None

    def decoded(self) -> "Frame":
        """The frame with its picture, or with an error."""
        if self.decoder is None:
            return self
        return replace(self.decoder(), captured_s=self.captured_s, outdated=self.outdated)


class Demand(Protocol):
    """Says when the next frame of a camera is wanted."""

    @property
    def due_s(self) -> float:
        """`time.monotonic()` from which the next frame is wanted; none is wanted before that."""
        ...


class EveryFrame:
    """Every frame is wanted."""

    due_s = float("-inf")


EVERY_FRAME = EveryFrame()


class FrameSource(Protocol):
    """Something that yields frames until it ends; a file or folder unless `live` says otherwise."""

    live: bool = False
    """True for a camera, of which only the newest frame matters; of a file all frames do."""
    one_place: bool = True
    """Whether all frames come from one camera; photos of a folder need not."""
    hang_is_final: bool = False
    """Whether a call that hangs leaves the camera unusable for this process."""
    alive_s: float = float("-inf")
    """`time.monotonic()` when its own threads were last active; -inf if it has none."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames; raises SourceError if a failure ends them."""
        ...


@runtime_checkable
class Polled(FrameSource, Protocol):
    """A source that can also be asked for single frames, without waiting long.

    Only one thread at a time may use `poll` or iterate over `frames`, but it may change.
    """

    @property
    def ended(self) -> bool:
        """Whether there will be no more frames."""
        ...

    def poll(self, timeout_s: float) -> Frame | None:
        """The newest frame; None if none comes in time or there will be no more.

        Raises:
            SourceError: if a failure ends the frames.
        """
        ...
