"""Promises of cutting: boxes inside the frame, by other events' photos, whatever their order."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from device.contract.arrays import Pixels
from device.contract.look import place
from device.contract.look.cells import Grid
from device.contract.look.rules import LookRules
from device.contract.photos import decode_frame
from device.workstation.photo_files import PhotoFiles
from tests.support.pictures import encoded
from tests.support.visited_places import RADIUS_PX, SIZE_PX, frame
from train.data.sight import sighting
from train.data.sight.cutting import Cutting, find_cuts
from train.data.sight.sighting import (
    EDGE,
    FAINT,
    FEW,
    LARGE,
    MAX_FRAMES,
    MIN_EVENTS,
    MIN_FRAMES,
    MOVED,
    NO_PLACE,
    NOTHING,
    RIVAL,
    SIZE,
    SMALL,
    TOO_LARGE,
    lessons,
    sighting_of,
    spread,
)
from train.data.split import Row
from train.errors import DataError

RULES = LookRules()
EVENTS = 6

Make = Callable[[int, int], Image.Image]


def visited(place: int, number: int) -> Image.Image:
    return frame(place, number).image


def photos_at(
    folder: Path, places: Mapping[str, int], make: Make = visited, per_event: int = 2
) -> list[Row]:
    """Photos of some places, each with its number of events."""
    rows = []
    for number, (name, events) in enumerate(places.items()):
        for i in range(events * per_event):
            path = f"{name or 'nowhere'}_{i}.png"
            data = encoded(make(number, i))
            (folder / path).write_bytes(data)
            event = f"{name}{i // per_event}"
            rows.append(Row(path, "robin", "train", digest(data), event, "", place=name))
    return rows


def cuts_in(folder: Path, rows: Sequence[Row]) -> Cutting:
    return find_cuts(PhotoFiles(folder), rows, RULES)


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def test_a_photo_is_cut_around_its_subject(tmp_path: Path) -> None:
    rows = photos_at(tmp_path, {"gate": EVENTS, "pond": EVENTS})
    found = cuts_in(tmp_path, rows)
    assert not found.whole
    for number, name in enumerate(("gate", "pond")):
        for i in range(EVENTS * 2):
            left, upper, right, lower = found.boxes[f"{name}_{i}.png"]
            assert right - left == lower - upper < 4 * RADIUS_PX
            y, x = np.nonzero(frame(number, i).disc)
            assert left <= x.min() and x.max() < right and upper <= y.min() and y.max() < lower


def test_photos_of_no_place_are_not_read(tmp_path: Path) -> None:
    row = Row("gone.jpg", "robin", "train", "", "1", "")
    assert cuts_in(tmp_path, [row]).whole == {"gone.jpg": NO_PLACE}


def test_photos_that_are_left_out_are_not_read(tmp_path: Path) -> None:
    rows = photos_at(tmp_path, {"gate": EVENTS})
    gone = Row("gone.jpg", "robin", "left_out", "", "gate0", "empty", place="gate")
    assert cuts_in(tmp_path, [*rows, gone]) == cuts_in(tmp_path, rows)


@pytest.mark.parametrize(("events", "per_event"), [(MIN_EVENTS - 1, 9), (MIN_EVENTS, 1), (1, 40)])
def test_photos_of_a_place_that_is_little_known_stay_whole(
    tmp_path: Path, events: int, per_event: int
) -> None:
    assert MIN_EVENTS < MIN_FRAMES
    found = cuts_in(tmp_path, photos_at(tmp_path, {"gate": events}, visited, per_event))
    assert not found.boxes and set(found.whole.values()) == {FEW}


def test_photos_of_another_size_than_their_place_stay_whole(tmp_path: Path) -> None:
    sizes = {0: (64, 48), 1: (144, 192), 2: (1, 1)}
    rows = photos_at(
        tmp_path,
        {"gate": EVENTS + 2},
        lambda place, i: visited(place, i).resize(sizes.get(i, SIZE_PX)),
    )
    assert cuts_in(tmp_path, rows).whole == {f"gate_{i}.png": SIZE for i in sizes}


def test_photos_without_a_visitor_stay_whole(tmp_path: Path) -> None:
    rows = photos_at(
        tmp_path, {"gate": EVENTS}, lambda place, i: frame(place, i, visited=i > 2).image
    )
    assert cuts_in(tmp_path, rows).whole == {f"gate_{i}.png": NOTHING for i in range(3)}


def test_photos_of_a_camera_that_moved_stay_whole(tmp_path: Path) -> None:
    rows = photos_at(
        tmp_path,
        {"gate": EVENTS, "hand": EVENTS},
        lambda place, i: visited(place if place == 0 else 10 + i, i),
    )
    found = cuts_in(tmp_path, rows)
    assert set(found.whole.values()) == {MOVED}
    assert {path.split("_")[0] for path in found.boxes} == {"gate"}


def test_photos_that_no_camera_makes_stay_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = photos_at(tmp_path, {"gate": EVENTS})
    monkeypatch.setattr("device.contract.photos.MAX_FRAME_PIXELS", 100)
    assert set(cuts_in(tmp_path, rows).whole.values()) == {TOO_LARGE}


def test_the_order_of_photos_changes_no_box(tmp_path: Path) -> None:
    rows = photos_at(tmp_path, {"gate": EVENTS, "": 3, "pond": EVENTS})
    found = cuts_in(tmp_path, rows)
    for seed in range(3):
        shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        other = cuts_in(tmp_path, shuffled)
        assert other == found
        assert list(other.boxes) == list(found.boxes)


def test_a_photos_own_event_does_not_decide_its_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other photos of an event show, even another place, changes no box of it."""
    rows = photos_at(tmp_path, {"gate": EVENTS}, per_event=5)
    found = cuts_in(tmp_path, rows)
    for i in range(1, 5):
        data = encoded(visited(7, i))
        (tmp_path / f"gate_{i}.png").write_bytes(data)
        rows[i] = replace(rows[i], sha256=digest(data))
    other = cuts_in(tmp_path, rows)
    assert other.boxes["gate_0.png"] == found.boxes["gate_0.png"]
    assert "gate_1.png" not in other.boxes


def disc_at(x: float, y: float, radius: float, colour: int = 230) -> Image.Image:
    """The place "gate" with one more disc; the light is the same."""
    picture = visited_never(0)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(colour, 20, 20))
    return picture


def visited_never(number: int) -> Image.Image:
    return frame(0, number, visited=False).image


WIDTH, HEIGHT = SIZE_PX
ODD = {
    EDGE: disc_at(WIDTH - 5, HEIGHT / 2, 20),
    LARGE: disc_at(0.3 * WIDTH, HEIGHT / 2, 0.36 * HEIGHT),
    SMALL: disc_at(WIDTH / 2, HEIGHT / 2, 0.08 * HEIGHT),
    RIVAL: ImageChops.lighter(disc_at(40, 70, 20), disc_at(150, 70, 19)),
}


@pytest.mark.parametrize("doubt", ODD)
def test_a_box_that_may_be_bad_is_told_with_the_reason(tmp_path: Path, doubt: str) -> None:
    rows = photos_at(
        tmp_path,
        {"gate": EVENTS},
        lambda place, i: ODD[doubt] if i == 0 else visited(place, i),
    )
    doubts = dict(cuts_in(tmp_path, rows).doubts)
    assert doubts.pop("gate_0.png") == doubt
    assert set(doubts.values()) <= {EDGE}


@st.composite
def places_of_events(draw: st.DrawFn) -> list[Row]:
    sizes = draw(st.lists(st.integers(1, 70), min_size=1, max_size=60))
    return [
        Row(f"{event}_{i}", "", "", digest(f"{event} {i}".encode()), str(event), "")
        for event, size in enumerate(sizes)
        for i in range(size)
    ]


@settings(deadline=None, max_examples=60)
@given(places_of_events())
def test_a_background_is_learned_from_other_events_as_evenly_as_possible(rows: list[Row]) -> None:
    sizes = Counter(row.group for row in rows)
    for event, taught in lessons(rows).items():
        counts = Counter(row.group for row in taught)
        assert event not in counts
        assert sum(counts.values()) == min(MAX_FRAMES, len(rows) - sizes[event])
        most = max(counts.values(), default=0)
        for other in sizes.keys() - {event}:
            assert counts[other] >= min(sizes[other], most - 1)
        assert taught == tuple(spread(r for r in rows if r.group != event)[:MAX_FRAMES])


@settings(deadline=None, max_examples=150)
@given(
    width=st.integers(1, 260),
    height=st.integers(1, 260),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_cut_never_leaves_the_frame(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 256, (height, width, 3), np.uint8)
    grid = Grid.of(width, height, RULES)
    background = place.of_pictures([grid.cells(ground)] * MIN_FRAMES, visited=True)
    picture = ground.copy()
    x, y = int(rng.integers(width)), int(rng.integers(height))
    w, h = int(rng.integers(1, width + 1)), int(rng.integers(1, height + 1))
    picture[y : y + h, x : x + w] = rng.integers(0, 256, 3, np.uint8)
    known = sighting._Known(grid, {"1": background}, {"p": picture_of(grid, picture)})
    row = Row("p", "", "", "", "1", "")
    found = sighting._Place(PhotoFiles(Path()), RULES, [row])._look(known, row)
    if not isinstance(found, str):
        left, upper, right, lower = found.box
        assert 0 <= left < right <= width and 0 <= upper < lower <= height
        assert right - left == lower - upper


def picture_of(grid: Grid, pixels: Pixels) -> sighting._Picture:
    return sighting._Picture(grid, grid.cells(pixels))


def test_a_photo_that_changed_stops_with_its_name(tmp_path: Path) -> None:
    rows = photos_at(tmp_path, {"gate": EVENTS})
    (tmp_path / "gate_3.png").write_bytes(encoded(visited(0, 0)))
    with pytest.raises(DataError, match=r"gate_3\.png: its content has changed .*`make data`"):
        cuts_in(tmp_path, rows)


def test_each_photo_is_decoded_once_and_ctrl_c_does_not_wait_for_all_of_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = photos_at(tmp_path, {"gate": 30}, per_event=4)
    read: list[bytes] = []
    stop = False

    def counted(data: bytes) -> Pixels:
        read.append(data)
        if stop and len(read) == MAX_FRAMES + 20:
            raise KeyboardInterrupt
        if stop and len(read) > MAX_FRAMES + 20:
            time.sleep(0.05)
        return decode_frame(data)

    monkeypatch.setattr(sighting, "decode_frame", counted)
    cuts_in(tmp_path, rows)
    assert len(read) == len(rows)
    read.clear()
    stop = True
    with pytest.raises(KeyboardInterrupt):
        cuts_in(tmp_path, rows)
    assert len(read) < MAX_FRAMES + 60


def test_boxes_that_are_known_better_take_the_place_of_others() -> None:
    box, better = (0, 0, 9, 9), (5, 5, 9, 9)
    found = Cutting({"b": box, "c": box}, {"b": EDGE, "c": EDGE}, {"a": NOTHING, "d": NOTHING})
    known = found.with_boxes({"a": better, "b": better})
    assert known == Cutting({"a": better, "b": better, "c": box}, {"c": EDGE}, {"d": NOTHING})
    assert found.with_boxes({}) == found


@pytest.mark.parametrize(
    ("brighter", "doubt"), [(17, FAINT), *((by, "") for by in (20, 55, 60, 100))]
)
def test_only_what_hardly_differs_from_its_background_is_faint(brighter: int, doubt: str) -> None:
    empty = np.full((SIZE_PX[1], SIZE_PX[0], 3), 90, np.uint8)
    visited, grid = empty.copy(), Grid.of(*SIZE_PX, RULES)
    middle_x, middle_y = SIZE_PX[0] // 2, SIZE_PX[1] // 2
    visited[middle_y - 20 : middle_y + 20, middle_x - 20 : middle_x + 20] += np.uint8(brighter)
    background = place.of_pictures([grid.cells(empty)] * MIN_FRAMES, visited=True)
    seen = place.look(grid.cells(visited), background, RULES)
    assert sighting_of(seen, grid, background, RULES).doubt == doubt
