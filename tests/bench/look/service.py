"""What the service costs while nothing is there, beside what it costs to classify every frame.

    python -m tests.bench.look.service --bundle build/bundle [--fps 30] [--seconds 30]

The processor time of its process, once its background is known and its place is calm, at the same
rate of frames: from a camera whose frames come decoded, as of a CSI camera, and the whole service
on JPEGs over HTTP.
"""

import argparse
import itertools
import os
import queue
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from device.contract import bundle as contract
from device.contract.look.rules import Region
from device.inference.pace import CALM_S
from device.inference.threads import Workload
from device.inference.trial import Trial
from device.outputs.json_lines import JsonLines
from device.outputs.thread import SinkThread
from device.service.inference_thread import InferenceThread
from device.service.systemd import Notifier
from device.settings.sections import (
    LOOK_CHANGE,
    LOOK_WHOLE,
    CameraConfig,
    Config,
    InferenceConfig,
    JsonConfig,
)
from device.telemetry.counters import Telemetry
from tests.bench.device import Camera
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.running_service import running
from tests.support.films import Film, shots
from tests.support.peers.cameras import mjpeg_camera
from tests.support.pictures import encoded

FRAME_PX = (640, 480)
LEARN_S, CALM_BY_S = 12.0, 15.0 + CALM_S
WAYS = (LOOK_WHOLE, LOOK_CHANGE)


def decoded_share(folder: Path, frames: Any, fps: float, seconds: float, look: str) -> float:
    """Processor time per second of the frame loop with frames from memory, 1 for one core."""
    loaded = contract.load(folder)
    camera = CameraConfig(look=look)
    config = Config(camera=camera, inference=InferenceConfig(max_fps=fps))
    model = Trial().load(loaded, config.inference, Workload(fps, FRAME_PX, False, look))
    telemetry, ends = Telemetry(), queue.SimpleQueue[BaseException | None]()
    sink = SinkThread(JsonLines(JsonConfig(path="/dev/null")), telemetry)
    source: Any = Camera(frames, 10**9, fps)
    thread = InferenceThread(
        source, model, config, lambda: (sink,), telemetry, Notifier({}), ends.put
    )
    time.sleep(CALM_BY_S if look == LOOK_CHANGE else LEARN_S)
    before_s, started_s = time.process_time(), time.monotonic()
    time.sleep(seconds)
    share = (time.process_time() - before_s) / (time.monotonic() - started_s)
    thread.close()
    sink.start_closing()
    sink.join(1)
    return share


def served_share(folder: Path, url: str, fps: float, seconds: float, look: str) -> float:
    """Processor time per second of the whole service on a camera over HTTP."""
    text = f"""
[bundle]
path = "{folder}"
[camera]
source = "{url}"
look = "{look}"
[inference]
max_fps = {fps}
"""
    with tempfile.TemporaryDirectory() as name, running(Path(name), text) as service:
        service.wait_for_lines(1)
        time.sleep(CALM_BY_S if look == LOOK_CHANGE else LEARN_S)
        before_s, started_s = _cpu_s(service.process.pid), time.monotonic()
        time.sleep(seconds)
        share = (_cpu_s(service.process.pid) - before_s) / (time.monotonic() - started_s)
        seen = {line.get("seen") for line in service.lines[-5:]}
        assert seen == {"nothing" if look == LOOK_CHANGE else None}, seen
    return share


def _cpu_s(pid: int) -> float:
    """Seconds of user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args(arguments)
    film = Film(8, fps=4, size_px=FRAME_PX)
    frames = np.stack([shot.pixels for shot in shots(film)])
    jpegs = itertools.cycle([encoded(pixels, "JPEG", quality=90) for pixels in frames])
    with tempfile.TemporaryDirectory() as name, mjpeg_camera(options.fps) as camera:
        camera.frame = lambda: next(jpegs)
        files = resealed(read_folder(options.bundle), region=Region.CHANGE)
        folder = write_folder(Path(name) / "bundle", files)
        rate = (options.fps, options.seconds)
        rows = {
            "frames that come decoded": [decoded_share(folder, frames, *rate, w) for w in WAYS],
            "JPEGs over HTTP, whole service": [
                served_share(folder, camera.url, *rate, w) for w in WAYS
            ],
        }
    print(f"{options.fps:g} frames/s of 640x480 with nothing there, shares of one core")
    print("| | every frame classified | looked at | share |\n|---|---|---|---|")
    for what, (whole, look) in rows.items():
        print(f"| {what} | {whole:.1%} | {look:.1%} | {look / whole:.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
