"""The mask: which cells of a grid are allowed by a picture of any size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device.contract import mask
from device.contract.look.cells import Grid
from device.contract.look.rules import LookRules
from device.errors import MaskError

RULES = LookRules()
WHOLE = (0.0, 0.0, 1.0, 1.0)


def drawn(width: int, height: int, white: tuple[float, float, float, float]) -> Image.Image:
    """Black but for a rectangle in fractions of the picture."""
    left, top, right, bottom = white
    values = np.zeros((height, width), np.uint8)
    rows = slice(round(top * height), round(bottom * height))
    values[rows, round(left * width) : round(right * width)] = 255
    return Image.fromarray(values)


@pytest.mark.parametrize("size_px", [(640, 480), (64, 48), (8, 6), (1280, 960), (100, 400)])
def test_a_mask_of_any_size_is_scaled_to_the_frame(size_px: tuple[int, int]) -> None:
    cells = mask.allowed(drawn(*size_px, (0.5, 0.0, 1.0, 0.5)), WHOLE)(Grid.of(640, 480, RULES))
    rows, columns = cells.shape
    expected = np.zeros(cells.shape, bool)
    expected[: rows // 2, columns // 2 :] = True
    assert np.mean(cells == expected) > 0.98


def test_of_a_region_its_own_part_of_the_mask_counts() -> None:
    picture, grid = drawn(640, 480, (0.5, 0.0, 1.0, 1.0)), Grid.of(320, 480, RULES)
    assert not mask.allowed(picture, (0.0, 0.0, 0.5, 1.0))(grid).any()
    assert mask.allowed(picture, (0.5, 0.0, 1.0, 1.0))(grid).all()


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    st.lists(st.floats(0, 1), min_size=4, max_size=4, unique=True),
)
def test_a_white_mask_allows_every_cell_of_any_frame_and_region(
    mask_px: tuple[int, int], frame_px: tuple[int, int], ends: list[float]
) -> None:
    left, right = sorted(ends[:2])
    top, bottom = sorted(ends[2:])
    grid = Grid.of(*frame_px, RULES)
    white = Image.new("L", mask_px, 255)
    cells = mask.allowed(white, (left, top, right, bottom))(grid)
    assert cells.shape == grid.shape and cells.all()


def test_colours_and_transparency_count_as_on_white_paper(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 20, 40))
    picture.save(path)
    cells = mask.allowed(mask.read(path), WHOLE)(Grid.of(40, 40, RULES))
    assert cells[:, :20].all() and not cells[:, 20:].any()


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"", "empty"), (b"GIF89a", "damaged|not"), (b"hello there", "not|no "), (None, "No such")],
)
def test_what_is_no_picture_is_one_clear_line(tmp_path: Path, data: bytes | None, why: str) -> None:
    path = tmp_path / "mask.png"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(MaskError, match=why) as caught:
        mask.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_mask_that_allows_nothing_is_refused(tmp_path: Path) -> None:
    Image.new("L", (40, 40), 100).save(tmp_path / "mask.png")
    with pytest.raises(MaskError, match="nothing in it is white"):
        mask.read(tmp_path / "mask.png")
