"""Integers only: the same frames give the same boxes, whatever their size and content."""

import ast
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from device.contract import photos
from device.contract.arrays import Pixels
from device.contract.look import box, change, light, place
from device.contract.look.cells import FULL, Grid
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Seen
from device.errors import BundleError
from tests.bench.look.judge import overlap, squared
from tests.support.exact_film import exact_film, harsh_film
from tests.support.films import Film, Visit, shots
from tests.support.pictures import encoded
from tests.support.places import ROOT

RULES = LookRules()
HASTY = LookRules(learn_ms=3000, ghost_ms=2000, absorb_s=4)
"""A film of a minute shows with these what takes a camera a quarter of an hour."""
BOXES_SHA256 = "4d1d45f6b46f190d22dcf21c7fdf7066d03e961d61e823c22d881c7ea6bcc6eb"
"""Of what is told of `exact_film`; a change of rules or steps changes it, a machine never."""
BACKGROUNDS_SHA256 = "5881ce263aae735d267e897a42581239fce975335d555e21f0375c5983071344"
"""Of what is told and known in `harsh_film`."""
SOURCES = sorted((ROOT / "device/contract/look").glob("*.py"))
sides = st.integers(1, 400)


def noise(width: int, height: int, seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_float_is_on_the_way_from_a_frame_to_its_box(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        assert not isinstance(node, ast.Div)
        names = {getattr(node, "attr", ""), getattr(node, "id", "")}
        assert not names & {"float", "float32", "float64", "mean", "median", "std", "percentile"}


def test_a_film_gives_these_very_boxes_on_every_machine() -> None:
    looker, told = Looker(RULES), []
    for frame, at_ms in exact_film():
        outcome = looker.see(frame, at_ms)
        told.append([outcome.seen.value, outcome.boxes, outcome.changed_permille])
    assert sum(bool(boxes) for _, boxes, _ in told) > 25
    assert hashlib.sha256(json.dumps(told).encode()).hexdigest() == BOXES_SHA256


def test_a_harsh_film_gives_these_very_backgrounds_on_every_machine() -> None:
    looker, digest, seen = Looker(HASTY), hashlib.sha256(), set()
    for frame, at_ms in harsh_film():
        outcome = looker.see(frame, at_ms)
        seen.add(outcome.seen)
        digest.update(repr((outcome.seen.value, outcome.boxes, outcome.changed_permille)).encode())
        if looker.background is not None:
            for layer in (looker.background.cells, looker.background.spread):
                digest.update(layer.astype("<i2").tobytes())
    assert seen == {Seen.LEARNING, Seen.NOTHING, Seen.SOMETHING, Seen.LIGHT}
    assert digest.hexdigest() == BACKGROUNDS_SHA256


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(0, 1 << 30))
def test_frames_of_any_size_give_boxes_inside_of_them(width: int, height: int, seed: int) -> None:
    looker, again = (Looker(LookRules(learn_ms=1000, most_boxes=4)) for _ in range(2))
    rng = np.random.default_rng(seed)
    still = noise(width, height, seed)
    for number in range(12):
        frame = still.copy()
        if number > 6:
            x, y = int(rng.integers(width)), int(rng.integers(height))
            frame[y : y + height // 3 + 1, x : x + width // 3 + 1] = rng.integers(0, 256, 3)
        outcome = looker.see(frame, number * 300)
        assert outcome == again.see(frame, number * 300)
        assert bool(outcome.boxes) == (outcome.seen is Seen.SOMETHING)
        for left, upper, right, lower in outcome.boxes:
            assert 0 <= left < right <= width and 0 <= upper < lower <= height
            assert right - left == lower - upper


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_camera_of_one_colour_shows_nothing(level: int) -> None:
    looker = Looker(RULES)
    frame = np.full((120, 160, 3), level, np.uint8)
    seen = [looker.see(frame, at_ms).seen for at_ms in range(0, 20_000, 500)]
    assert set(seen[22:]) == {Seen.NOTHING}


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_cells_are_square_and_never_too_many(width: int, height: int) -> None:
    grid = Grid.of(width, height, RULES)
    rows, columns = grid.shape
    assert 1 <= rows <= RULES.rows and 1 <= columns <= RULES.columns
    assert grid.cell_width_px == grid.cell_height_px or 1 in grid.shape


def test_a_cell_is_the_sum_of_two_of_its_pixels() -> None:
    frame = noise(640, 480, 1)
    cells = Grid.of(640, 480, RULES).cells(frame)
    assert cells.shape == (3, 68, 91) and 0 <= cells.min() <= cells.max() <= FULL
    wanted = frame[7 * 5 + 1, 7 * 9 + 1].astype(int) + frame[7 * 5 + 5, 7 * 9 + 5]
    assert cells[:, 5, 9].tolist() == wanted.tolist()


@settings(deadline=None)
@given(sides, sides, st.integers(0, 100))
def test_a_jpeg_that_is_no_array_yet_has_the_same_cells(width: int, height: int, seed: int) -> None:
    data = encoded(noise(width, height, seed), "JPEG")
    grid, lazy = Grid.of(width, height, RULES), photos.decode_lazily(data)
    wanted = grid.cells(photos.decode_frame(data))
    np.testing.assert_array_equal(grid.cells(lazy), wanted)
    np.testing.assert_array_equal(lazy.pixels(), photos.decode_frame(data))
    np.testing.assert_array_equal(grid.cells(lazy), wanted)


def test_a_look_makes_no_array_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(noise(640, 480, 1), "JPEG")
    usual, looker = photos.decode_frame(data), Looker(HASTY)
    monkeypatch.delattr(photos, "pixels")
    seen = [looker.see(photos.decode_lazily(data), at_ms).seen for at_ms in range(0, 5000, 500)]
    assert seen[-1] is Seen.NOTHING
    monkeypatch.undo()
    assert looker.see(usual, 5000).seen is Seen.NOTHING


def test_a_large_picture_is_an_array_at_once_because_pillow_keeps_it_in_more_bytes() -> None:
    image = Image.new("RGB", (2000, 1100))
    large = photos.Decoded(image)
    assert large._image is None and large.pixels().shape == large.shape == (1100, 2000, 3)


@given(st.integers(60, 400), st.integers(0, 100))
def test_light_over_all_of_a_picture_is_divided_out(percent: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    usual = rng.integers(40, 120, (3, 72, 96)).astype(np.int16)
    brighter = (usual * np.int32(percent) // 100).astype(np.int16)
    expected = light.lit(usual, light.gains(brighter, usual))
    assert change.difference(brighter, expected).max() <= 3 * 20


def test_pieces_at_both_ends_of_neighbouring_rows_are_two_subjects() -> None:
    changed = np.zeros((72, 96), bool)
    changed[30:42, :12] = changed[30:42, -12:] = True
    apart = np.where(changed, 900, 0).astype(np.int16)
    found = box.subjects(apart, np.full_like(apart, 300), changed, RULES)
    assert sorted((s.left, s.right) for s in found) == [(0, 12), (84, 96)]


def test_the_background_of_a_place_comes_from_photos_in_which_something_is_elsewhere() -> None:
    films = [
        Film(0.5, visits=(Visit(-5, 9, 0.35, at, seed=n),), seed=2)
        for n, at in enumerate([(0.2, 0.3), (0.8, 0.3), (0.5, 0.7), (0.2, 0.7), (0.8, 0.8)] * 2)
    ]
    taken = [next(shots(film)) for film in films]
    grid = Grid.of(192, 144, RULES)
    cells = [grid.cells(photo.pixels) for photo in taken]
    known = place.of_pictures(cells, visited=True)
    for picture, photo in zip(cells, taken, strict=True):
        found = place.look(picture, known, RULES)
        assert found.seen is Seen.SOMETHING
        wanted = squared(photo.boxes[0], (192, 144), RULES)
        assert overlap(box.square(found.subjects[0], grid, RULES), wanted) > 0.5


def test_rules_are_read_back_and_their_digest_changes_with_any_of_them() -> None:
    assert LookRules.from_record(RULES.record()) == RULES
    digests = {LookRules(**{name: 77}).sha256() for name in RULES.record()}
    assert len(digests | {RULES.sha256()}) == len(RULES.record()) + 1


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_what_is_no_whole_number_is_no_rule(value: object) -> None:
    with pytest.raises(BundleError, match="absorb_s"):
        LookRules.from_record({**RULES.record(), "absorb_s": value})


def test_a_rule_that_is_missing_or_unknown_is_named() -> None:
    record = RULES.record()
    del record["tick_ms"]
    with pytest.raises(BundleError, match="'sharp', 'tick_ms'"):
        LookRules.from_record({**record, "sharp": 1})
