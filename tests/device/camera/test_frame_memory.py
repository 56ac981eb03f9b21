"""Every frame that is accepted fits into the memory that the service's unit allows it."""

import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from device.contract import bundle as contract
from device.contract.look.rules import Region
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.running_service import Running, running, settings
from tests.support.peers.cameras import MjpegCamera, mjpeg_camera
from tests.support.pictures import encoded
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.timing import eventually

BEFORE_SWAP_S, AFTER_SWAP_S = 3.5, 1.5
VIEWERS = 4
GROUPS = Path("/sys/fs/cgroup")


def allowed_bytes() -> int:
    unit = (ROOT / "device" / "deploy" / "fieldguide.service").read_text()
    found = re.search(r"^MemoryMax=(\d+)M$", unit, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 2**20


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """A control group as systemd makes one for a unit; its processes die above the limit."""
    one = (GROUPS / "memory").is_dir()
    group = (GROUPS / "memory" if one else GROUPS) / f"fieldguide-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("only root with control groups of its own can limit memory")
    try:
        try:
            name = "memory.limit_in_bytes" if one else "memory.max"
            (group / name).write_text(str(limit_bytes))
            with suppress(OSError):
                (group / "memory.swap.max").write_text("0")
        except OSError:
            pytest.skip("the memory of control groups cannot be limited here")
        yield group
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def scenes(width: int, height: int) -> list[bytes]:
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 255, (54, 96, 3), np.uint8) for _ in range(3)]
    large = (Image.fromarray(s).resize((width, height), Image.Resampling.BICUBIC) for s in small)
    return [encoded(image, "JPEG", quality=85) for image in large]


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera(fps=6) as server:
        yield server


def look(service: Running, port: int, stop: threading.Event) -> None:
    """As pages do that are opened one after the other; all but the first then hold their frame."""
    names = [secrets.token_hex(16) for _ in range(VIEWERS)]
    started_s = time.monotonic()
    while not stop.wait(0.1) and not service.ended:
        past_s = time.monotonic() - started_s
        for number, name in enumerate(names):
            route = "live" if number == 0 or past_s < 1 + number / 2 else "health"
            with suppress(OSError):
                urlopen(f"http://127.0.0.1:{port}/{route}?viewer={name}", timeout=10).read()


@contextmanager
def looked_at(service: Running, port: int) -> Iterator[None]:
    """A service whose page is open in several browsers."""
    stop = threading.Event()
    looking = threading.Thread(target=look, args=(service, port, stop), daemon=True)
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()


def sees(service: Running, label: str) -> bool:
    return any(label in str(line["top"]) for line in service.lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height"),
    [(3840, 2160), (4096, 2160), (2974, 2974), (4056, 3040), (4096, 4096), (6560, 5392)],
)
def test_the_largest_frames_fit_beside_viewers_collected_photos_and_a_new_model(
    width: int, height: int, camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    photos, numbers = scenes(width, height), iter(range(10**9))
    camera.frame = lambda: photos[next(numbers) % 3]
    current, port = tmp_path / "current", free_port()
    looks = resealed(read_folder(tiny_bundle), region=Region.CHANGE)
    current.symlink_to(write_folder(tmp_path / "looks", looks))
    more = f"""
[output.web]
enabled = true
port = {port}
[output.collect]
enabled = true
path = "{tmp_path}/collected"
min_free_mb = 0
margin = 1.0
max_per_minute = 600
"""
    text = settings(current, camera.url, more).replace("stall_timeout_s = 1.0\n", "")
    with memory_group(allowed_bytes()) as group:
        python = tmp_path / "python"
        python.write_text(
            f'#!/bin/sh\necho $$ > {group}/cgroup.procs\nexec {sys.executable} "$@"\n'
        )
        python.chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", str(python))
            with running(tmp_path, text, MALLOC_ARENA_MAX="1") as service:
                service.wait_for_lines(2)
                assert service.lines[-1]["seen"], "it looks before it classifies"
                with looked_at(service, port):
                    time.sleep(BEFORE_SWAP_S)
                    renamed = {**looks, contract.LABELS: b"rouge\nvert\nbleu\n"}
                    new = tmp_path / "new"
                    new.symlink_to(write_folder(tmp_path / "renamed", resealed(renamed)))
                    new.replace(current)
                    eventually(lambda: service.ended or sees(service, "rouge"), 30)
                    time.sleep(AFTER_SWAP_S)
                assert not service.ended, service.process.poll()
                highest = re.search(
                    r"VmHWM:\s+(\d+) kB", Path(f"/proc/{service.process.pid}/status").read_text()
                )
                assert highest is not None
                print(f"\n{width}x{height}: highest {int(highest[1]) / 1000:.0f} MB resident")
                assert len(service.lines) > 3
                assert sees(service, "rouge")
                assert service.stop()[0] == 0
