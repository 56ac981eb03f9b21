"""Promises of the split by event: no event in two parts, whatever the sizes."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.contract.moments import Moment
from device.workstation.events.listed import Occasion
from device.workstation.training import LEFT_OUT, Part
from tests.train.data.test_split import SEEDS, Album, parts_by_path
from train.data.blocks import MIN_EVENTS
from train.data.events.occasions import EventSettings
from train.data.looks import Vector
from train.data.photo import Photo
from train.data.record import describe, table
from train.data.split import Row, assign, to_csv
from train.errors import DataError

NOON = 1_714_564_807
"""Seconds since 1970."""
SINGLE_PHOTOS = {
    0: ((3, 4, 5), "4cc4702f00c41f8315187849fde6e54cf11ef7b5a742386ad7ccd85c691d0172"),
    1: ((6, 7, 3), "77ec8a79aef6c11e7f18f9e229eb59fa298cbdb13e27fd2ef4c412dcd8cdca4f"),
    2: ((20, 90), "295b87bc9fb5f95edd6fc3c6d3dffd5afa7ded944cc5b83e3bf0b9f4e48320d6"),
    3: ((41, 13, 5, 8), "a03b6f6d74283f0e25872388b446663de1e74fca706f1ac2165a71468cde8fc0"),
    4: ((200, 150), "34b1e1ec90ea4b6d55cad6ecb2fa1d825ecf0299a8de717b0b7ceb3ada49c94f"),
    5: ((3, 3), "f27897f4fb01321973b2961ce5279989821b33129c08dc9389726332bcc24605"),
    6: ((33, 34, 35), "5223f155720ab3ace5715b4ceeb45a578144b9711d77e1bbf7d1a46413da44d6"),
    7: ((700, 31), "33164f52f33f4a51768a27aa14b9f7a6f541b42b64a8ba3a6baf25372b8be7c2"),
}
"""By seed: photos of each class, and SHA-256 of the split.csv that commit 7658472 made of them,
the last one that knew no events."""


def single_photos(seed: int, sizes: Sequence[int]) -> list[Photo]:
    """`sizes[k]` photos in class k, all of different pictures."""
    rng, photos = np.random.default_rng(seed), []
    for number, size in enumerate(sizes):
        for _ in range(size):
            values = rng.standard_normal(768)
            picture = (values / np.linalg.norm(values)).astype(np.float32)
            path = f"class {number}/{rng.bytes(6).hex()}.jpg"
            photos.append(Photo(path, f"class {number}", rng.bytes(32).hex(), Vector(picture)))
    return photos


@pytest.mark.parametrize("seed", SINGLE_PHOTOS)
def test_single_photos_are_split_as_before_there_were_events(seed: int) -> None:
    sizes, digest = SINGLE_PHOTOS[seed]
    text = to_csv(assign(single_photos(seed, sizes), seed))
    assert sha256(text.encode()).hexdigest() == digest


def test_single_photos_are_split_as_before_line_by_line() -> None:
    before = Path(__file__).with_name("single_photos.csv").read_text("utf-8")
    assert to_csv(assign(single_photos(9, (12, 17, 5)), 9)) == before


# --- folders of all kinds -------------------------------------------------------------------------


def visits(seed: int, events: Sequence[Mapping[int, int]]) -> tuple[Album, EventSettings]:
    """Each event has, by class, a number of photos; the user's list says which belong together."""
    album, listed = Album.of(seed, ()), {}
    for number, sizes in enumerate(events):
        for label, size in sizes.items():
            for _ in range(size):
                listed[album.add(f"class {label}").path] = Occasion(f"visit {number}")
    return album, EventSettings(listed=listed)


def classes_of(events: Sequence[Mapping[int, int]]) -> dict[str, list[Mapping[int, int]]]:
    found = defaultdict(list)
    for event in events:
        for label in event:
            found[f"class {label}"].append(event)
    return dict(found)


def is_enough(events: Sequence[Mapping[int, int]]) -> bool:
    """At least two classes, with three photos each."""
    photos = Counter[int]()
    for event in events:
        photos.update(event)
    return len(photos) > 1 and min(photos.values()) >= 3


EVENTS = st.one_of(
    # Of one class each.
    st.lists(
        st.builds(lambda label, size: {label: size}, st.integers(0, 3), st.integers(1, 30)),
        min_size=2,
        max_size=20,
    ),
    # Of several.
    st.lists(
        st.dictionaries(st.integers(0, 3), st.integers(1, 12), min_size=1, max_size=3),
        min_size=2,
        max_size=12,
    ),
).filter(is_enough)


@settings(max_examples=150)
@given(SEEDS, EVENTS)
def test_no_event_is_in_two_parts_unless_a_class_has_only_one_or_two(
    seed: int, events: list[Mapping[int, int]]
) -> None:
    album, found = visits(seed, events)
    rows = assign(album.photos, seed, found)
    few = {label for label, own in classes_of(events).items() if len(own) < MIN_EVENTS}
    parts, labels = defaultdict(set), defaultdict(set)
    for row in rows:
        labels[row.group].add(row.label)
        if row.part != LEFT_OUT:
            parts[row.group].add(row.part)
    assert len(labels) == len(events)
    for event, sides in parts.items():
        assert len(sides) == 1 or labels[event] & few
    assert all(row.label in few for row in rows if row.part == LEFT_OUT)


@settings(max_examples=50)
@given(SEEDS, EVENTS, st.integers(1, 60))
def test_events_by_the_clock_are_divided_like_those_of_a_list(
    seed: int, events: list[Mapping[int, int]], gap_s: int
) -> None:
    album, found = visits(seed, events)
    for number, photo in enumerate(album.photos):
        visit = int(found.listed[photo.path].event.split()[1])
        # The photos of a visit follow one another; an hour lies between two visits at the least.
        moment = Moment("Trap no. 7", unique=True, seconds=NOON + 90_001 * visit + gap_s * number)
        album.photos[number] = replace(photo, moment=moment)
    by_list, by_clock = assign(album.photos, seed, found), assign(album.photos, seed)
    assert [row.group for row in by_clock] == [row.group for row in by_list]
    few = {label for label, own in classes_of(events).items() if len(own) < MIN_EVENTS}
    for one, other in zip(by_clock, by_list, strict=True):
        assert one.part == other.part or one.label in few


@settings(max_examples=100)
@given(SEEDS, EVENTS)
def test_every_photo_is_in_one_row_and_every_class_can_be_learned_and_judged(
    seed: int, events: list[Mapping[int, int]]
) -> None:
    album, found = visits(seed, events)
    rows = assign(album.photos, seed, found)
    assert [row.path for row in rows] == sorted(photo.path for photo in album.photos)
    assert all(bool(row.reason) == (row.part == LEFT_OUT) for row in rows)
    mixed = any(len(event) > 1 for event in events)
    for label in {row.label for row in rows}:
        parts = {row.part for row in rows if row.label == label} - {LEFT_OUT}
        assert Part.TRAIN in parts
        assert mixed or parts == set(Part)


@settings(max_examples=60)
@given(SEEDS, EVENTS, st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter_where_no_event_is_cut(
    seed: int, events: list[Mapping[int, int]], shuffler: random.Random
) -> None:
    album, found = visits(seed, events)
    few = {label for label, own in classes_of(events).items() if len(own) < MIN_EVENTS}
    rows = assign(album.photos, seed, found)
    shuffled = list(album.photos)
    shuffler.shuffle(shuffled)
    assert assign(shuffled, seed, found) == rows
    renamed = [replace(photo, path=album.new_path(photo.label)) for photo in album.photos]
    said = {
        new.path: found.listed[old.path] for old, new in zip(album.photos, renamed, strict=True)
    }
    before = parts_by_path(rows)
    after = parts_by_path(assign(renamed, seed, EventSettings(listed=said)))
    for old, new in zip(album.photos, renamed, strict=True):
        assert old.label in few or before[old.path] == after[new.path]


@pytest.mark.parametrize("sizes", [(8, 8, 8), (50, 2, 2), (200, 200, 200, 200), (9, 1, 1, 1, 1)])
def test_the_largest_event_teaches_and_each_part_has_one(sizes: Sequence[int]) -> None:
    for seed in range(5):
        album, found = visits(seed, [{0: size} for size in sizes] + [{1: 1}] * 40)
        rows = [row for row in assign(album.photos, seed, found) if row.label == "class 0"]
        photos = Counter(row.part for row in rows)
        assert photos[Part.TRAIN] >= max(sizes)
        assert min(photos[part] for part in Part) >= min(sizes)


def test_a_class_with_one_huge_event_learns_from_others_too() -> None:
    album, found = visits(3, [{0: 300}, *[{0: 5}] * 11, *[{1: 1}] * 20])
    rows = [row for row in assign(album.photos, 0, found) if row.label == "class 0"]
    events = {part: {row.group for row in rows if row.part == part} for part in Part}
    assert len(events[Part.TRAIN]) == 6
    assert len(events[Part.VAL]) == len(events[Part.TEST]) == 3


def test_what_comes_of_the_shares_is_said() -> None:
    album, found = visits(1, [{0: 40}, {0: 3}, {0: 3}, *[{1: 1}] * 20])
    rows = assign(album.photos, 1, found)
    said = table(describe(Path("garden"), rows).data, rows)
    assert "train 82%, val 9%, test 9% instead of 70/15/15: events are large" in said
    album = Album.of(1, (40, 20))
    rows = assign(album.photos, 1)
    assert "instead of" not in table(describe(Path("garden"), rows).data, rows)


# --- classes with one or two events ---------------------------------------------------------------


def parts_in_order(rows: Sequence[Row], label: str) -> list[str]:
    """Of the photos of a class, sorted by path, without repetition."""
    parts = [row.part for row in rows if row.label == label]
    return [part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1]]


def film(album: Album, label: str, count: int, event: str) -> dict[str, Occasion]:
    """Frames with numbered names, whose names in text order are not in the order of time."""
    frames = [replace(album.add(label), path=f"{label}/{event}_{i}.jpg") for i in range(count)]
    album.photos[-count:] = frames
    return {frame.path: Occasion(event) for frame in frames}


def in_time(rows: Sequence[Row], event: str) -> list[Row]:
    mine = [row for row in rows if f"/{event}_" in row.path]
    return sorted(mine, key=lambda row: int(row.path.rsplit("_", 1)[1].removesuffix(".jpg")))


@pytest.mark.parametrize("count", [3, 4, 5, 7, 20, 100, 999])
def test_one_event_is_cut_into_blocks_with_gaps(count: int) -> None:
    album = Album.of(count, (0, 30))
    listed = film(album, "class 0", count, "film")
    rows = in_time(assign(album.photos, 0, EventSettings(listed=listed)), "film")
    parts = [row.part for row in rows]
    gap = 0 if count < 5 else max(1, round(count / 20))
    counts = Counter(parts)
    expected = [Part.TRAIN] * counts[Part.TRAIN] + [LEFT_OUT] * gap
    expected += [Part.VAL] * counts[Part.VAL] + [LEFT_OUT] * gap + [Part.TEST] * counts[Part.TEST]
    assert parts == expected
    assert counts[Part.TRAIN] >= counts[Part.VAL] >= 1 and counts[Part.TEST] >= 1
    assert {row.reason for row in rows} <= {
        "",
        "between the training and the validation photos of one event",
        "between the validation and the test photos of one event",
    }
    assert len({row.group for row in rows}) == 1


@pytest.mark.parametrize(("first", "second"), [(30, 30), (40, 3), (5, 60), (60, 4)])
def test_of_two_events_one_teaches_and_the_other_judges(first: int, second: int) -> None:
    album = Album.of(1, (0, 30))
    listed = film(album, "class 0", first, "one") | film(album, "class 0", second, "two")
    rows = assign(album.photos, 0, EventSettings(listed=listed))
    learned, judged = ("one", "two") if first >= second else ("two", "one")
    if first != second:
        assert {row.part for row in in_time(rows, learned)} == {Part.TRAIN}
        assert in_time(rows, judged)[0].part == Part.VAL
    sides = [{row.part for row in in_time(rows, name)} - {LEFT_OUT} for name in ("one", "two")]
    assert sorted(map(sorted, sides)) == [["test", "val"], ["train"]]


def test_an_event_too_small_to_judge_by_alone_joins_the_test_photos() -> None:
    album = Album.of(1, (0, 30))
    listed = film(album, "class 0", 50, "one") | film(album, "class 0", 2, "two")
    rows = assign(album.photos, 0, EventSettings(listed=listed))
    assert {row.part for row in in_time(rows, "two")} == {Part.TEST}
    assert {row.part for row in in_time(rows, "one")} == {*Part, LEFT_OUT}


def test_frames_that_show_the_same_again_are_left_out_of_later_blocks() -> None:
    album = Album.of(1, (0, 30))
    listed = film(album, "class 0", 40, "film")
    frames = [photo for photo in album.photos if photo.label == "class 0"]
    again = replace(frames[38], look=frames[2].look)
    album.photos[album.photos.index(frames[38])] = again
    rows = {row.path: row for row in assign(album.photos, 0, EventSettings(listed=listed))}
    assert rows[frames[37].path].part == rows[frames[39].path].part == Part.TEST
    assert rows[again.path].reason == "nearly the same as a training photo of its event"


def test_a_film_in_which_nothing_moves_is_still_built() -> None:
    album = Album.of(1, (0, 300))
    listed = film(album, "class 0", 12, "film")
    still = album.photos[-1].look
    album.photos[-12:] = [replace(photo, look=still) for photo in album.photos[-12:]]
    rows = in_time(assign(album.photos, 0, EventSettings(listed=listed)), "film")
    assert {row.part for row in rows} == {*Part, LEFT_OUT}


def test_a_class_of_few_events_is_named_with_what_is_missing() -> None:
    album = Album.of(1, (0, 30))
    listed = film(album, "class 0", 20, "film")
    listed |= film(album, "class 2", 20, "one") | film(album, "class 2", 20, "two")
    rows = assign(album.photos, 0, EventSettings(listed=listed))
    record = describe(Path("garden"), rows).data
    assert record.occasion_only == {"class 0": 2, "class 2": 1}
    said = table(record, rows)
    assert (
        "few events: 'class 0' has 1 event: its figures hold for this occasion only; photograph it "
        "on at least 2 more occasions"
    ) in said
    assert "'class 2' has 2 events: its figures hold for these occasions only" in said
    assert record.events["class 2"] == {"train": 1, "val": 1, "test": 1}


def test_copies_of_two_photos_are_no_class() -> None:
    album = Album.of(6, (20, 2))
    for photo in album.photos[-2:]:
        for _ in range(5):
            album.copy(photo, photo.label)
    with pytest.raises(DataError, match=r"the 12 usable photos of class 'class 1' are copies of 2"):
        assign(album.photos)


# --- photos that devices saved --------------------------------------------------------------------


def test_a_device_photo_of_an_event_that_judges_is_left_out() -> None:
    album, found = visits(2, [{0: 6}] * 10 + [{1: 6}] * 10)
    before = assign(album.photos, 0, found)
    listed = dict(found.listed)
    for row in before:
        saved = replace(album.add(row.label), collected=True)
        album.photos[-1] = saved
        listed[saved.path] = listed[row.path]
    rows = assign(album.photos, 0, EventSettings(listed=listed))
    mine = {row.path for row in before}
    assert [row for row in rows if row.path in mine] == before
    parts = {row.group: row.part for row in before}
    for row in rows:
        if row.collected:
            assert (row.part == Part.TRAIN) == (parts[row.group] == Part.TRAIN)
            assert "of the same event as the held-out" in row.reason or row.part == Part.TRAIN


def test_device_photos_of_one_event_share_its_name() -> None:
    album = Album.of(3, (30, 30))
    saved = [replace(album.add("class 0"), collected=True) for _ in range(4)]
    album.photos[-4:] = saved
    listed = {photo.path: Occasion("visit") for photo in saved}
    rows = assign(album.photos, 0, EventSettings(listed=listed))
    smallest = min(photo.sha256 for photo in saved)[:12]
    assert {row.group for row in rows if row.collected} == {smallest}


def test_a_device_of_ours_is_a_place_unless_the_user_names_another() -> None:
    album = Album.of(3, (30, 30))
    garden = Moment("garden", True, own=True)
    saved = [
        replace(album.add("class 0"), collected=True, moment=garden, sha256=f"{i:064x}")
        for i in range(3)
    ]
    album.photos[-3:] = saved
    settings = EventSettings(listed={saved[0].path: Occasion("", "pond")})
    places = {row.path: row.place for row in assign(album.photos, 0, settings) if row.collected}
    assert [places[photo.path] for photo in saved] == ["pond", "garden", "garden"]
