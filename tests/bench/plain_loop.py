"""The loop a user would write today: OpenCV or Pillow, an interpreter, one thread. Not our code.

Runs in an environment of its own, with nothing of this project: `plain_loop.py WHAT MODEL LABELS
FRAMES THREADS COUNT`, where WHAT is "bare" (the interpreter alone), "opencv" or "pillow". FRAMES is
a .npy file, uint8 (n, 480, 640, 3). Prints one JSON object; its "pixels" are a digest of what the
model saw of the first frames.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

Pixels = npt.NDArray[np.uint8]

COMPARED = 4
"""Frames whose pixels tell whether two loops give the model the same."""


def main() -> None:
    what, model, labels_file, frames_file, threads, count = sys.argv[1:]
    labels = Path(labels_file).read_text().split("\n")
    frames = np.load(frames_file)
    interpreter: Any = Interpreter(model_path=model, num_threads=int(threads))
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    output = next(o for o in interpreter.get_output_details() if len(o["shape"]) == 2)
    height, width = given["shape"][1:3]
    ways = {"opencv": opencv, "pillow": pillow}
    resize = ways.get(what)
    sink = Path(os.devnull).open("w")  # noqa: SIM115
    pixels = np.zeros((height, width, 3), np.uint8)
    seconds, invokes = [], []
    for number in range(int(count) + 10):
        started = time.perf_counter()
        if resize:
            pixels = resize(frames[number % len(frames)], width, height)
        if resize or number == 0:
            interpreter.set_tensor(given["index"], pixels[np.newaxis])
        before = time.perf_counter()
        interpreter.invoke()
        invokes.append(time.perf_counter() - before)
        if resize:
            scores = interpreter.get_tensor(output["index"])[0] / 255
            best = int(scores.argmax())
            line = {"frame": number, "label": labels[best], "score": float(scores[best])}
            print(json.dumps(line), file=sink)
        seconds.append(time.perf_counter() - started)
    seconds, invokes = seconds[10:], invokes[10:]
    added = np.array(seconds) - invokes
    record = {
        "fps": len(seconds) / sum(seconds),
        "invoke_p50_ms": float(np.percentile(invokes, 50) * 1e3),
        "added_p95_ms": float(np.percentile(added, 95) * 1e3),
        "pixels": resize and digest(resize(frame, width, height) for frame in frames[:COMPARED]),
    }
    print(json.dumps(record))


def digest(pictures: Iterable[Pixels]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in pictures)).hexdigest()


def opencv(frame: Pixels, width: int, height: int) -> Pixels:
    import cv2

    side = min(frame.shape[:2])
    top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    square = frame[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (int(width), int(height))))


def pillow(frame: Pixels, width: int, height: int) -> Pixels:
    from PIL import Image

    image = Image.fromarray(frame)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.crop(box).resize((int(width), int(height)), Image.Resampling.BILINEAR))


if __name__ == "__main__":
    main()
