"""The kept background: read back as it was, and not at all if anything about it is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.contract.look.cells import Grid
from device.contract.look.change import Background
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Seen
from device.errors import BackgroundError
from device.files import UNFINISHED
from device.inference import kept
from device.inference.kept import Place

RULES = LookRules()
WHOLE = (0.0, 0.0, 1.0, 1.0)
PLACE = Place.of(RULES, WHOLE, (192, 144))


def background(place: Place = PLACE, seed: int = 0) -> Background:
    rng = np.random.default_rng(seed)
    shape = Grid.of(*place.size_px, place.rules).shape
    cells = rng.integers(0, 511, (3, *shape), np.int16)
    return Background(cells, rng.integers(0, 2000, shape, np.int16))


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_background_comes_back_to_the_bit(
    tmp_path: Path, width_px: int, height_px: int, seed: int
) -> None:
    place = Place.of(RULES, (0.1, 0.2, 0.9, 1.0), (width_px, height_px))
    known = background(place, seed)
    kept.write(tmp_path / "background", place, [known])
    (found,) = kept.read(tmp_path / "background", place)
    np.testing.assert_array_equal(found.cells, known.cells)
    np.testing.assert_array_equal(found.spread, known.spread)
    frame = np.zeros((height_px, width_px, 3), np.uint8)
    assert Looker(RULES, found).see(frame, 0).seen is not Seen.LEARNING, "it can be used at once"


def test_several_backgrounds_come_back_in_order(tmp_path: Path) -> None:
    known = [background(seed=seed) for seed in range(4)]
    kept.write(tmp_path / "background", PLACE, known)
    found = kept.read(tmp_path / "background", PLACE)
    assert len(found) == 4
    for one, other in zip(found, known, strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_array_equal(one.spread, other.spread)


@given(st.integers(0, 60_000), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_byte_can_be_another_and_none_can_be_missing(
    tmp_path: Path, at: int, change: int
) -> None:
    path = tmp_path / "background"
    kept.write(path, PLACE, [background()])
    data = path.read_bytes()
    at %= len(data)
    path.write_bytes(data[:at] + bytes([data[at] ^ change]) + data[at + 1 :])
    with pytest.raises(BackgroundError):
        kept.read(path, PLACE)
    path.write_bytes(data[:at])
    with pytest.raises(BackgroundError):
        kept.read(path, PLACE)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Place.of(replace(RULES, columns=48), WHOLE, (192, 144)), "other rules"),
        (Place.of(RULES, (0.0, 0.0, 0.5, 1.0), (192, 144)), "another region"),
        (Place.of(RULES, WHOLE, (144, 192)), "another size"),
    ],
)
def test_a_background_of_something_else_is_refused(tmp_path: Path, other: Place, why: str) -> None:
    path = tmp_path / "background"
    kept.write(path, other, [background(other)])
    with pytest.raises(BackgroundError, match=why):
        kept.read(path, PLACE)


def test_settings_that_change_nothing_about_a_background_do_not_cost_it(tmp_path: Path) -> None:
    kept.write(tmp_path / "background", PLACE, [background()])
    rules = replace(RULES, absorb_s=60, most_boxes=2)
    assert kept.read(tmp_path / "background", Place.of(rules, WHOLE, (192, 144)))


def test_numbers_that_no_background_has_are_refused_although_the_file_is_whole(
    tmp_path: Path,
) -> None:
    known, path = background(), tmp_path / "background"
    for cells in (known.cells + 400, known.cells - 1):
        kept.write(path, PLACE, [known, Background(cells, known.spread)])
        with pytest.raises(BackgroundError, match="no background"):
            kept.read(path, PLACE)


@pytest.mark.parametrize("data", [b"", b"\n", b"[]\n", b"{}\n", b"[" * 9999, b"\xff\n", b"null"])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "background"
    path.write_bytes(data)
    with pytest.raises(BackgroundError):
        kept.read(path, PLACE)


def test_what_is_no_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BackgroundError, match="directory"):
        kept.read(tmp_path, PLACE)
    with pytest.raises(FileNotFoundError):
        kept.read(tmp_path / "background", PLACE)


def test_a_write_that_is_cut_short_leaves_the_old_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = tmp_path / "background", background()
    kept.write(path, PLACE, [old])

    def full(self: Path, data: bytes) -> None:
        with self.open("wb") as file:
            file.write(data[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        kept.write(path, PLACE, [background(seed=1)])
    np.testing.assert_array_equal(kept.read(path, PLACE)[0].cells, old.cells)
    assert not [*tmp_path.glob(f"{UNFINISHED}*")]


def test_a_background_is_small(tmp_path: Path) -> None:
    place = Place.of(RULES, WHOLE, (640, 480))
    kept.write(tmp_path / "background", place, [background(place)])
    data = (tmp_path / "background").read_bytes()
    assert len(data) < 60_000
    assert json.loads(data.partition(b"\n")[0])["size_px"] == [640, 480]
