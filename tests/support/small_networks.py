"""What several test files need: synthetic pictures, a small network, running the device's CLI."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract import bundle as contract
from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("FIELDGUIDE_BUILD", "build")

Run = tuple[int, str, str]
"""Exit status, stdout and stderr."""
Call = Callable[..., Run]

LABELS = ("red", "green", "blue")
SIZE_PX = 96
RULES = Preprocessing(height_px=SIZE_PX, width_px=SIZE_PX)
THRESHOLD = {
    "value": 0.5,
    "n": 20,
    "coverage": 0.9,
    "coverage_interval": [0.7, 0.97],
    "precision": 0.95,
    "precision_interval": [0.7, 0.99],
}
"""A whole record, as the manifest has it."""
PROCESS_LIMIT_S = 120


def picture(label: int, index: int, width: int = 120, height: int = 100) -> Pixels:
    """A seeded picture of one of `LABELS`, uint8 (height, width, 3)."""
    rng = np.random.default_rng((label, index))
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    # A disc on a ground of any grey; its colour is the class.
    centre, radius = rng.uniform(0.35, 0.55, 2), rng.uniform(0.25, 0.35)
    disc = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2)[..., np.newaxis]
    colour = rng.uniform(0, 70, 3)
    colour[label] = rng.uniform(180, 255)
    values = np.where(disc, colour, rng.uniform(60, 190)) + rng.normal(0, 12, (height, width, 1))
    return np.clip(values, 0, 255).astype(np.uint8)


def encoded(pixels: Pixels | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def device(
    *arguments: str | Path,
    python: Path | None = None,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m device` in a new process and wait for it."""
    command = [str(python or sys.executable), "-m", "device", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )


def write_video(path: Path, codec: str, frames: int = 9) -> Path:
    """A film of red, green and blue discs, one after the other."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 128, 96
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(frames):
            pixels = picture(number % len(LABELS), number, 128, 96)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def assert_one_error_line(run: Run, words: str, status: int = 1) -> None:
    """Nothing was printed but one line that says "error:" and `words`."""
    got, stdout, stderr = run
    assert got == status and stdout == ""
    assert stderr.startswith("error: ") and stderr.endswith("\n")
    assert len(stderr.splitlines()) == 1, stderr
    assert words in stderr


def lines(text: str) -> list[dict[str, Any]]:
    """The objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def read_folder(folder: Path) -> dict[str, bytes]:
    """Name to content of the files that the manifest of a bundle covers, and the manifest."""
    names = (*contract.REQUIRED_FILES, contract.MANIFEST)
    return {name: (folder / name).read_bytes() for name in names}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a new folder; returns it."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def resealed(files: Mapping[str, bytes], /, **changes: Any) -> dict[str, bytes]:
    """The files of a bundle with a manifest that fits them, as a forger would seal it."""
    body = json.loads(files[contract.MANIFEST])
    body["files"] = {
        name: contract.file_record(data)
        for name, data in files.items()
        if name != contract.MANIFEST
    }
    return {**files, contract.MANIFEST: contract.seal_manifest({**body, **changes})}


def with_other_answers(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle whose golden outputs belong to other inputs, under a fitting manifest."""
    files = read_folder(bundle)
    with np.load(io.BytesIO(files[contract.GOLDEN])) as archive:
        arrays = dict(archive)
    arrays["probabilities"] = np.roll(arrays["probabilities"], 1, axis=0)
    data = io.BytesIO()
    np.savez(data, **arrays)
    return write_folder(folder, resealed({**files, contract.GOLDEN: data.getvalue()}))


def folded_weights(alpha: float, rng: np.random.Generator) -> Sequence[Any]:
    """Random weights for `train.network.backbone.build`, in network order, that keep colours apart.

    Kernels are He-scaled and sum to zero over their inputs: what all inputs share, after ReLUs
    the larger part, would otherwise drown what they differ in. Depthwise kernels mostly blur.
    """
    from train.network.backbone import STAGES, channels
    from train.network.weights import Convolution

    def full(size: int, inputs: int, outputs: int) -> Convolution:
        kernel = rng.normal(0, np.sqrt(2 / (size * size * inputs)), (size, size, inputs, outputs))
        kernel -= kernel.mean(axis=2, keepdims=True)
        return Convolution(kernel.astype(np.float32), uniform(outputs))

    def depthwise(inputs: int) -> Convolution:
        kernel = 0.12 + rng.normal(0, 0.03, (3, 3, inputs, 1))
        return Convolution(kernel.astype(np.float32), uniform(inputs))

    def uniform(count: int) -> npt.NDArray[np.float32]:
        return rng.uniform(-0.1, 0.1, count).astype(np.float32)

    width = channels(32, alpha)
    weights = [full(3, 3, width)]
    for expansion, stage_width, repeats, _ in STAGES:
        for _ in range(repeats):
            inner, out = expansion * width, channels(stage_width, alpha)
            if expansion != 1:
                weights.append(full(1, width, inner))
            weights += [depthwise(inner), full(1, inner, out)]
            width = out
    return [*weights, full(1, width, channels(1280, max(1.0, alpha)))]


def fit_head(features: npt.NDArray[np.float32], labels: Sequence[int]) -> list[Any]:
    """Kernel and bias of a 1x1 convolution that tells the classes apart, by ridge regression.

    Args:
        features: float32 (n, features), pooled.
        labels: index of each picture's class.
    """
    mean = features.mean(axis=0)
    rows = (features - mean).astype(np.float64)
    wanted = 4.0 * (np.eye(len(LABELS))[list(labels)] - 1 / len(LABELS))
    gram = rows @ rows.T
    ridge = 0.05 * np.trace(gram) / len(rows)
    kernel = rows.T @ np.linalg.solve(gram + ridge * np.eye(len(rows)), wanted)
    bias = -mean @ kernel
    return [kernel[np.newaxis, np.newaxis].astype(np.float32), bias.astype(np.float32)]


def chapter_of(classes: int = len(LABELS), size_px: int = SIZE_PX, *, photos: int = 6) -> Any:
    """The report's chapter on a small network with random weights; made once for each call."""
    return _chapter_of(classes, size_px, photos)


@cache
def _chapter_of(classes: int, size_px: int, photos: int) -> Any:
    from train.report.chapter import look
    from train.report.network_views import Candidate

    labels = [f"class {number}" for number in range(classes)]
    candidates = [
        Candidate(f"{labels[i % classes]}/{i}.png", i % classes, square_picture(i, size_px))
        for i in range(photos)
    ]
    return look(random_network(classes, size_px), candidates, labels, "block_12")


def square_picture(index: int, size_px: int = SIZE_PX) -> Pixels:
    """`picture`, of any class and as the network gets it."""
    return picture(index % len(LABELS), index, size_px, size_px)


@cache
def random_network(classes: int = len(LABELS), size_px: int = SIZE_PX) -> Any:
    """A narrow classifier with random weights."""
    from train.network.backbone import Architecture, build, classifier

    rng = np.random.default_rng(classes)
    backbone = build(Architecture(alpha=0.35, size_px=size_px), folded_weights(0.35, rng))
    network = classifier(backbone, classes)
    head = network.get_layer("class_map")
    head.set_weights([rng.normal(0, 0.3, head.kernel.shape), rng.normal(0, 1, head.bias.shape)])
    return network


def int8_io_model(network: Any, plan: Any) -> bytes:
    """The network as `convert.quantize.export.int8_model` makes it, but int8 in and out."""
    import tensorflow as tf

    from convert.quantize.plan import forward

    pixels = tf.TensorSpec((1, SIZE_PX, SIZE_PX, 3), tf.float32)
    call = tf.function(lambda scaled: forward(network, plan, scaled), jit_compile=False)
    function = call.get_concrete_function(pixels)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())
