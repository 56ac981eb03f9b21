"""What is filmed: drawn places and real ones under each disturbance, some of it as H.264."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.bench.look import footage
from tests.support.films import DISTURBANCES, Film, Shot, Visit, shots

CHOSEN_ON, HELD_OUT = (0, 1), (10, 11, 12)
"""Drawn places on which rules may be chosen, and those on which they are only judged, as are films
as video and of real places."""
VISIT_S, GAP_S, FIRST_S = 20.0, 25.0, 15.0
VIDEO_PX, VIDEO_BITS_PER_S = (640, 480), 200_000
VIDEO_FPS = 4.0
CAMERA_FPS = 10.0
KEY_EVERY_S = 8
OUTSIDE = ("noise", "sun", "clouds", "rain", "infrared", "exposure", "nudge", "lamp")
"""What is laid over real footage, which has noise of its own."""


@dataclass(frozen=True)
class Scene:
    """A film that can be shown empty and visited."""

    name: str
    film: Film
    bits_per_s: int = 0
    """As H.264 of so many bits; 0: as it is."""

    def shots(
        self, seconds: float, *, visited: bool, due: Callable[[float], bool] = lambda at_s: True
    ) -> Iterator[Shot]:
        """Its frames, of those times in seconds that are due when the one before has been seen."""
        shown = self.filmed(seconds, visited=visited)
        if not self.bits_per_s:
            return shots(shown, due)
        # A stream cannot be decoded without what comes between.
        made = compressed(shown, self.bits_per_s)
        return (shot for shot in made if due(shot.at_ms / 1000))

    def as_camera(self) -> "Scene":
        """The same with as many frames as a camera gives; video has those of a cheap one anyway."""
        return self if self.bits_per_s else replace(self, film=replace(self.film, fps=CAMERA_FPS))

    def filmed(self, seconds: float, *, visited: bool) -> Film:
        """The film itself."""
        guests = visits(seconds, self.film.seed) if visited else ()
        return replace(self.film, seconds=seconds, visits=guests)


def visits(seconds: float, seed: int) -> tuple[Visit, ...]:
    """Subjects of 1/8 to 1/2 of the height, one after another."""
    rng = np.random.default_rng([seed, 11])
    starts = np.arange(FIRST_S, seconds - VISIT_S, VISIT_S + GAP_S)
    return tuple(
        Visit(
            float(start),
            float(start) + VISIT_S,
            float(np.exp(rng.uniform(np.log(1 / 8), np.log(1 / 2)))),
            (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.25, 0.75))),
            int(rng.integers(1 << 30)),
        )
        for start in starts
    )


def drawn(seeds: Sequence[int]) -> list[Scene]:
    """Places that are drawn, under each disturbance."""
    return [Scene(name, Film(0, name, seed=seed)) for seed in seeds for name in DISTURBANCES]


def as_video() -> list[Scene]:
    """Drawn places as a cheap camera sends them: H.264 of few bits."""
    film = Film(0, fps=VIDEO_FPS, size_px=VIDEO_PX, seed=HELD_OUT[0])
    return [
        Scene(f"H.264, {name}", replace(film, disturbance=name), VIDEO_BITS_PER_S)
        for name in ("noise", "clouds", "rain")
    ]


def real(folder: Path) -> list[Scene]:
    """Real places, as far as they are in a folder."""
    made = []
    if (folder / footage.SQUARE).exists():
        film = Film(0, seed=21, size_px=footage.SQUARE_PX, behind=footage.square(folder), noise=1)
        made += [Scene(f"square, {o}", replace(film, disturbance=o)) for o in OUTSIDE]
    if (folder / footage.TREE).exists():
        film = Film(0, seed=22, size_px=footage.TREE_PX, behind=footage.tree(folder), noise=1)
        made += [Scene(f"tree, {o}", replace(film, disturbance=o)) for o in OUTSIDE[:3]]
    return made


def compressed(film: Film, bits_per_s: int) -> Iterator[Shot]:
    """The frames of a film as a decoder of H.264 gives them."""
    rate = Fraction(film.fps)
    sender, receiver = (av.CodecContext.create("h264", mode) for mode in ("w", "r"))
    sender.width, sender.height = film.size_px
    sender.pix_fmt, sender.framerate, sender.time_base = "yuv420p", rate, 1 / rate
    sender.bit_rate, sender.gop_size = bits_per_s, round(KEY_EVERY_S * film.fps)
    sender.options = {"tune": "zerolatency", "preset": "veryfast"}
    for number, shot in enumerate(shots(film)):
        frame = av.VideoFrame.from_ndarray(shot.pixels, "rgb24").reformat(format="yuv420p")
        frame.pts = number
        for packet in sender.encode(frame):
            for seen in receiver.decode(packet):
                yield replace(shot, pixels=seen.to_ndarray(format="rgb24"))
