"""Promises of the split: content decides, and one picture never stands on two sides."""

import io
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from device.workstation.training import LEFT_OUT, Part
from train.data.assignment import SHARES
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS, near_identical_pairs
from train.data.looks import THUMBNAIL_PX, Small, Vector
from train.data.photo import Photo
from train.data.rendered import CLASS_NAMES, render_flower
from train.data.split import MIN_PHOTOS_PER_CLASS, Row, assign, part, read_csv, to_csv
from train.errors import DataError

Floats = npt.NDArray[np.float32]

SIZE = 3 * THUMBNAIL_PX**2
SEEDS = st.integers(0, 2**31 - 1)


def unit(values: npt.NDArray[np.float64]) -> Floats:
    return (values / np.linalg.norm(values)).astype(np.float32)


@dataclass
class Album:
    """A made-up data folder: photos with thumbnails but no pixels."""

    seed: int
    rng: np.random.Generator
    photos: list[Photo]

    @classmethod
    def of(cls, seed: int, sizes: Sequence[int]) -> "Album":
        """`sizes[k]` different pictures in class k."""
        album = cls(seed, np.random.default_rng(seed), [])
        for number, size in enumerate(sizes):
            for _ in range(size):
                album.add(f"class {number}")
        return album

    def add(self, label: str, like: Photo | None = None, distance: float = 0.05) -> Photo:
        """One more photo: of a new picture, or of nearly the same as `like`."""
        noise = unit(self.rng.standard_normal(SIZE))
        picture = noise
        if like is not None and like.look is not None:
            picture = unit(like.look.thumbnail + distance * noise)
        photo = Photo(self.new_path(label), label, self.rng.bytes(32).hex(), Vector(picture))
        self.photos.append(photo)
        return photo

    def copy(self, original: Photo, label: str) -> Photo:
        """The same bytes under another name."""
        photo = replace(original, path=self.new_path(label), label=label)
        self.photos.append(photo)
        return photo

    def damage(self, label: str, problem: str) -> Photo:
        photo = Photo(self.new_path(label), label, self.rng.bytes(32).hex(), problem=problem)
        self.photos.append(photo)
        return photo

    def new_path(self, label: str) -> str:
        return f"{label}/{self.rng.bytes(6).hex()}.jpg"


def parts_by_path(rows: Sequence[Row]) -> dict[str, str]:
    return {row.path: row.part for row in rows}


def untidy(seed: int, sizes: Sequence[int]) -> Album:
    """An album with bursts, copies, photos in two classes and damaged files."""
    album = Album.of(seed, sizes)
    for photo in album.photos[:: 1 + seed % 5]:
        for _ in range(seed % 3):
            album.add(photo.label, like=photo)
    for photo in album.photos[:: 3 + seed % 4]:
        album.copy(photo, photo.label)
    for photo in album.photos[:: 7 + seed % 11]:
        album.copy(photo, "class 0" if photo.label != "class 0" else "class 1")
    for number in range(seed % 4):
        album.damage(f"class {number % len(sizes)}", f"damaged picture: {number}")
    return album


def labels_by_bytes(album: Album) -> dict[str, set[str]]:
    labels = defaultdict(set)
    for photo in album.photos:
        labels[photo.sha256].add(photo.label)
    return labels


def usable(album: Album) -> bool:
    """Whether every class keeps enough photos for a split to be promised."""
    counts = Counter(min(labels) for labels in labels_by_bytes(album).values() if len(labels) == 1)
    classes = {photo.label for photo in album.photos}
    return all(counts[label] >= 2 * MIN_PHOTOS_PER_CLASS for label in classes)


SIZES = st.lists(st.integers(6, 40), min_size=2, max_size=4)
ALBUMS = st.builds(untidy, SEEDS, SIZES).filter(usable)


@settings(max_examples=40)
@given(ALBUMS, st.randoms(use_true_random=False))
def test_the_same_photos_in_any_order_give_the_same_rows(
    album: Album, shuffler: random.Random
) -> None:
    rows = assign(album.photos, album.seed)
    shuffled = list(album.photos)
    shuffler.shuffle(shuffled)
    assert assign(iter(shuffled), album.seed) == rows


@settings(max_examples=40)
@given(ALBUMS)
def test_every_photo_appears_once_with_its_own_facts(album: Album) -> None:
    rows = assign(album.photos, album.seed)
    assert [row.path for row in rows] == sorted(photo.path for photo in album.photos)
    facts = {photo.path: (photo.label, photo.sha256) for photo in album.photos}
    assert all((row.label, row.sha256) == facts[row.path] for row in rows)
    assert {row.part for row in rows} <= {*Part, LEFT_OUT}
    assert all(bool(row.reason) == (row.part == LEFT_OUT) for row in rows)


@settings(max_examples=40)
@given(SEEDS, st.lists(st.integers(20, 90), min_size=2, max_size=4))
def test_each_class_is_split_70_15_15(seed: int, sizes: list[int]) -> None:
    rows = assign(Album.of(seed, sizes).photos, seed)
    for number, size in enumerate(sizes):
        counts = Counter(row.part for row in rows if row.label == f"class {number}")
        for name, share in SHARES.items():
            assert abs(counts[name] - share * size) <= 1, (size, counts)


@pytest.mark.parametrize("burst", [5, 9, 11])
def test_a_burst_is_learned_from_and_does_not_fill_a_held_out_part(burst: int) -> None:
    for size in range(20, 40):
        album = Album.of(size, (size, 40))
        for _ in range(burst):
            album.add("class 0", like=album.photos[0])
        counts = Counter(row.part for row in assign(album.photos) if row.label == "class 0")
        expected = round(0.15 * (size + burst))
        assert counts["val"] == counts["test"] == expected


@settings(max_examples=20)
@given(SEEDS, st.lists(st.integers(3, 12), min_size=2, max_size=5))
def test_even_the_smallest_class_is_in_every_part(seed: int, sizes: list[int]) -> None:
    rows = assign(Album.of(seed, sizes).photos, seed)
    for number in range(len(sizes)):
        assert {row.part for row in rows if row.label == f"class {number}"} == set(Part)


@settings(max_examples=40)
@given(ALBUMS)
def test_one_picture_is_always_on_one_side(album: Album) -> None:
    rows = [row for row in assign(album.photos, album.seed) if row.part != LEFT_OUT]
    side = {row.path: row.part for row in rows}
    good = [photo for photo in album.photos if photo.path in side]
    pictures = np.stack([photo.look.thumbnail for photo in good if photo.look is not None])
    alike = pictures @ pictures.T >= NEAR_IDENTICAL_CORRELATIONS[0]
    assert alike.sum() > len(good) or album.seed % 3 == 0
    for i, j in zip(*np.nonzero(alike), strict=True):
        assert side[good[i].path] == side[good[j].path]
    parts_of_bytes = defaultdict(set)
    for row in rows:
        parts_of_bytes[row.sha256].add((row.part, row.group))
    assert all(len(parts) == 1 for parts in parts_of_bytes.values())


@pytest.mark.parametrize("copies", [2, 5, 8])
def test_one_photo_saved_many_times_stays_on_one_side_of_a_small_set(copies: int) -> None:
    """A burst is a large share of a small set, and must not be taken for a fixed camera."""
    album = Album.of(1, (14, 14))
    burst = [album.photos[0]] + [
        album.add("class 0", like=album.photos[0], distance=0.02) for _ in range(copies)
    ]
    for seed in range(5):
        part_of = parts_by_path(assign(album.photos, seed))
        assert len({part_of[photo.path] for photo in burst}) == 1
        assert set(part_of.values()) == set(Part)


@settings(max_examples=40)
@given(ALBUMS)
def test_the_same_bytes_in_two_classes_are_left_out_and_nothing_else(album: Album) -> None:
    labels = labels_by_bytes(album)
    problems = {photo.path: photo.problem for photo in album.photos}
    for row in assign(album.photos, album.seed):
        ambiguous = len(labels[row.sha256]) > 1
        assert (row.part == LEFT_OUT) == (ambiguous or bool(problems[row.path]))
        if ambiguous:
            assert all(label in row.reason for label in labels[row.sha256])


def test_damaged_photos_are_left_out_with_their_problem() -> None:
    album = Album.of(2, (9, 9))
    problems = ("the file is empty", "damaged picture: truncated", "larger than 256 MiB")
    damaged = {album.damage("class 1", problem).path: problem for problem in problems}
    rows = assign(album.photos)
    assert {row.path: row.reason for row in rows if row.part == LEFT_OUT} == damaged


def test_empty_files_in_two_classes_are_damaged_not_ambiguous() -> None:
    album = Album.of(2, (9, 9))
    empty = album.damage("class 0", "the file is empty")
    album.copy(empty, "class 1")
    reasons = {row.reason for row in assign(album.photos) if row.part == LEFT_OUT}
    assert reasons == {"the file is empty"}


@settings(max_examples=40)
@given(ALBUMS)
def test_renaming_files_moves_no_photo(album: Album) -> None:
    renamed = [replace(photo, path=album.new_path(photo.label)) for photo in album.photos]
    before, after = parts_by_path(assign(album.photos)), parts_by_path(assign(renamed))
    for old, new in zip(album.photos, renamed, strict=True):
        assert before[old.path] == after[new.path]


def test_another_seed_gives_another_split() -> None:
    photos = Album.of(3, (40, 40)).photos
    splits = {to_csv(assign(photos, seed)) for seed in range(5)}
    assert len(splits) == 5


@pytest.mark.parametrize("sizes", [(), (20,)])
def test_fewer_than_two_classes_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="at least 2 folders"):
        assign(Album.of(4, sizes).photos)


def spoil(album: Album, photo: Photo) -> None:
    album.photos.remove(photo)
    album.damage(photo.label, "damaged picture")


def misplace(album: Album, photo: Photo) -> None:
    album.copy(photo, "class 0")


@pytest.mark.parametrize("lose", [spoil, misplace])
def test_a_class_with_two_usable_photos_is_refused_by_name(
    lose: Callable[[Album, Photo], None],
) -> None:
    album = Album.of(5, (12, 3, 12))
    lose(album, next(photo for photo in album.photos if photo.label == "class 1"))
    with pytest.raises(DataError, match=r"class 'class 1' has 2 usable photos") as caught:
        assign(album.photos)
    assert "\n" not in str(caught.value)


def test_copies_of_one_picture_alone_are_refused() -> None:
    album = Album.of(6, (1, 1))
    for photo in album.photos[:2]:
        for _ in range(5):
            album.copy(photo, photo.label)
    with pytest.raises(DataError, match="add different photos"):
        assign(album.photos)


@pytest.mark.parametrize("distance", [0.2, 0.15, 0.08, 0.04, 0.02, 0.0])
def test_photos_of_a_fixed_camera_are_still_split(distance: float) -> None:
    """Every photo resembles every other, by correlations of 0.96, 0.98 ... 1."""
    album = Album.of(7, (1,))
    for number in range(120):
        album.add(f"class {number % 2}", like=album.photos[0], distance=distance)
    rows = assign(album.photos)
    for label in ("class 0", "class 1"):
        counts = Counter(row.part for row in rows if row.label == label)
        assert min(counts["val"], counts["test"]) >= 8
        assert counts["train"] >= 36


@settings(max_examples=60)
@given(SEEDS, st.integers(2, 40), st.floats(-0.5, 0.99))
def test_pairs_equal_brute_force(seed: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    # Few dimensions, so that correlations of every size occur.
    pictures = np.stack([unit(rng.standard_normal(6)) for _ in range(count)])
    wide = pictures.astype(np.float64)
    exact = wide @ wide.T
    assume(np.abs(exact - threshold).min() > 1e-5)
    expected = {(i, j) for j in range(count) for i in range(j) if exact[i, j] > threshold}
    found = near_identical_pairs(pictures, threshold)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_pairs_are_found_across_blocks_of_1024() -> None:
    rng = np.random.default_rng(8)
    pictures = np.stack([unit(rng.standard_normal(64)) for _ in range(2100)])
    twins = [(0, 2099), (5, 1023), (5, 1024), (1023, 1024), (1100, 2050), (2047, 2048)]
    for i, j in twins:
        pictures[j] = pictures[i]
    assert set(near_identical_pairs(pictures, 0.999)) == set(twins)
    assert len(near_identical_pairs(pictures, -1.0, most=10)) == 11


NAMES = st.text(
    st.one_of(st.characters(codec="utf-8", exclude_characters="\0/"), st.sampled_from(",\"'\n\r;")),
    min_size=1,
    max_size=20,
)


@settings(max_examples=200)
@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from((*Part, LEFT_OUT)), NAMES), min_size=1))
def test_csv_keeps_odd_names(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str, str]]
) -> None:
    rows = [
        Row(f"{label}/{name}.jpg", label, where, sha256(name.encode()).hexdigest(), "0", why)
        for name, label, where, why in lines
    ]
    path = tmp_path_factory.mktemp("csv") / "split.csv"
    path.write_bytes(to_csv(rows).encode("utf-8"))
    assert read_csv(path) == rows
    for name in Part:
        assert part(read_csv(path), name) == [row for row in rows if row.part == name]


HEADER = b"path,class,part,sha256,group,reason\n"


@pytest.mark.parametrize(
    "content",
    [b"", b"path,class\na,b\n", b"\xff\xfe", HEADER, HEADER + b"a/b.jpg,a,trian,0,0,\n"],
    ids=["empty", "other columns", "not text", "header alone", "unknown part"],
)
def test_a_damaged_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="make data"):
        read_csv(path)


def flower(number: int) -> Image.Image:
    name = CLASS_NAMES[number % len(CLASS_NAMES)]
    return render_flower(name, np.random.default_rng([9, number]), 192)


def recompressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=25)
    return Image.open(data).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": recompressed,
    "shrunk": lambda image: image.resize((image.width // 2, image.height // 2)),
    "enlarged": lambda image: image.resize((image.width * 3, image.height * 3)),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darkened": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "with more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_versions_of_one_picture_have_one_thumbnail(change: str) -> None:
    for number in range(10):
        image = flower(number)
        likeness = float(Small.of(image).thumbnail @ Small.of(CHANGES[change](image)).thumbnail)
        assert likeness >= NEAR_IDENTICAL_CORRELATIONS[0], number


def test_different_pictures_have_different_thumbnails() -> None:
    pictures = np.stack([Small.of(flower(number)).thumbnail for number in range(40)])
    assert np.allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-5)
    assert near_identical_pairs(pictures, NEAR_IDENTICAL_CORRELATIONS[0]) == []


def test_flat_colours_are_near_to_nothing() -> None:
    colours = ("white", "red", "red")
    flat = [Small.of(Image.new("RGB", (300, 200), each)).thumbnail for each in colours]
    assert near_identical_pairs(np.stack(flat), NEAR_IDENTICAL_CORRELATIONS[0]) == []
