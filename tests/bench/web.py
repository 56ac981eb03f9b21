"""What slow clients and viewers of the web page cost inference: `python -m tests.bench.web`.

The service's pipeline runs as fast as it can on 640x480 frames in memory, with the web page as a
sink; the clients are another process. Crowds take turns with peace, and each is compared with the
peace before and after it, so that other work on the machine hits both.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device.contract import bundle
from device.inference.trial import Trial
from device.outputs.sink import Context
from device.outputs.thread import SinkThread
from device.outputs.web.sink import Web
from device.service.inference_thread import InferenceThread
from device.service.systemd import Notifier
from device.settings.sections import BundleConfig, Config, InferenceConfig, OutputConfig, WebConfig
from device.telemetry.counters import Telemetry
from tests.bench.device import Camera, camera_frames

CROWDS = {"100 slow clients": (100, 0), "4 viewers": (0, 4), "both": (100, 4)}
SETTLE_S = 1.5
Shares = dict[str, list[tuple[float, float]]]


@contextmanager
def crowd(port: int, slow: int, viewers: int) -> Iterator[None]:
    script = Path(__file__).with_name("slow_clients.py")
    command = [sys.executable, script, port, slow, viewers]
    # The crowd must not take the processor that is measured.
    process = subprocess.Popen(["nice", "-n", "10", *map(str, command)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def rate(telemetry: Telemetry, seconds: float) -> tuple[float, float]:
    """Over the next seconds: inferences a second, and the share of a core that the page takes."""
    time.sleep(SETTLE_S)
    before, cpu_s = telemetry.snapshot().inferences_total, page_cpu_s()
    started_s = time.monotonic()
    time.sleep(seconds)
    passed_s = time.monotonic() - started_s
    count = telemetry.snapshot().inferences_total - before
    return count / passed_s, (page_cpu_s() - cpu_s) / passed_s


def page_cpu_s() -> float:
    """Processor time of the server's thread and the sink's so far."""
    clocks = [
        time.pthread_getcpuclockid(thread.ident)
        for thread in threading.enumerate()
        if thread.name in ("http-web", "sink-web") and thread.ident is not None
    ]
    return sum(map(time.clock_gettime, clocks))


def measure(telemetry: Telemetry, port: int, rounds: int, seconds: float) -> Shares:
    """For each crowd and round: the rate as a share of that in peace, and the page's of a core."""
    shares: Shares = {name: [] for name in CROWDS}
    calm = [rate(telemetry, seconds)]
    for _ in range(rounds):
        for name, (slow, viewers) in CROWDS.items():
            with crowd(port, slow, viewers):
                crowded, core = rate(telemetry, seconds)
            calm.append(rate(telemetry, seconds))
            around = statistics.mean(speed for speed, _ in calm[-2:])
            shares[name].append((crowded / around, core))
    speed, core = (statistics.median(values) for values in zip(*calm, strict=True))
    print(f"in peace: {speed:.1f} frames/s, the page takes {core:.2%} of a core")
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    output = OutputConfig(web=WebConfig(enabled=True, port=0))
    inference = InferenceConfig(max_fps=1000, threads=1)
    config = Config(BundleConfig(str(options.bundle)), inference=inference, output=output)
    telemetry = Telemetry()
    with tempfile.TemporaryDirectory() as folder:
        frames, _ = camera_frames(loaded, Path(folder))
    page = Web(Context(config, telemetry.snapshot, lambda observation, label: ""))
    sink = SinkThread(page, telemetry)
    camera: Any = Camera(frames, 10**9, None)
    model = Trial().load(loaded, inference)
    thread = InferenceThread(
        camera, model, config, lambda: (sink,), telemetry, Notifier({}), lambda fault: None
    )
    while not page.port:
        time.sleep(0.1)
    shares = measure(telemetry, page.port, options.rounds, options.seconds)
    thread.close()
    sink.start_closing()
    sink.join(1)
    for name, values in shares.items():
        speeds, cores = zip(*values, strict=True)
        spread = f"{min(speeds):.1%} to {max(speeds):.1%} in {len(speeds)} rounds"
        print(
            f"{name:18} {statistics.median(speeds):6.1%} of the speed in peace ({spread}); "
            f"the page takes {statistics.median(cores):.2%} of a core"
        )


if __name__ == "__main__":
    main()
