"""Photos of folders are cut as their cameras would cut them, or stay whole."""

import shutil
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.look.cells import Grid
from device.contract.look.rules import LookRules, Seen
from device.contract.photos import decode_frame
from device.contract.provenance import Provenance
from device.inference.photos import standing
from device.inference.photos.standing import WHOLE, Sight, in_events, sights
from tests.support import visited_places
from tests.support.albums import Camera

RULES = LookRules()


def looked(folder: Path) -> dict[str, Sight]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): sight
        for path, sight in zip(paths, sights(paths, RULES), strict=True)
    }


def contains_visitor(name: str, sight: Sight) -> bool:
    place, number = map(int, name.rpartition("/")[2].removesuffix(".jpg").split("_"))
    disc = visited_places.frame(place, number).disc
    if sight.box is None:
        return False
    left, upper, right, lower = sight.box
    inside = disc[upper:lower, left:right]
    # Not cut away, and not the whole picture either.
    return bool(inside.sum() >= 0.9 * disc.sum() and inside.size < disc.size / 2)


def test_photos_of_several_cameras_in_class_folders_are_cut_around_their_visitors(
    tmp_path: Path,
) -> None:
    for place in (1, 2, 3):
        camera = Camera(place, f"Cam{place}" if place < 3 else "")
        for number in range(12):
            label = ("robin", "tit", "wren")[number % 3]
            camera.save(tmp_path / label / f"{place}_{number:03}.jpg", number, 900 * number)
    found = looked(tmp_path)
    assert len(found) == 36 and all(contains_visitor(*each) for each in found.items())


@pytest.mark.parametrize("label", ["daisy", "tulip"])
def test_photos_that_people_took_by_hand_stay_whole(label: str, flowers: Path) -> None:
    """Many show a blurred lawn, or a flower in the middle."""
    photos = sorted((flowers / label).glob("*.jpg"))
    assert len(photos) > 500 and set(sights(photos, RULES)) == {WHOLE}


def test_one_model_at_two_places_is_two_cameras(tmp_path: Path) -> None:
    for place in (1, 2):
        Camera(place, "Cam").visits(tmp_path, 10)
    assert all(contains_visitor(*each) for each in looked(tmp_path).items())


def test_a_photo_with_nothing_new_says_so_and_stays_whole(tmp_path: Path) -> None:
    camera = Camera(1)
    camera.visits(tmp_path, 12)
    camera.save(tmp_path / "1_900.jpg", 900, visited=False)
    assert looked(tmp_path)["1_900.jpg"] == Sight(Seen.NOTHING, None)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_too_few_photos_stay_whole(count: int, tmp_path: Path) -> None:
    Camera(1, "Cam").visits(tmp_path, count)
    assert set(looked(tmp_path).values()) == {WHOLE}


def test_photos_of_one_visit_are_no_background_for_one_another(tmp_path: Path) -> None:
    Camera(1, "Cam").visits(tmp_path, 20, every_s=5)
    assert set(looked(tmp_path).values()) == {WHOLE}


def test_sizes_are_not_mixed_and_what_is_no_photo_stays_whole(tmp_path: Path) -> None:
    Camera(1, "Cam").visits(tmp_path, 10)
    Camera(1, "Cam", (128, 96)).visits(tmp_path / "small", 4)
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (3, 1)).save(tmp_path / "tiny.png")
    Image.new("L", (192, 144), 9).save(tmp_path / "grey.png")
    found = looked(tmp_path)
    whole = {name for name, sight in found.items() if sight == WHOLE}
    assert whole == {"text.jpg", "empty.jpg", "tiny.png", "grey.png"} | {
        f"small/1_{number:03}.jpg" for number in range(4)
    }


def test_photos_of_one_colour_are_no_trouble(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / f"{number}.png")
    assert {sight.box for sight in looked(tmp_path).values()} == {None}


def test_photos_in_portions_give_one_result_each_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MOST_AT_ONCE", 25)
    Camera(1).visits(tmp_path / "a", 20)
    Camera(2).visits(tmp_path / "b", 20)
    (tmp_path / "a" / "1_000.jpg").write_text("no photo")
    found = looked(tmp_path)
    assert Counter(sight == WHOLE for sight in found.values()) == {False: 39, True: 1}
    assert all(contains_visitor(*each) for each in found.items() if each[1] != WHOLE)


def test_of_two_thousand_photos_only_small_pictures_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[weakref.ref[Pixels]] = []

    def decode(data: bytes) -> Pixels:
        assert sum(frame() is not None for frame in frames) <= 1
        frames.append(weakref.ref(frame := decode_frame(data)))
        return frame

    monkeypatch.setattr(standing, "decode_frame", decode)
    Camera(1, size_px=(640, 480)).visits(tmp_path, 12)
    assert not {sight.box for sight in looked(tmp_path).values()} & {None} and len(frames) == 12
    small = Grid.of(640, 480, RULES).cells(np.zeros((480, 640, 3), np.uint8))
    assert standing.MOST_AT_ONCE * small.nbytes < 90e6


def test_what_a_device_noted_in_a_photo_goes_before_what_is_found_here(tmp_path: Path) -> None:
    camera = Camera(1)
    camera.visits(tmp_path, 12)
    notes: dict[str, tuple[Seen | None, Box | None]] = {
        "a.jpg": (Seen.SOMETHING, (1, 2, 30, 31)),
        "b.jpg": (Seen.NOTHING, None),
        # A check: classified although nothing was there.
        "c.jpg": (Seen.NOTHING, (24, 0, 168, 144)),
        "d.jpg": (Seen.LEARNING, (24, 0, 168, 144)),
    }
    for name, (seen, box) in notes.items():
        record = Provenance("random", "", {}, "", "garden", "", "", None, box, seen)
        visited_places.frame(1, 3).image.save(tmp_path / name, exif=record.exif("test"))
    found = looked(tmp_path)
    assert [found[name] for name in sorted(notes)] == [
        Sight(Seen.SOMETHING, (1, 2, 30, 31)),
        Sight(Seen.NOTHING),
        Sight(Seen.NOTHING),
        Sight(Seen.LEARNING),
    ]


def test_a_note_about_a_photo_that_was_cropped_since_is_not_used(tmp_path: Path) -> None:
    """Editors keep Exif; the box would lie elsewhere, or outside of the photo."""
    photo = visited_places.frame(1, 3).image
    box = (photo.width - 30, 2, photo.width + 1, 33)
    record = Provenance("random", "", {}, "", "garden", "", "", None, box, Seen.SOMETHING)
    photo.save(tmp_path / "a.jpg", exif=record.exif("test"))
    assert looked(tmp_path) == {"a.jpg": WHOLE}


def test_events_are_photos_shortly_after_one_another_and_end_after_a_while() -> None:
    assert in_events([500.0, 0.0, 30.0, None, 95.0], 600) == ([1, 2, 4, 0, 3], [0, 0, 1, 2, 3])
    all_day = in_events([60.0 * n for n in range(100)], 600)[1]
    assert max(Counter(all_day).values()) == 11 and len(set(all_day)) == 10
    assert in_events([], 600) == ([], [])


def test_a_clock_that_stands_still_makes_no_event() -> None:
    assert in_events([7.0] * 13, 600) == ([*range(13)], [*range(13)])
    assert in_events([7.0] * 12, 600)[1] == [0] * 12


def test_a_photo_that_is_gone_by_then_is_whole(tmp_path: Path) -> None:
    Camera(1).visits(tmp_path, 9)
    paths = sorted(tmp_path.iterdir())
    shutil.rmtree(tmp_path)
    assert list(sights(paths, RULES)) == [WHOLE] * 9


def test_the_place_has_no_red_that_a_visitor_could_hide_in() -> None:
    """What the other tests rest on."""
    assert not np.any(visited_places.ground(1)[..., 0])
