"""What the service survives: full disks, damaged pictures, and a long life full of faults."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from device.contract import bundle as contract
from device.contract import provenance
from device.contract.folders import photos_below
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.running_service import Running, manager, running, settings
from tests.support.peers.cameras import MjpegCamera, jpeg, mjpeg_camera
from tests.support.pictures import encoded, picture
from tests.support.places import ROOT
from tests.support.timing import eventually, slowdown

DAMAGED_PICTURES = 10_000
SOAK_S = float(os.environ.get("FIELDGUIDE_SOAK_S", "30"))
"""`make soak` makes it an hour."""
LONG_S = 600.0
WARM_UP_S = 8.0
MOST_GROWTH_MB, MOST_GROWTH_PER_FAULT_MB = 3.0, 0.002
"""In a long run, between its first and last quarter after the warm-up: noise of the allocator. One
frame left behind per fault would be 0.037 MB, a hundred bytes per inference 14 MB in an hour."""
MOST_RESIDENT_MB = 80.0
MOST_GROWTH_SHARE = 0.15
"""In a short one, of what it had at first: how soon the allocator comes to rest depends on what
else the machine does. One frame left behind per inference would be a third."""
FAULTS_IN_THE_LOG = (
    "camera: frames are back",
    "settings reloaded",
    "model: tiny",
    "the previous one keeps running",
)


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera() as server:
        yield server


@contextmanager
def small_disk(folder: Path, size: str = "400k") -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size={size} none {folder} 2>/dev/null"):
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        os.system(f"umount -l {folder}")


def changing() -> Callable[[], bytes]:
    """A scene that is another one every time."""
    count = 0

    def frame() -> bytes:
        nonlocal count
        count += 1
        return encoded(picture(count // 8 % 3, count, 128, 96), "JPEG", quality=90)

    return frame


# --- full disk ------------------------------------------------------------------------------------


FULL, FREE = "No space left on device", "works again"


def told(log: list[str]) -> list[str]:
    """What is said of a disk, in order."""
    return [word for line in log for word in (FULL, FREE) if word in line]


def test_a_full_disk_is_said_once_and_lines_go_on_when_there_is_room(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk, manager(tmp_path) as (address, messages):
        lines = disk / "lines.jsonl"
        text = settings(tiny_bundle, camera.url, f'[output.json]\npath = "{lines}"')
        with running(tmp_path, text, NOTIFY_SOCKET=address) as service:
            eventually(lambda: lines.exists() and lines.stat().st_size)
            filler = disk / "filler"
            filler.write_bytes(b"")
            with filler.open("ab") as file, pytest.raises(OSError, match="No space left"):
                while True:
                    os.write(file.fileno(), bytes(4096))
            service.wait_for_log(FULL)
            seen = messages.count("WATCHDOG=1")
            eventually(lambda: messages.count("WATCHDOG=1") >= seen + 2)
            filler.unlink()
            eventually(lambda: told(service.log)[-1] == FREE)
            size = lines.stat().st_size
            eventually(lambda: lines.stat().st_size > size)
            assert service.stop()[0] == 0
        assert all(json.loads(line) for line in lines.read_text().splitlines())
    # A shorter line may still have fitted into the last block: each time it gets full is said, and
    # not each frame.
    times = told(service.log).count(FULL)
    assert told(service.log) == [FULL, FREE] * times and times <= 3


@pytest.mark.slow
def test_collecting_is_turned_on_by_a_reload_and_stays_in_a_small_disk(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    camera.frame = changing()
    with small_disk(tmp_path / "disk") as disk:
        base = settings(tiny_bundle, camera.url)
        collect = f"""
[output.collect]
enabled = true
path = "{disk}/collected"
max_per_minute = 600
margin = 1.0
min_free_mb = 0
"""
        with running(tmp_path, base) as service:
            service.wait_for_lines(3)
            service.reload(base + collect)
            eventually(lambda: len(list(disk.rglob("*.jpg"))) > 20, 30)
            service.wait_for_lines(100)
            assert service.stop()[0] == 0
        photos = list(photos_below(disk / "collected"))
        assert photos and all(path.is_relative_to(disk / "collected/_review") for path in photos)
        for path in photos:
            record = provenance.read(path.read_bytes())
            assert record is not None and record.source.startswith("http://127.0.0.1")
    assert not any("Traceback" in line for line in service.log)


# --- damaged pictures -----------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_damaged_pictures_crash_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.device.damaged_pictures", str(DAMAGED_PICTURES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    counts = re.fullmatch(r"(\d+) damaged, (\d+) taken, (\d+) refused\n", run.stdout)
    assert counts is not None and int(counts[1]) == DAMAGED_PICTURES
    # Neither too light nor too heavy a damage to test anything.
    assert int(counts[2]) > 1000 and int(counts[3]) > 1000


@pytest.mark.slow
def test_with_default_settings_a_stall_is_seen_after_5_s_and_frames_are_back_within_20(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Other tests have shorter times."""
    own = "stall_timeout_s = 1.0\nlongest_wait_s = 0.5\n"
    text = settings(tiny_bundle, camera.url)
    assert own in text
    with running(tmp_path, text.replace(own, "")) as service:
        service.wait_for_lines(2)
        whole, camera.frame = camera.frame, lambda: None
        stalled_s = eventually(lambda: any("trying again" in line for line in service.log), 20)
        assert 4 < stalled_s < 8 * slowdown()
        camera.unplug()
        # Until the pauses between attempts are as long as they get.
        time.sleep(12)
        seen = len(service.lines)
        camera.frame = whole
        camera.plug_in()
        eventually(lambda: len(service.lines) > seen, 20)
        assert service.stop()[0] == 0


# --- a long life ----------------------------------------------------------------------------------


def resident_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1000  # type: ignore[index]


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Trouble:
    """One fault after the other, as a garden has them."""

    def __init__(self, camera: MjpegCamera, service: Running, current: Path, text: str) -> None:
        self._camera, self._service, self._current, self._text = camera, service, current, text
        self._whole = [read_folder(current.resolve())]
        renamed = {**self._whole[0], contract.LABELS: b"rouge\nvert\nbleu\n"}
        self._whole.append(resealed(renamed))
        self._steps = (self._unplug, self._size, self._corrupt, self._reload, self._swap, self._bad)
        self.count = 0

    def next(self) -> None:
        self._camera.frame = changing()
        self._steps[self.count % len(self._steps)]()
        self.count += 1

    def _unplug(self) -> None:
        self._camera.unplug()
        time.sleep(0.7)
        self._camera.plug_in()

    def _size(self) -> None:
        size = (320, 240) if self.count % 4 else (64, 200)
        self._camera.frame = lambda: jpeg(1, *size)

    def _corrupt(self) -> None:
        rng = np.random.default_rng(self.count)
        whole = jpeg(2)
        self._camera.frame = lambda: whole[: int(rng.integers(20, len(whole)))]

    def _reload(self) -> None:
        self._service.reload(self._text + f"top_k = {1 + self.count % 3}\n")

    def _swap(self) -> None:
        self._point(self._whole[self.count // len(self._steps) % 2 - 1])

    def _bad(self) -> None:
        self._point({**self._whole[0], contract.MODEL: b"no model"})

    def _point(self, files: dict[str, bytes]) -> None:
        folder = write_folder(self._current.with_name(f"bundle{self.count}"), files)
        new = self._current.with_name("new")
        new.symlink_to(folder)
        new.replace(self._current)


@pytest.mark.slow
def test_memory_and_open_files_stay_flat_through_a_long_life(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    current = tmp_path / "current"
    current.symlink_to(tiny_bundle)
    text = settings(current, camera.url).replace("[smoothing]", f"""
[output.json]
path = "{tmp_path}/lines.jsonl"
[output.collect]
enabled = true
path = "{tmp_path}/collected"
max_per_minute = 60
max_mb = 1
min_free_mb = 0
[smoothing]""")  # fmt: skip
    samples: list[tuple[float, float]] = []
    with (
        manager(tmp_path) as (address, messages),
        running(tmp_path, text, NOTIFY_SOCKET=address) as service,
    ):
        eventually(lambda: "WATCHDOG=1" in messages)
        trouble = Trouble(camera, service, current, text)
        pid, started_s, fed = service.process.pid, time.monotonic(), len(messages)
        files, first_mb = open_files(pid), resident_mb(pid)
        while (now_s := time.monotonic() - started_s) < SOAK_S:
            trouble.next()
            eventually(lambda: time.monotonic() - started_s > now_s + 1.5)
            assert not service.ended, service.log[-5:]
            samples.append((time.monotonic() - started_s, resident_mb(pid)))
        eventually(lambda: abs(open_files(pid) - files) <= 6)
        feedings = messages[fed:].count("WATCHDOG=1")
        assert service.stop()[0] == 0
    assert feedings > SOAK_S / 3 / slowdown(), "inferences went on"
    if trouble.count >= 2 * len(FAULTS_IN_THE_LOG):
        for words in FAULTS_IN_THE_LOG:
            assert any(words in line for line in service.log), words
    assert sum(path.stat().st_size for path in photos_below(tmp_path / "collected")) <= 1_000_000
    steady = np.array([sample for sample in samples if sample[0] > min(WARM_UP_S, SOAK_S / 3)])
    quarter = max(1, len(steady) // 4)
    growth_mb = np.median(steady[-quarter:, 1]) - np.median(steady[:quarter, 1])
    slope_mb_per_h = 3600 * np.polyfit(steady[:, 0], steady[:, 1], 1)[0]
    print(
        f"\nsoak: {SOAK_S:.0f} s, {trouble.count} faults, {feedings} watchdog messages, resident "
        f"{steady[0, 1]:.1f} to {steady[-1, 1]:.1f} MB (highest {steady[:, 1].max():.1f}), "
        f"growth {growth_mb:+.2f} MB, slope {slope_mb_per_h:+.2f} MB/h"
    )
    if SOAK_S < LONG_S:
        assert steady[:, 1].max() < first_mb * (1 + MOST_GROWTH_SHARE)
    else:
        assert growth_mb < MOST_GROWTH_MB + MOST_GROWTH_PER_FAULT_MB * trouble.count
        assert steady[:, 1].max() < MOST_RESIDENT_MB
