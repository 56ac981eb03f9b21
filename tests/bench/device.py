"""`make bench-device`: the service's loop beside a plain one and the bare interpreter, in one run.

All see the same 640x480 frames in memory, so that no decoder is measured; rounds take turns, so
that other work on the machine hits all alike, and the medians of the rounds are printed.
"""

import argparse
import io
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import device
from device.bench import frame_loop
from device.camera.frame import Frame, Polled
from device.contract import bundle, preprocess
from device.inference.threads import MOST_THREADS, Workload
from device.inference.trial import LoadedModel, Trial
from device.outputs.json_lines import JsonLines
from device.outputs.thread import SinkThread
from device.service.inference_thread import InferenceThread
from device.service.systemd import Notifier
from device.settings.sections import Config, InferenceConfig, JsonConfig
from device.telemetry.counters import Telemetry
from device.telemetry.observation import Observation
from tests.bench import plain_loop
from tests.support.device.running_service import running
from tests.support.peers.cameras import mjpeg_camera

CAMERA_FPS = 30
STARTS = 5
WARM_UP = 10
SERVICE_FRAMES = 300
MAX_FPS = 1000
UNIT = Path(device.__file__).parent / "deploy" / "fieldguide.service"


class Camera(Polled):
    """Frames from memory, as a camera gives them: as fast as they are taken, or at a pace.

    Asked as `device.camera.live.LiveCapture` is, without its thread: that one decodes frames, and
    the plain loops have theirs in memory, too.
    """

    live = True

    def __init__(self, frames: npt.NDArray[np.uint8], count: int, fps: float | None) -> None:
        self._frames, self._count, self._fps = frames, count, fps
        self._number, self._started_s = 0, time.monotonic()

    @property
    def ended(self) -> bool:
        return self._number == self._count

    def poll(self, timeout_s: float) -> Frame | None:
        if self.ended:
            return None
        if self._fps:
            rest_s = self._started_s + self._number / self._fps - time.monotonic()
            time.sleep(min(max(0.0, rest_s), timeout_s))
            if rest_s > timeout_s:
                return None
        number, self._number = self._number, self._number + 1
        picture = self._frames[number % len(self._frames)]
        return Frame(f"#{number}", picture, captured_s=time.monotonic())

    def frames(self) -> Iterator[Frame]:
        while not self.ended:
            if (frame := self.poll(1)) is not None:
                yield frame


class Tap:
    """Takes every observation where the sinks' mailboxes are."""

    wants_pictures = False

    def __init__(self) -> None:
        self.sink = self
        self.seen: list[tuple[float, Observation]] = []

    def put(self, observation: Observation) -> None:
        self.seen.append((time.monotonic(), observation))


def ours(model: LoadedModel, frames: npt.NDArray[np.uint8], count: int, fps: float | None) -> Tap:
    """Run the service's pipeline with a JSON sink over so many frames."""
    ends: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    telemetry, tap = Telemetry(), Tap()
    sink = SinkThread(JsonLines(JsonConfig(path="/dev/null")), telemetry)
    config = Config(inference=InferenceConfig(max_fps=MAX_FPS))
    camera: Any = Camera(frames, count + WARM_UP, fps)
    sinks: Any = (sink, tap)
    thread = InferenceThread(
        camera, model, config, lambda: sinks, telemetry, Notifier({}), ends.put
    )
    fault = ends.get()
    thread.close()
    sink.start_closing()
    sink.join(1)
    if fault is not None:
        raise fault
    tap.seen = tap.seen[WARM_UP:]
    return tap


def throughput(tap: Tap) -> float:
    return (len(tap.seen) - 1) / (tap.seen[-1][0] - tap.seen[0][0])


def added_p95_ms(tap: Tap) -> float:
    """From the captured frame to its label in the mailboxes, without invoke."""
    added = [at_s - seen.monotonic_s - seen.invoke_s for at_s, seen in tap.seen]
    return float(np.percentile(added, 95) * 1e3)


def plain(python: str, what: str, folder: Path, frames: Path, threads: int, count: int) -> Any:
    script = Path(__file__).with_name("plain_loop.py")
    files = [folder / bundle.MODEL, folder / bundle.LABELS, frames]
    command = [python, script, what, *files, threads, count]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def service(folder: Path, source: str) -> tuple[float, float]:
    """The whole service on JPEG frames: seconds to the first label, resident MiB later."""
    text = f'[bundle]\npath = "{folder}"\n[camera]\nsource = "{source}"\n'
    starts = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(STARTS):
            with running(Path(name), text, **unit_environment()) as process:
                process.wait_for_lines(1)
                starts.append(time.monotonic() - process.started_s)
        with running(Path(name), text, **unit_environment()) as process:
            process.wait_for_lines(SERVICE_FRAMES, within_s=120)
            status = Path(f"/proc/{process.process.pid}/status").read_text()
    return statistics.median(starts), memory_mib(status)


def unit_environment() -> dict[str, str]:
    """What the unit sets for the service."""
    lines = UNIT.read_text().splitlines()
    return dict(
        line.removeprefix("Environment=").split("=", 1)
        for line in lines
        if line.startswith("Environment=")
    )


def memory_mib(status: str) -> float:
    return next(int(x.split()[1]) / 1024 for x in status.splitlines() if x.startswith("VmRSS"))


def camera_frames(loaded: bundle.Bundle, folder: Path) -> tuple[npt.NDArray[np.uint8], list[bytes]]:
    frame_loop.write_camera_frames(loaded, folder)
    jpegs = [path.read_bytes() for path in sorted(folder.iterdir())][:32]
    return np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in jpegs]), jpegs


def loops() -> dict[str, tuple[str, int]]:
    """The loops beside ours, by name: what `plain_loop.py` does, on how many threads."""
    numbers = range(1, min(len(os.sched_getaffinity(0)), MOST_THREADS) + 1)
    kinds = ("bare", "opencv", "pillow")
    return {f"{kind} {threads}": (kind, threads) for kind in kinds for threads in numbers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--plain-python", default=sys.executable, help="Python with OpenCV")
    parser.add_argument("--frames", type=int, default=200, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    model = Trial().load(loaded, InferenceConfig(), Workload(MAX_FPS, encoded=False))
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in ("ours", *loops())}
    with tempfile.TemporaryDirectory() as name:
        jpeg_folder = Path(name) / "jpeg"
        jpeg_folder.mkdir()
        frames, jpegs = camera_frames(loaded, jpeg_folder)
        file = Path(name) / "frames.npy"
        np.save(file, frames)
        for _ in range(options.rounds):
            for loop, (what, threads) in loops().items():
                where = options.plain_python, what, options.bundle, file
                rounds[loop].append(plain(*where, threads, options.frames))
            rounds["ours"].append(our_round(model, frames, options.frames))
        report(rounds, model)
        report_service("a folder", *service(options.bundle, str(many(jpeg_folder))))
        number = iter(range(10**9))
        with mjpeg_camera(CAMERA_FPS) as camera:
            camera.frame = lambda: jpegs[next(number) % len(jpegs)]
            report_service("HTTP", *service(options.bundle, camera.url))


def our_round(model: LoadedModel, frames: npt.NDArray[np.uint8], count: int) -> dict[str, Any]:
    fast = ours(model, frames, count, None)
    paced = ours(model, frames, count // 2, CAMERA_FPS)
    return {
        "fps": throughput(fast),
        "invoke_p50_ms": float(np.median([seen.invoke_s for _, seen in fast.seen]) * 1e3),
        "added_p95_ms": added_p95_ms(paced),
        "pixels": plain_loop.digest(
            preprocess.prepare_frame(frame, model.classifier.preprocessing)
            for frame in frames[: plain_loop.COMPARED]
        ),
    }


def many(folder: Path) -> Path:
    """Enough frames for every run, as links."""
    for path in list(folder.iterdir()):
        for number in range(10):
            path.with_name(f"{path.stem}_{number}.jpg").hardlink_to(path)
    return folder


def report(rounds: dict[str, list[dict[str, Any]]], model: LoadedModel) -> None:
    order, cores = "ahead" if model.ahead else "in turn", len(os.sched_getaffinity(0))
    print(
        f"640x480 frames, medians of {len(rounds['ours'])} rounds on {cores} cores; "
        f"ours chose threads: {model.info.threads}, frames prepared {order}"
    )
    columns = ("frames/s", "of bare", "invoke p50 ms", "added p95 ms")
    print(f"{'loop':9} {columns[0]:>9} {columns[1]:>8} {columns[2]:>14} {columns[3]:>13}  pixels")
    best = fastest(rounds, [name for name in rounds if name.startswith("bare")])
    same = [name for name in rounds if name != "ours" and has_our_pixels(rounds, name)]
    for name, figures in rounds.items():
        fps, invoke, added = (
            statistics.median(f[key] for f in figures)
            for key in ("fps", "invoke_p50_ms", "added_p95_ms")
        )
        share = statistics.median(ratios(figures, best))
        pixels = "the same" if name in same else "others" if figures[0]["pixels"] else "none"
        pixels = "ours" if name == "ours" else pixels
        print(f"{name:9} {fps:9.1f} {share:8.1%} {invoke:14.2f} {added:13.2f}  {pixels}")
    shares = ratios(rounds["ours"], fastest(rounds, same))
    low, high = np.percentile(shares, (25, 75))
    print(
        f"ours / best plain loop with the same pixels: {statistics.median(shares):.2f} "
        f"({low:.2f} to {high:.2f} in half of the rounds)"
    )


def fastest(rounds: dict[str, list[dict[str, Any]]], names: list[str]) -> list[float]:
    """Frames a second of the fastest of some loops, in each round."""
    return [max(f["fps"] for f in turn) for turn in zip(*map(rounds.get, names), strict=True)]


def ratios(figures: list[dict[str, Any]], best: list[float]) -> list[float]:
    return [f["fps"] / b for f, b in zip(figures, best, strict=True)]


def has_our_pixels(rounds: dict[str, list[dict[str, Any]]], name: str) -> bool:
    return bool(rounds[name][0]["pixels"] == rounds["ours"][0]["pixels"])


def report_service(source: str, first_label_s: float, resident_mib: float) -> None:
    print(
        f"service, {CAMERA_FPS} frames/s of 640x480 JPEG from {source}: first label "
        f"{first_label_s:.2f} s after its start (median of {STARTS}), resident {resident_mib:.1f} "
        f"MiB after {SERVICE_FRAMES} frames, preview off"
    )


if __name__ == "__main__":
    main()
