"""Promises of places in training: which photos exchange backgrounds, and that no other changes."""

import hashlib
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Box
from device.contract.photos import decode
from device.contract.preprocess import Preprocessing
from device.workstation.events.listed import Occasion
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import CUTS, SPLIT, Part
from device.workstation.training import EVENTS as EVENTS_FILE
from tests.support.pictures import encoded
from tests.support.visited_places import frame
from train.data.augment import view
from train.data.sight.sighting import MIN_EVENTS, MIN_FRAMES, spread
from train.data.split import Row
from train.errors import DataError
from train.recipe import places
from train.recipe.activations import Seen
from train.recipe.config import TrainConfig
from train.recipe.photos import Photos
from train.recipe.places import MAX_FRAMES, Exchange, read_exchange

RULES = Preprocessing(height_px=96, width_px=96)
PER_EVENT = 2
EVENTS = 6

Make = Callable[[int, int], Image.Image]


def visited(place: int, number: int) -> Image.Image:
    return frame(place, number).image


def photos_at(
    folder: Path,
    places: Mapping[str, int],
    make: Make = visited,
    part: Part = Part.TRAIN,
    per_event: int = PER_EVENT,
) -> Photos:
    """Photos of some places, each with its number of events."""
    rows, occasions = [], {}
    for number, (place, events) in enumerate(places.items()):
        for i in range(events * per_event):
            path = f"{place or 'nowhere'}_{i}.png"
            data = encoded(make(number, i))
            (folder / path).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            rows.append(Row(path, "robin", part, digest, digest[:12], ""))
            occasions[path] = Occasion(f"{place}{i // per_event}", place)
    return Photos(
        PhotoFiles(folder), ("robin",), {each: rows * (each == part) for each in Part}, occasions
    )


def views(exchange: Exchange, photos: Photos, row: Row, count: int = 4) -> list[bytes]:
    image = Image.open(photos.files.path(row.path))
    return [exchange.view(image, row, RULES, n, 5).tobytes() for n in range(count)]


def plain(photos: Photos, row: Row, count: int = 4) -> list[bytes]:
    """The views of a photo of which no place is known."""
    image = Image.open(photos.files.path(row.path))
    return [view(image, RULES, n, 5).tobytes() for n in range(count)]


def test_photos_of_two_places_are_shown_before_other_backgrounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = photos_at(tmp_path, {"gate": EVENTS, "pond": EVENTS})
    exchange = read_exchange(photos, RULES)
    assert len(exchange.backgrounds) == 2
    assert len(exchange.standing) == 24
    for row in photos.rows[Part.TRAIN]:
        exchanged, own = views(exchange, photos, row), plain(photos, row)
        # Every second view; view 0 is what the device sees, and the head is fitted to it.
        assert exchanged[::2] == own[::2]
        assert not set(exchanged[1::2]) & set(own)
    said = capsys.readouterr().err
    assert "24 of 24 training photos are shown before other backgrounds (2 of 2 places" in said


def test_photos_of_no_place_keep_their_views_to_the_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = photos_at(tmp_path, {"": EVENTS})
    assert read_exchange(alone, RULES) == Exchange()
    assert capsys.readouterr().err == ""
    mixed = photos_at(tmp_path, {"gate": EVENTS, "pond": EVENTS, "": 2})
    exchange = read_exchange(mixed, RULES)
    for row in mixed.rows[Part.TRAIN]:
        if not mixed.occasions[row.path].place:
            assert views(exchange, mixed, row) == plain(mixed, row)
    assert "; 4 keep their own" in capsys.readouterr().err


def test_one_place_alone_has_nothing_to_exchange(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_exchange(photos_at(tmp_path, {"gate": EVENTS}), RULES) == Exchange()
    said = capsys.readouterr().err
    assert "0 of 12 training photos" in said
    assert "(1 of 1 places have a clear one, at least 2 are needed)" in said


@pytest.mark.parametrize(("events", "per_event"), [(MIN_EVENTS - 1, 9), (MIN_EVENTS, 1), (1, 40)])
def test_a_place_with_few_events_or_frames_has_no_background(
    tmp_path: Path, events: int, per_event: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert MIN_EVENTS < MIN_FRAMES
    photos = photos_at(tmp_path, {"gate": events, "pond": events}, per_event=per_event)
    assert read_exchange(photos, RULES) == Exchange()
    assert "(0 of 2 places" in capsys.readouterr().err


def test_a_camera_that_moved_is_no_place(tmp_path: Path) -> None:
    photos = photos_at(
        tmp_path,
        {"gate": EVENTS, "pond": EVENTS, "hand": EVENTS},
        lambda place, i: visited(place if place < 2 else 10 + i, i),
    )
    exchange = read_exchange(photos, RULES)
    assert len(exchange.backgrounds) == 2
    assert not any(path.startswith("hand") for path in exchange.standing)


def test_a_photo_that_is_cut_beside_its_largest_subject_keeps_its_background(
    tmp_path: Path,
) -> None:
    """A device may have noted another subject: the view would show none."""
    photos = photos_at(tmp_path, {"gate": EVENTS, "pond": EVENTS})
    usual = read_exchange(photos, RULES)
    first, second = (row.path for row in photos.rows[Part.TRAIN][:2])
    middles = [np.argwhere(frame(0, i).disc).mean(axis=0)[1] for i in (0, 1)]
    cuts: dict[str, Box] = {
        first: (96, 0, 192, 144) if middles[0] < 96 else (0, 0, 96, 144),
        second: (0, 0, 96, 144) if middles[1] < 96 else (96, 0, 192, 144),
    }
    exchange = read_exchange(replace(photos, cuts=cuts), RULES)
    assert set(usual.standing) - set(exchange.standing) == {first}
    assert exchange.places == usual.places


def test_photos_of_another_size_than_their_place_keep_their_views(tmp_path: Path) -> None:
    sizes = {0: (64, 48), 1: (144, 192), 2: (1, 1)}
    photos = photos_at(
        tmp_path,
        {"gate": EVENTS + 2, "pond": EVENTS + 1},
        lambda place, i: visited(place, i).resize(sizes.get(i, (192, 144))),
    )
    exchange = read_exchange(photos, RULES)
    rows = {row.path: row for row in photos.rows[Part.TRAIN]}
    for i in sizes:
        for place in ("gate", "pond"):
            row = rows[f"{place}_{i}.png"]
            assert views(exchange, photos, row) == plain(photos, row)
    assert len(exchange.standing) == len(rows) - 2 * len(sizes)


def test_frames_without_a_visitor_keep_their_views(tmp_path: Path) -> None:
    photos = photos_at(
        tmp_path,
        {"gate": EVENTS, "pond": EVENTS},
        lambda place, i: frame(place, i, visited=i > 2).image,
    )
    exchange = read_exchange(photos, RULES)
    assert "gate_2.png" not in exchange.standing
    assert "gate_3.png" in exchange.standing


def test_photos_that_judge_the_network_give_no_background(tmp_path: Path) -> None:
    places = {"gate": EVENTS, "pond": EVENTS}
    for part in (Part.VAL, Part.TEST):
        assert read_exchange(photos_at(tmp_path, places, part=part), RULES) == Exchange()


def test_the_same_photos_give_the_same_views(tmp_path: Path) -> None:
    photos = photos_at(tmp_path, {"gate": EVENTS, "pond": EVENTS})
    backwards = Photos(
        photos.files,
        photos.labels,
        {part: list(reversed(rows)) for part, rows in photos.rows.items()},
        photos.occasions,
    )
    one, two = (read_exchange(each, RULES) for each in (photos, backwards))
    for row in photos.rows[Part.TRAIN]:
        assert views(one, photos, row) == views(two, photos, row)


def test_a_photo_that_changed_stops_with_its_name(tmp_path: Path) -> None:
    photos = photos_at(tmp_path, {"gate": EVENTS, "pond": EVENTS})
    (tmp_path / "pond_3.png").write_bytes(encoded(visited(0, 0)))
    with pytest.raises(DataError, match=r"pond_3\.png: its content has changed .*`make data`"):
        read_exchange(photos, RULES)


def test_a_background_is_made_of_all_events_alike() -> None:
    rows = [
        Row("", "", "", f"{event:02}{i:03}", str(event), "")
        for event, photos in enumerate((100, 3, 1))
        for i in range(photos)
    ]
    order = [row.group for row in spread(rows)]
    assert order[:7] == ["0", "1", "2", "0", "1", "0", "1"]
    assert len(order) == 104
    assert len(order) > MAX_FRAMES


def test_large_photos_give_a_background_of_bounded_size(tmp_path: Path) -> None:
    photos = photos_at(
        tmp_path,
        {"gate": MIN_EVENTS + 1, "pond": MIN_EVENTS + 1},
        lambda place, i: visited(place, i).resize((1280, 960)),
    )
    exchange = read_exchange(photos, RULES)
    assert {np.shape(each) for each in exchange.backgrounds} == {(480, 640, 3)}
    assert exchange.standing


def test_large_photos_of_a_place_are_not_all_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = photos_at(
        tmp_path,
        {"gate": MIN_EVENTS + 1, "pond": MIN_EVENTS + 1},
        lambda place, i: visited(place, i).resize((1280, 960)),
    )
    decoded: list[weakref.ref[Image.Image]] = []
    most = 0

    def counted(data: bytes, rules: Preprocessing) -> Image.Image:
        nonlocal most
        image = decode(data, rules)
        decoded.append(weakref.ref(image))
        most = max(most, sum(each() is not None for each in decoded))
        return image

    monkeypatch.setattr(places, "decode", counted)
    assert read_exchange(photos, RULES).standing
    # Two of each place: one is read while the one before is still named.
    assert most <= 4


@pytest.mark.parametrize("name", [SPLIT, EVENTS_FILE, CUTS])
def test_views_are_computed_again_when_split_places_or_boxes_change(
    tmp_path: Path, name: str
) -> None:
    for each in (SPLIT, EVENTS_FILE, CUTS):
        (tmp_path / each).write_text("before")
    nothing: Any = None
    photos: Any = SimpleNamespace(taught_of=None)
    seen = Seen(nothing, TrainConfig(), "", photos, nothing, training=tmp_path, cache=tmp_path)
    before = seen.views_key()
    assert seen.views_key() == before
    (tmp_path / name).write_text("after")
    assert seen.views_key() != before
