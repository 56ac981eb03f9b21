"""What a full disk costs the folder of saved frames."""

import errno
import os
from pathlib import Path

import pytest
from PIL import Image

from device.errors import OutputError
from device.outputs.collect.room import MB
from tests.device.outputs.collect.saving import (
    STATUS,
    collector,
    noise,
    observed,
    publish_all,
    saved,
)


def test_a_full_disk_is_said_and_survived_and_saving_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = collector(tmp_path)
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(3):
        with pytest.raises(OutputError, match="No space left on device; nothing is saved"):
            sink.publish(observed())
        with pytest.raises(OutputError, match="No space left"):
            sink.tick(STATUS)
    assert not sink.wants_pictures
    assert saved(tmp_path) == [] and not any(path.is_file() for path in tmp_path.rglob("*"))
    monkeypatch.setattr(os, "fsync", real)
    sink._next_probe_s = float("-inf")
    sink.tick(STATUS)
    assert sink.wants_pictures
    sink.publish(observed())
    assert len(saved(tmp_path)) == 1


def test_free_space_is_left_and_doubts_make_way_before_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = collector(tmp_path, min_free_mb=1)
    kept = sink.keep(observed(50), "red")
    publish_all(sink, 3)
    free = [MB + 5000]

    def disk(_: Path) -> os.statvfs_result:
        removed = 4 - len(saved(tmp_path))
        return os.statvfs_result((1, 1, 0, 0, free[0] + 4096 * removed, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", disk)
    free[0] = MB
    publish_all(sink, 5)
    assert kept in saved(tmp_path)
    waiting = saved(tmp_path)
    free[0] = 0
    # All of them together would not be enough: none goes, now and at each later try.
    for _ in range(3):
        sink._next_probe_s = float("-inf")
        with pytest.raises(OutputError, match="no room on its disk"):
            publish_all(sink, 9)
        with pytest.raises(OutputError, match="no room on its disk"):
            sink.tick(STATUS)
    assert saved(tmp_path) == waiting


def test_where_removing_gives_no_room_it_ends_after_the_first_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = collector(tmp_path, min_free_mb=1)
    publish_all(sink, 20)
    stuck = os.statvfs_result((1, 1, 0, 0, MB, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: stuck)
    for number in range(5):
        sink._problem = ""
        with pytest.raises(OutputError, match="no room on its disk"):
            publish_all(sink, number + 30)
    assert len(saved(tmp_path)) >= 17


def test_labelled_photos_are_never_given_up_for_others(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_mb=1)
    doubt = noise(1)
    sink.publish(doubt)
    kept = []
    with pytest.raises(OutputError, match="labelled photos fill max_mb = 1: move them away"):
        for number in range(2, 100):
            kept.append(sink.keep(noise(number), "red"))
    assert len(kept) > 5 and saved(tmp_path) == sorted(kept)
    sink._problem, sink._next_save_s, sink._recent = "", float("-inf"), []
    with pytest.raises(OutputError, match="labelled photos fill"):
        sink.publish(noise(200))
    assert saved(tmp_path) == sorted(kept)


def test_a_disk_that_is_really_full_keeps_whole_photos_only(tmp_path: Path) -> None:
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=300k none {tmp_path} 2>/dev/null"):
        pytest.skip("only root can mount a small file system")
    try:
        sink = collector(tmp_path)
        publish_all(sink, 100)
        with pytest.raises(OutputError, match="no room on its disk"):
            for number in range(100):
                sink.keep(observed(number), "red")
        names = saved(tmp_path)
        assert len(names) > 40 and {Path(name).parts[0] for name in names} == {"red"}
        for name in names:
            with Image.open(tmp_path / name) as image:
                image.load()
        for name in names[:5]:
            (tmp_path / name).unlink()
        # Its pauses are over, and it has not just seen the same.
        sink._next_probe_s = sink._next_save_s = float("-inf")
        sink._recent = []
        sink.tick(STATUS)
        sink.publish(observed(500))
        assert len(saved(tmp_path)) == len(names) - 5 + 1
    finally:
        os.system(f"umount {tmp_path}")
