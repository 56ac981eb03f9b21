"""The benchmark of the frame loop: times, memory, and the time to the first label."""

import math
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device import child
from device.camera.frame import FrameSource
from device.camera.source import open_source
from device.contract.bundle import Bundle
from device.errors import SourceError
from device.inference.classifier import Classifier
from device.inference.loop import results
from device.inference.threads import FRAME_PX, Way, Workload, camera_jpeg, look_for
from device.inference.trial import Trial
from device.settings.sections import LOOK_AUTO, InferenceConfig

WARM_UP_FRAMES = 5
SYNTHETIC_FRAMES = 64
START_TIMEOUT_S = 120


@dataclass(frozen=True)
class Measurement:
    """Times in milliseconds, memory in MiB."""

    frames: int
    runtime: str
    threads: int
    ahead: bool
    """Whether the next frame is prepared while the model runs."""
    invoke_p50_ms: float
    invoke_p95_ms: float
    frame_p50_ms: float
    """One frame from reading its file to its scores."""
    frame_p95_ms: float
    overhead_p50_ms: float
    """The same without invoke."""
    overhead_p95_ms: float
    fps: float
    """Frames per second of the loop."""
    resident_mib: float
    resident_peak_mib: float
    first_label_s: float
    """From starting a new process to its first line of output."""

    def record(self) -> dict[str, Any]:
        """As a JSON object, rounded to what is meaningful."""
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}


def best_way(bundle: Bundle, runtime: str, threads: int | None) -> Way:
    """How the service would run the loop if frames came as fast as it can take them.

    Raises:
        SelfTestError: if the model cannot run at all.
    """
    workload = Workload(max_fps=math.inf, look=LOOK_AUTO)
    check = Trial().check(bundle, runtime, InferenceConfig(threads=threads or 0), workload)
    return Way(check.threads, check.ahead)


def measure(
    bundle: Bundle,
    classifier: Classifier,
    folder: Path,
    *,
    frames: int,
    way: Way,
    first_label_s: float,
) -> Measurement:
    """Run the frame loop over a folder, again and again until `frames` frames are done.

    Raises:
        SourceError: if the folder has no usable photo.
    """
    invokes, overheads = [], []
    source = Repeated(lambda: open_source(str(folder), bundle.preprocessing))
    started = time.perf_counter()
    look, count = look_for(classifier, LOOK_AUTO, FRAME_PX), frames + WARM_UP_FRAMES
    for result in results(source, classifier, count, ahead=way.ahead, look=look):
        if result.number == WARM_UP_FRAMES:
            started = time.perf_counter()
        if result.prediction is not None and result.number >= WARM_UP_FRAMES:
            invokes.append(result.invoke_s * 1e3)
            overheads.append((result.frame.decode_s + result.overhead_s) * 1e3)
    elapsed_s = time.perf_counter() - started
    if not invokes:
        raise SourceError(f"{folder}: not one photo could be used")
    invoke, overhead = np.array(invokes), np.array(overheads)
    resident, peak = resident_mib()
    return Measurement(
        frames=len(invokes),
        runtime=f"{classifier.runtime.name} {classifier.runtime.version}",
        threads=way.threads,
        ahead=way.ahead,
        **_percentiles("invoke", invoke),
        **_percentiles("frame", invoke + overhead),
        **_percentiles("overhead", overhead),
        fps=max(len(invokes) - 1, 1) / elapsed_s,
        resident_mib=resident,
        resident_peak_mib=peak,
        first_label_s=first_label_s,
    )


@dataclass(frozen=True)
class Repeated(FrameSource):
    """A source that is opened again each time it ends."""

    open: Callable[[], FrameSource]

    def frames(self) -> Any:
        """Yield the source's frames without end."""
        while True:
            yield from self.open().frames()


def write_camera_frames(bundle: Bundle, folder: Path) -> None:
    """Write the golden inputs, enlarged with noise, as 640x480 JPEG frames."""
    rng = np.random.default_rng(0)
    inputs = bundle.golden_arrays()["inputs"]
    for i in range(SYNTHETIC_FRAMES):
        jpeg = camera_jpeg(inputs[i % len(inputs)], rng)
        (folder / f"frame_{i:03d}.jpg").write_bytes(jpeg)


def first_label_s(bundle_path: Path, photo: Path, runtime: str) -> float:
    """Seconds from starting `device classify` in a new process to its first line."""
    command = child.command("-m", "device", "classify", "--bundle", str(bundle_path))
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--runtime", runtime, "--json", str(photo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child.environment(),
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.wait(timeout=START_TIMEOUT_S)
    if not line:
        raise SourceError(f"{photo}: a new process could not classify it")
    return seconds


def resident_mib() -> tuple[float, float]:
    """Resident memory of this process now and at its peak; NaN where /proc is missing."""
    values = {"VmRSS": float("nan"), "VmHWM": float("nan")}
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            key, _, rest = line.partition(":")
            if key in values:
                values[key] = int(rest.split()[0]) / 1024
    return values["VmRSS"], values["VmHWM"]


def temporary_frames(bundle: Bundle) -> "tempfile.TemporaryDirectory[str]":
    """A folder of synthetic camera frames that removes itself."""
    folder = tempfile.TemporaryDirectory(prefix="fieldguide-frames-")
    write_camera_frames(bundle, Path(folder.name))
    return folder


def _percentiles(name: str, values: Any) -> dict[str, float]:
    p50, p95 = np.percentile(values, (50, 95))
    return {f"{name}_p50_ms": float(p50), f"{name}_p95_ms": float(p95)}
