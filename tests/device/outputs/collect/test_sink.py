"""Promises of the sink that saves frames for retraining: bounded, whole, and told where from."""

import errno
import io
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device import clock
from device.contract import provenance
from device.contract.folders import photos_below
from device.contract.names import name_problem
from device.errors import ClassNameError, OutputError
from device.files import UNFINISHED
from device.outputs.collect.folder import EARLIEST_S, UNDATED_S, Saved, too_many, too_old
from device.outputs.collect.sink import MB, Collector, folder_name, why_save
from device.settings.sections import CollectConfig
from device.telemetry.observation import UNKNOWN, ModelInfo, Observation
from tests.support.pictures import LABELS, encoded, picture

MODEL = ModelInfo("tiny", LABELS, "ab" * 32, "test", "none", "0", 1, 0.0, 0.0)
CONFIG = CollectConfig(enabled=True, max_per_minute=600, min_free_mb=0)


def observed(
    number: int = 0, scores: Iterable[float] = (0.5, 0.45, 0.05), **changes: Any
) -> Observation:
    values = np.array(list(scores), np.float32)
    pixels = picture(number % 3, number, 64, 48)
    first = Observation(
        number=number,
        unix_s=1_780_000_000.0 + number,
        monotonic_s=float(number),
        source=f"camera#{number}",
        scores=values,
        smoothed=values,
        label=LABELS[int(values.argmax())],
        score=float(values.max()),
        top=(),
        changed=False,
        model=MODEL,
        invoke_s=0.0,
        overhead_s=0.0,
        latency_s=0.0,
        picture=pixels,
        crop_box=(8, 0, 56, 48),
    )
    return replace(first, **changes)


def collector(folder: Path, **changes: Any) -> Collector:
    return Collector(replace(CONFIG, path=str(folder), **changes))


def saved(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in photos_below(folder)]


def publish_all(sink: Collector, count: int, **changes: Any) -> None:
    for number in range(count):
        sink._next_save_s, sink._recent = float("-inf"), []
        sink.publish(observed(number, **changes))


# --- what is worth saving -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "changes", "threshold", "reason"),
    [
        ((0.9, 0.05, 0.05), {}, 0.0, ""),
        ((0.9, 0.05, 0.05), {"changed": True}, 0.0, "changed"),
        ((0.5, 0.4, 0.1), {}, 0.0, "uncertain"),
        ((0.75, 0.2, 0.05), {}, 0.8, "uncertain"),
        ((0.9, 0.05, 0.05), {"label": UNKNOWN}, 0.95, "unknown"),
    ],
)
def test_doubts_and_changes_are_saved_and_nothing_else(
    scores: tuple[float, ...], changes: dict[str, object], threshold: float, reason: str
) -> None:
    config = replace(CONFIG, margin=0.15)
    assert why_save(observed(0, scores, **changes), threshold, config) == reason


def test_changes_can_be_left_to_others() -> None:
    sure = observed(0, (0.9, 0.05, 0.05), changed=True)
    assert why_save(sure, 0.0, replace(CONFIG, changes=False)) == ""


def test_the_rate_is_limited_and_no_picture_is_asked_for_between(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_per_minute=1)
    assert sink.wants_pictures
    for number in range(3):
        sink.publish(observed(number))
    assert len(saved(tmp_path)) == 1
    assert not sink.wants_pictures


def test_the_same_sight_is_saved_once(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    for number in range(5):
        sink._next_save_s = float("-inf")
        sink.publish(replace(observed(number), picture=picture(0, 7, 64, 48)))
    assert len(saved(tmp_path)) == 1


# --- where and how --------------------------------------------------------------------------------


def test_unlabelled_photos_wait_for_review_below_what_the_model_took_them_for(
    tmp_path: Path,
) -> None:
    collector(tmp_path).publish(observed(1, (0.2, 0.5, 0.3)))
    (name,) = saved(tmp_path)
    assert name.startswith("_review/green/2026") and name.endswith(".jpg")


def test_a_person_s_label_is_the_class_folder_that_training_reads(tmp_path: Path) -> None:
    name = collector(tmp_path).keep(observed(3), "moss rose")
    assert saved(tmp_path) == [name]
    assert Path(name).parent == Path("moss rose")


def test_a_corrected_label_takes_the_place_of_the_first(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    other = sink.keep(observed(2), "red")
    sink.keep(observed(3), "red")
    corrected = sink.keep(observed(3), "blue")
    assert corrected == sink.keep(observed(3), "blue")
    assert saved(tmp_path) == sorted([other, corrected])


def test_the_photo_is_the_part_that_the_model_saw(tmp_path: Path) -> None:
    name = collector(tmp_path).keep(observed(3), "red")
    with Image.open(tmp_path / name) as image:
        assert image.size == (48, 48)
        difference = np.asarray(image, np.int32) - observed(3).picture[:, 8:56]  # type: ignore[index]
    assert np.abs(difference).mean() < 8


def test_a_photo_tells_where_it_comes_from_wherever_it_is_moved(tmp_path: Path) -> None:
    name = collector(tmp_path).keep(observed(3), "red")
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None
    assert (record.reason, record.label, record.source) == ("labelled", "red", "camera#3")
    assert record.model_sha256 == MODEL.sha256
    assert record.time == "2026-05-28T20:26:43.000+00:00"
    assert list(record.top) == ["red", "green", "blue"] and record.top["red"] == 0.5


@pytest.mark.parametrize(
    "label", ["", "..", "a/b", "_review", ".x", "a\nb", " a", "x" * 201, "a\\b"]
)
def test_a_label_that_leads_elsewhere_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(ClassNameError):
        collector(tmp_path).keep(observed(), label)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=300))
def test_a_forged_class_name_stays_inside_the_folder(label: str) -> None:
    name = folder_name(label)
    assert name_problem(name) == ""
    assert name == label or name_problem(label)


@pytest.mark.parametrize(
    ("written", "saved_as"),
    [("RED", "red"), ("Moss rose", "moss rose"), ("ga\u0308nse", "g\u00e4nse"), ("Red ", "")],
)
def test_a_class_that_is_there_keeps_its_spelling(
    tmp_path: Path, written: str, saved_as: str
) -> None:
    (tmp_path / "moss rose").mkdir()
    (tmp_path / "Red").mkdir()
    sink = collector(tmp_path)
    if not saved_as:
        # Spaces at the ends are no other class, but the model's.
        saved_as = "red"
    assert Path(sink.keep(observed(3), written)).parent == Path(saved_as)


def test_a_frame_without_its_picture_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no picture"):
        collector(tmp_path).keep(replace(observed(), picture=None), "red")


@given(st.binary(max_size=400))
def test_damaged_records_are_no_records(noise: bytes) -> None:
    exif = Image.Exif()
    exif[0x010E] = b'{"fieldguide": 1' + noise
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", exif=exif)
    record = provenance.read(data.getvalue())
    assert record is None or noise[:1] in b"},"
    assert provenance.read(b"fieldguide" + noise) is None


def test_other_photos_have_no_record() -> None:
    assert provenance.read(encoded(picture(0, 1), "JPEG")) is None


# --- bounds ---------------------------------------------------------------------------------------

FILES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20), st.booleans()), max_size=30).map(
    lambda rows: [
        Saved(Path(f"{age:02}-{i}"), size, EARLIEST_S + age, labelled)
        for i, (size, age, labelled) in enumerate(rows)
    ]
)


@given(FILES, st.integers(0, 100))
def test_the_folder_stays_in_its_bounds_and_labels_never_go(files: list[Saved], limit: int) -> None:
    gone = too_many(files, limit)
    left = [file for file in files if file not in gone]
    assert not any(file.labelled for file in gone)
    doubts_left = [f.modified_s for f in left if not f.labelled]
    assert max((f.modified_s for f in gone), default=0) <= min(doubts_left, default=float("inf"))
    if sum(file.bytes for file in files if file.labelled) <= limit:
        assert sum(file.bytes for file in left) <= limit
    else:
        # Not for nothing.
        assert gone == []


@given(FILES, st.integers(0, 20))
def test_only_doubts_of_a_known_age_grow_too_old(files: list[Saved], oldest: int) -> None:
    oldest_s = EARLIEST_S + oldest
    undated = [replace(file, modified_s=UNDATED_S) for file in files]
    gone = too_old([*files, *undated], oldest_s)
    assert gone == [f for f in files if not f.labelled and f.modified_s < oldest_s]


def test_a_long_run_never_outgrows_the_folder(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_mb=1)
    kept = sink.keep(observed(1000), "red")
    sink_bytes = []
    for number in range(60):
        sink._next_save_s, sink._recent = float("-inf"), []
        noise = np.random.default_rng(number).integers(0, 256, (240, 240, 3), np.uint8)
        sink.publish(replace(observed(number), picture=noise, crop_box=(0, 0, 240, 240)))
        sink_bytes.append(sum(path.stat().st_size for path in photos_below(tmp_path)))
    assert max(sink_bytes) <= MB
    assert sink_bytes[-1] > 0.8 * MB
    assert kept in saved(tmp_path)


def test_one_photo_above_the_limit_costs_none_of_the_others(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_mb=1)
    kept = sink.keep(observed(1), "red")
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    with pytest.raises(OutputError, match="larger than max_mb"):
        sink.publish(replace(observed(2), picture=noise, crop_box=(0, 0, 1200, 1200)))
    assert saved(tmp_path) == [kept]


def test_only_its_own_files_are_ever_removed(tmp_path: Path) -> None:
    for name in ("red/mine.jpg", "notes.txt", "_review/red/holiday.jpg", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(2 * MB))
        os.utime(tmp_path / name, (1, 1))
    sink = collector(tmp_path, max_mb=1, max_age_days=0.01)
    publish_all(sink, 3)
    for name in ("red/mine.jpg", "notes.txt", "_review/red/holiday.jpg", ".hidden"):
        assert (tmp_path / name).stat().st_size == 2 * MB


def scan(sink: Collector) -> None:
    sink._next_scan_s = sink._next_tell_s = float("-inf")
    sink.tick(None)  # type: ignore[arg-type]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda known: monkeypatch.setattr(clock, "is_synchronized", lambda: known)


def test_old_doubts_go_and_labels_stay_and_the_log_says_so(
    tmp_path: Path, set_clock: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    set_clock(True)
    sink = collector(tmp_path, max_age_days=30)
    kept = sink.keep(observed(), "red")
    sink.publish(observed(1))
    for path in photos_below(tmp_path):
        os.utime(path, (time.time() - 31 * 86400,) * 2)
    scan(sink)
    assert saved(tmp_path) == [kept]
    assert "removed 1 photos that nobody had labelled, older than max_age_days = 30" in caplog.text
    assert sink.figures["photos_removed_total"] == 1 and sink.figures["photos_saved_total"] == 2


def test_by_a_clock_that_no_server_has_set_nothing_is_too_old(
    tmp_path: Path, set_clock: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(True)
    sink = collector(tmp_path, max_age_days=1)
    sink.publish(observed(1))
    set_clock(False)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3650 * 86400)
    scan(sink)
    assert len(saved(tmp_path)) == 1


def test_what_a_late_clock_saved_ages_from_when_it_is_set(
    tmp_path: Path, set_clock: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(False)
    sink = collector(tmp_path, max_age_days=30)
    sink.publish(observed(1))
    (path,) = photos_below(tmp_path)
    # How late that clock was nobody knew; now a server has set it.
    assert path.stat().st_mtime == UNDATED_S
    set_clock(True)
    scan(sink)
    assert path.exists() and abs(path.stat().st_mtime - time.time()) < 60
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 31 * 86400)
    scan(sink)
    assert not path.exists()


@pytest.mark.parametrize("wrong_s", [12.0, 4e9])
def test_photos_from_no_time_that_can_be_age_from_now(
    tmp_path: Path, set_clock: Callable[[bool], None], wrong_s: float
) -> None:
    set_clock(True)
    sink = collector(tmp_path, max_age_days=1)
    sink.publish(observed(1, unix_s=wrong_s))
    kept = tmp_path / sink.keep(observed(2), "red")
    (path,) = photos_below(tmp_path / "_review")
    os.utime(path, (wrong_s, wrong_s))
    os.utime(kept, (wrong_s, wrong_s))
    scan(sink)
    assert abs(path.stat().st_mtime - time.time()) < 60
    assert kept.stat().st_mtime == wrong_s


def test_the_kernel_is_asked_about_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "SYNCHRONIZED", tmp_path / "synchronized")
    assert clock.is_synchronized() == clock._kernel_says_so()
    (tmp_path / "synchronized").touch()
    assert clock.is_synchronized()


def test_what_a_kill_left_half_written_is_not_a_photo_and_goes(tmp_path: Path) -> None:
    half = tmp_path / "_review" / "red" / f"{UNFINISHED}20260528T202640.000Z-00000000.jpg"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert saved(tmp_path) == []
    collector(tmp_path).tick(None)  # type: ignore[arg-type]
    assert not half.exists()


# --- a full disk ----------------------------------------------------------------------------------


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
            sink.tick(None)  # type: ignore[arg-type]
    assert not sink.wants_pictures
    assert saved(tmp_path) == [] and not any(path.is_file() for path in tmp_path.rglob("*"))
    monkeypatch.setattr(os, "fsync", real)
    sink._next_probe_s = float("-inf")
    sink.tick(None)  # type: ignore[arg-type]
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
            sink.tick(None)  # type: ignore[arg-type]
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
    rng = np.random.default_rng(0)

    def noise(number: int) -> Observation:
        pixels = rng.integers(0, 256, (240, 240, 3), np.uint8)
        return replace(observed(number), picture=pixels, crop_box=(0, 0, 240, 240))

    doubt = noise(1)
    sink.publish(doubt)
    kept = []
    with pytest.raises(OutputError, match="labelled photos fill max_mb = 1: fetch them"):
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
        sink.tick(None)  # type: ignore[arg-type]
        sink.publish(observed(500))
        assert len(saved(tmp_path)) == len(names) - 5 + 1
    finally:
        os.system(f"umount {tmp_path}")
