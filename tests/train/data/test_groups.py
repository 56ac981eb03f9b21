"""Promises of grouping: a burst changes nothing for others, and edited copies are one picture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from device.contract.photos import decode, read_photo
from device.workstation.training import LEFT_OUT
from tests.support.pictures import RULES
from tests.support.places import ROOT
from tests.train.data.test_dataset import image
from tests.train.data.test_split import Album
from train.data.events import centres, copies
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS, group, near_identical
from train.data.looks import Small, Vector
from train.data.photo import Photo, details
from train.data.split import Row, assign

FLOWERS = ROOT.parent / "shared" / "flowers"
Edit = Callable[[Image.Image], Image.Image]


def together(rows: Sequence[Row]) -> set[frozenset[str]]:
    """Pairs of paths that are one group."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row.path)
    return {frozenset(pair) for paths in groups.values() for pair in combinations(paths, 2)}


def with_copies(seed: int, sizes: Sequence[int]) -> Album:
    """An album of which every second photo has a near copy."""
    album = Album.of(seed, sizes)
    for photo in album.photos[::2]:
        album.add(photo.label, like=photo, distance=0.25)
    return album


# --- bursts -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31 - 1),
    st.lists(st.integers(6, 40), min_size=2, max_size=4),
    st.integers(2, 200),
    st.sampled_from([0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25]),
)
def test_no_burst_ungroups_photos_of_other_pictures(
    seed: int, sizes: list[int], burst: int, distance: float
) -> None:
    album = with_copies(seed, sizes)
    before = together(assign(album.photos, seed))
    first = album.add("class 0")
    for _ in range(burst):
        album.add("class 0", like=first, distance=distance)
    assert before <= together(assign(album.photos, seed))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(20, 60))
def test_the_correlation_in_use_is_told_of_each_photo(seed: int, burst: int) -> None:
    album = with_copies(seed, (30, 30))
    others = {photo.path for photo in album.photos}
    first = album.add("class 0")
    for _ in range(burst):
        album.add("class 0", like=first, distance=0.15)
    rows = assign(album.photos, seed)
    usual = NEAR_IDENTICAL_CORRELATIONS[0]
    assert all(row.correlation == usual for row in rows if row.path in others)
    assert all(row.correlation > usual for row in rows if row.path not in others)


def test_a_devices_photo_is_held_back_however_large_a_burst_there_is() -> None:
    album = with_copies(1, (40, 40))
    first = album.add("class 0")
    for _ in range(60):
        album.add("class 0", like=first, distance=0.15)
    usual = [row for row in assign(album.photos) if row.correlation == 0.94]
    held_out = next(row.path for row in usual if row.part == "test")
    own = next(photo for photo in album.photos if photo.path == held_out)
    fresh = replace(album.add(own.label, like=own, distance=0.25), collected=True)
    (row,) = (r for r in assign([*album.photos[:-1], fresh]) if r.path == fresh.path)
    assert row.part == LEFT_OUT and "nearly the same" in row.reason


def test_a_camera_that_never_moves_takes_no_more_memory_than_any_other() -> None:
    same = np.repeat(np.eye(1, 768, dtype=np.float32), 3000, axis=0)
    pairs = near_identical(same, 0.94)
    assert pairs.shape[1] < 20 * len(same)
    found = group(same, None, range(3000))
    assert set(found.thresholds) == {NEAR_IDENTICAL_CORRELATIONS[-1]}
    assert len(set(found.roots)) == 3000


# --- edited copies ------------------------------------------------------------------------------


def cropped(left: float, top: float, right: float, bottom: float) -> Edit:
    def crop(picture: Image.Image) -> Image.Image:
        w, h = picture.size
        return picture.crop((int(left * w), int(top * h), int(w - right * w), int(h - bottom * h)))

    return crop


def framed(share: float, colour: str) -> Edit:
    return lambda picture: ImageOps.expand(picture, int(share * picture.width), colour)


EDITS: dict[str, tuple[Edit, float]] = {
    # (edit, share of real flowers whose copy must be found)
    "mirrored": (ImageOps.mirror, 0.98),
    "upside down": (ImageOps.flip, 0.98),
    "turned by 90": (lambda picture: picture.rotate(90, expand=True), 0.98),
    "turned by 180": (lambda picture: picture.rotate(180), 0.98),
    "turned by 270": (lambda picture: picture.rotate(270, expand=True), 0.98),
    "darker": (lambda picture: ImageEnhance.Brightness(picture).enhance(0.75), 0.98),
    "cropped by 2%": (cropped(0.02, 0.02, 0.02, 0.02), 0.95),
    "cropped by 5%": (cropped(0.05, 0.05, 0.05, 0.05), 0.9),
    "cropped by 10%": (cropped(0.1, 0.1, 0.1, 0.1), 0.9),
    "cropped more on one side": (cropped(0.1, 0.1, 0.05, 0.05), 0.9),
    "rotated by 2": (lambda picture: picture.rotate(2), 0.95),
    "rotated by 5": (lambda picture: picture.rotate(5), 0.93),
    "rotated by 10": (lambda picture: picture.rotate(10), 0.85),
    "framed in white": (framed(0.03, "white"), 0.9),
    "framed in black": (framed(0.1, "black"), 0.9),
    "mirrored and cropped": (lambda p: cropped(0.05, 0.05, 0.05, 0.05)(ImageOps.mirror(p)), 0.9),
}


def photo(picture: Image.Image, path: str, label: str = "") -> Photo:
    digest = sha256(picture.tobytes()).hexdigest()
    return Photo(path, label or path.partition("/")[0], digest, Small.of(picture))


def without_details(photos: Sequence[Photo]) -> list[Photo]:
    return [replace(p, look=Vector(p.look.thumbnail)) for p in photos if p.look is not None]


def grouped(pictures: Sequence[Image.Image]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    photos = [photo(picture, f"a/{i}") for i, picture in enumerate(pictures)]
    thumbnails = np.stack([p.look.thumbnail for p in photos if p.look is not None])
    return group(thumbnails, details(photos), range(len(photos))).roots


@pytest.fixture(scope="module")
def flowers() -> list[Image.Image]:
    if not FLOWERS.is_dir():
        pytest.skip("takes the flower photos in ../shared/flowers")
    paths = sorted(FLOWERS.glob("*/*.jpg"))[::27]
    return [decode(read_photo(path), RULES) for path in paths]


@pytest.mark.parametrize("name", EDITS)
def test_edited_copies_of_real_photos_are_found(flowers: list[Image.Image], name: str) -> None:
    edit, share = EDITS[name]
    count = len(flowers)
    roots = grouped([*flowers, *map(edit, flowers)])
    assert np.mean(roots[:count] == roots[count:]) >= share
    assert len(set(roots[:count])) >= count - 1, "no two flowers are one"


@pytest.mark.parametrize("name", EDITS)
def test_edited_copies_of_made_up_pictures_are_found(name: str) -> None:
    edit, _ = EDITS[name]
    pictures = [image(seed) for seed in range(60)]
    roots = grouped([*pictures, *map(edit, pictures)])
    assert np.mean(roots[:60] == roots[60:]) >= 0.85
    assert len(set(roots[:60])) == 60


def test_an_exported_set_of_edited_copies_stays_on_one_side_by_families() -> None:
    edits = [edit for edit, _ in EDITS.values()]
    photos = []
    for number in range(60):
        label, original = f"class {number % 3}", image(number)
        for i, edit in enumerate((lambda p: p, *edits[number % 4 :: 4])):
            photos.append(photo(edit(original), f"{label}/{number}.{i}"))
    rows = assign(photos)
    parts: dict[str, set[str]] = {}
    for row in rows:
        parts.setdefault(row.path.partition(".")[0], set()).add(row.part)
    assert np.mean([len(part) == 1 for part in parts.values()]) > 0.9
    for label in ("class 0", "class 1", "class 2"):
        assert {row.part for row in rows if row.label == label} == {"train", "val", "test"}
    assert any(row.copy_of for row in rows)


def test_a_few_edited_copies_move_no_other_photo() -> None:
    photos = [photo(image(i), f"class {i % 2}/{i}") for i in range(150)]
    plain = assign(without_details(photos))
    # Of the first photo a mirrored copy was there all the time, and nobody saw it.
    photos.append(photo(ImageOps.mirror(image(0)), "class 0/mirrored"))
    without = {row.path: row for row in assign(without_details(photos))}
    rows = {row.path: row for row in assign(photos)}
    assert rows["class 0/0"].group == rows["class 0/mirrored"].group
    assert rows["class 0/0"].part == rows["class 0/mirrored"].part
    pair = {"class 0/0", "class 0/mirrored"}
    assert {p: r.part for p, r in rows.items() if p not in pair} == {
        p: r.part for p, r in without.items() if p not in pair
    }
    assert len(plain) == 150


def test_a_devices_mirrored_copy_of_a_held_out_photo_is_held_back() -> None:
    photos = [photo(image(i), f"class {i % 2}/{i}") for i in range(60)]
    test = next(row.path for row in assign(photos) if row.part == "test")
    mirrored = ImageOps.mirror(image(int(Path(test).name)))
    fresh = replace(photo(mirrored, "class 0/fresh.jpg"), collected=True)
    (row,) = (row for row in assign([*photos, fresh]) if row.path == fresh.path)
    assert row.reason == f"a device's photo, an edited copy of the held-out {test}"


def test_pictures_of_one_colour_are_no_copies() -> None:
    flat = [Image.new("RGB", (90, 70), (i, 2 * i, 255 - i)) for i in range(0, 120, 10)]
    assert len(set(grouped([*flat, *(image(i) for i in range(20))]))) == len(flat) + 20


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(24)))
def test_the_order_of_photos_changes_no_group_of_edited_copies(order: list[int]) -> None:
    edits = [edit for edit, _ in EDITS.values()]
    pictures = [image(i) for i in range(8)]
    pictures += [edit(image(i % 8)) for i, edit in enumerate(edits, 8)]
    photos = [photo(p, f"class {i % 2}/{i}") for i, p in enumerate(pictures)]
    photos += [photo(image(100 + i), f"class {i % 2}/x{i}") for i in range(20)]
    shuffled = [photos[i] for i in order] + photos[24:]
    assert assign(shuffled) == assign(photos)


# --- very many photos ---------------------------------------------------------------------------


def test_a_search_in_cells_joins_the_edited_copies_that_comparing_joins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edits = [edit for edit, _ in EDITS.values()]
    pictures = [image(seed) for seed in range(400)]
    pictures += [edits[i % len(edits)](picture) for i, picture in enumerate(pictures[:200])]
    compared = grouped(pictures)
    monkeypatch.setattr(copies, "MANY", 2)
    monkeypatch.setattr(centres, "IN_A_CELL", 12)
    searched = grouped(pictures)
    copied, originals = np.arange(400, 600), np.arange(200)
    found = compared[copied] == compared[originals]
    assert found.mean() > 0.85
    assert (searched[copied] == searched[originals])[found].mean() >= 0.97
    assert len(set(searched[:400])) == 400, "no two pictures are one"


def test_a_search_in_cells_finds_what_an_edited_photo_of_a_device_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = np.stack([Small.of(image(seed)).detail for seed in range(300)])
    new = np.stack([Small.of(ImageOps.mirror(image(seed))).detail for seed in range(0, 300, 10)])
    monkeypatch.setattr(copies, "MANY", 2)
    monkeypatch.setattr(centres, "IN_A_CELL", 12)
    found = {copy.first: copy.second for copy in copies.copies_of(new, known)}
    assert all(second == 10 * first for first, second in found.items())
    assert len(found) >= 28
