"""Faults of compression: a JPEG of low quality, a video stream with too few bits.

The stream is encoded by PyAV's H.264 encoder, on one thread: the same pictures give the same bytes.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from device.contract.arrays import Pixels

Rng = np.random.Generator

ENCODER = "libx264"
FRAMES = 4
"""Of the stream; the last one counts. The first is coded whole, the others by what has changed."""
FRAMES_PER_S = 15
DRIFT_SHARE = 0.01
"""The picture moves by this share of its shorter side from frame to frame."""
LIVE = {"preset": "veryfast", "tune": "zerolatency"}
"""How cameras encode: at once, frame by frame."""


def jpeg(frame: Pixels, quality: float, rng: Rng) -> Pixels:
    """Code as a JPEG and back.

    Args:
        frame: uint8 (h, w, 3).
        quality: as libjpeg counts it, 1..95.
        rng: not used: this fault has no chance in it.
    """
    coded = io.BytesIO()
    Image.fromarray(frame).save(coded, "JPEG", quality=round(quality), subsampling=2)
    return np.asarray(Image.open(coded).convert("RGB"))


@cache
def missing_encoder() -> str:
    """Why no stream can be encoded here; empty if one can."""
    try:
        import av
    except ImportError:
        return "PyAV is not installed"
    try:
        av.CodecContext.create(ENCODER, "w")
    except (av.FFmpegError, ValueError):
        return f"this PyAV has no {ENCODER}"
    return ""


def h264(frame: Pixels, kilobits: float, rng: Rng) -> Pixels:
    """The last of a few frames of a stream, while the camera moves slowly.

    Args:
        frame: uint8 (h, w, 3).
        kilobits: that the stream may take in a second.
        rng: of the movement's direction.
    """
    import av

    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [*_packets(_moving(_even(frame), rng), kilobits), None]
    pictures = [picture for packet in packets for picture in decoder.decode(packet)]
    height, width = frame.shape[:2]
    last: Pixels = pictures[-1].to_ndarray(format="rgb24")
    return last[:height, :width]


def _even(frame: Pixels) -> Pixels:
    """With an even height and width, as half-size colour planes need."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge")


def _moving(frame: Pixels, rng: Rng) -> Iterator[Pixels]:
    """Frames that end with the given one."""
    height, width = frame.shape[:2]
    step, angle = DRIFT_SHARE * min(height, width), rng.uniform(0, 2 * np.pi)
    reach = int(np.ceil(step * FRAMES))
    padded = np.pad(frame, ((reach, reach), (reach, reach), (0, 0)), "symmetric")
    for left_over in range(FRAMES - 1, -1, -1):
        down = reach + round(left_over * step * np.sin(angle))
        right = reach + round(left_over * step * np.cos(angle))
        yield np.ascontiguousarray(padded[down : down + height, right : right + width])


def _packets(frames: Iterator[Pixels], kilobits: float) -> Iterator[Any]:
    import av

    encoder = av.CodecContext.create(ENCODER, "w")
    for picture in map(av.VideoFrame.from_ndarray, frames):
        if not encoder.is_open:
            _set_up(encoder, picture, round(1000 * kilobits))
        yield from encoder.encode(picture.reformat(format="yuv420p"))
    yield from encoder.encode(None)


def _set_up(encoder: Any, picture: Any, bits_per_s: int) -> None:
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FRAMES_PER_S), Fraction(FRAMES_PER_S)
    encoder.bit_rate, encoder.thread_count = bits_per_s, 1
    # No frame may take more than its share of a short time, or it would arrive late.
    limits = {"maxrate": str(bits_per_s), "bufsize": str(bits_per_s // FRAMES_PER_S * FRAMES)}
    encoder.options = {**LIVE, **limits}
