"""What `device.contract.preprocess` promises of pictures that are whole, whatever their format."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from device.contract.arrays import Pixels
from device.contract.photos import decode
from device.contract.preprocess import (
    FrameResizer,
    Preprocessing,
    crop_box,
    prepare,
    prepare_box,
    prepare_frame,
)
from device.errors import BundleError
from tests.support.pictures import RULES, encoded, picture

ORIENTATION = 0x0112
STORED = {
    # What a camera stores of an upright picture, by the meaning of each EXIF orientation:
    # which side of the scene the stored first row and first column show.
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[:, ::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[::-1].swapaxes(0, 1),
}

sides = st.integers(1, 300)
inputs = st.builds(
    Preprocessing, height_px=st.sampled_from((32, 96, 224)), width_px=st.sampled_from((32, 64, 224))
)


def frame(width: int, height: int, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def decoded(data: bytes, rules: Preprocessing = RULES) -> Pixels:
    image = decode(data, rules)
    assert image.mode == "RGB"
    return np.asarray(image)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def smooth(width: int, height: int) -> Pixels:
    """A picture with detail like a photo's: noise, enlarged."""
    small = Image.fromarray(frame(width // 8, height // 8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


# --- crop and resize --------------------------------------------------------------------------


@given(st.integers(1, 20_000), st.integers(1, 20_000), inputs)
@example(1, 20_000, Preprocessing())
def test_the_crop_box_is_the_largest_centred_one_of_the_input_aspect(
    width: int, height: int, rules: Preprocessing
) -> None:
    left, upper, right, lower = crop_box(width, height, rules)
    box_w, box_h = right - left, lower - upper
    assert 0 <= left < right <= width and 0 <= upper < lower <= height
    assert abs(left - (width - right)) <= 1 and abs(upper - (height - lower)) <= 1
    assert box_w == width or box_h == height
    aspect = rules.width_px / rules.height_px
    assert abs(box_w - box_h * aspect) <= max(0.5, 0.5 * aspect, 1 - box_h * aspect, aspect - box_w)


@given(sides, sides, st.data())
def test_any_box_gives_the_same_bytes_however_the_frame_lies_in_memory(
    width: int, height: int, data: st.DataObject
) -> None:
    left, upper = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    lower = data.draw(st.integers(upper + 1, height))
    pixels = frame(width, height)
    box = Image.fromarray(pixels).crop((left, upper, right, lower))
    size = (RULES.width_px, RULES.height_px)
    expected = np.asarray(box.resize(size, Image.Resampling.BILINEAR))
    padded = np.pad(pixels, ((0, 0), (0, 5), (0, 0)))[:, :width]
    for layout in (pixels, np.asfortranarray(pixels), padded):
        got = prepare_box(layout, (left, upper, right, lower), RULES)
        np.testing.assert_array_equal(got, expected)


def test_a_resizer_gives_the_same_bytes_after_other_boxes_and_changes_none_it_gave() -> None:
    resizer, size = FrameResizer(), (RULES.width_px, RULES.height_px)
    given_before: list[tuple[Pixels, Pixels]] = []
    for seed, (width, height) in enumerate([(320, 240), (320, 240), size, size, (1400, 1300)] * 2):
        pixels, box = frame(width, height, seed), (0, 0, width, height)
        given_before.append((resizer.prepare_box(pixels, box, RULES), pixels))
    for got, pixels in given_before:
        expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("share", [1.4, 2.3, 3.9, 16.7])
def test_resizing_shifts_nothing(share: float) -> None:
    side = round(share * RULES.width_px)
    ramp = np.tile(np.linspace(10, 240, side)[:, np.newaxis, np.newaxis], (1, side, 3))
    got = prepare_frame(ramp.round().astype(np.uint8), RULES).astype(float)
    middles = (np.arange(RULES.width_px) + 0.5) / RULES.width_px * side - 0.5
    expected = np.interp(middles, np.arange(side), ramp[:, 0, 0])
    assert np.abs(got[2:-2, 5, 1] - expected[2:-2]).max() <= 1.1


@given(sides, sides, inputs)
@example(1, 1, RULES)
@example(300, 1, RULES)
@example(1, 300, RULES)
def test_a_photo_and_a_camera_frame_of_the_same_pixels_give_the_same_bytes(
    width: int, height: int, rules: Preprocessing
) -> None:
    pixels = frame(width, height, width * 1000 + height)
    prepared = prepare(Image.fromarray(pixels), rules)
    assert prepared.shape == rules.shape == (rules.height_px, rules.width_px, 3)
    assert prepared.dtype == np.uint8
    np.testing.assert_array_equal(prepare_frame(pixels, rules), prepared)


@given(sides, sides)
def test_pixels_outside_of_the_crop_change_nothing(width: int, height: int) -> None:
    pixels = frame(width, height)
    left, upper, right, lower = crop_box(width, height, RULES)
    other = np.full_like(pixels, 255)
    other[upper:lower, left:right] = pixels[upper:lower, left:right]
    np.testing.assert_array_equal(prepare_frame(pixels, RULES), prepare_frame(other, RULES))


@given(sides, sides, st.tuples(*[st.integers(0, 255)] * 3))
def test_one_colour_stays_this_colour_in_r_g_b_order(
    width: int, height: int, colour: tuple[int, int, int]
) -> None:
    prepared = prepare(Image.new("RGB", (width, height), colour), RULES)
    assert (prepared == colour).all()


def test_a_picture_of_the_input_size_passes_unchanged() -> None:
    pixels = frame(RULES.width_px, RULES.height_px)
    np.testing.assert_array_equal(prepare_frame(pixels, RULES), pixels)


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    checkerboard = np.indices((960, 960)).sum(axis=0) % 2 * np.uint8(255)
    pixels = np.repeat(checkerboard[..., np.newaxis], 3, axis=2).astype(np.uint8)
    assert np.abs(prepare_frame(pixels, RULES).astype(int) - 127.5).max() < 6


@pytest.mark.parametrize("size", [40, 96 * 3 // 2, 500])
def test_resizing_never_goes_beyond_the_darkest_and_lightest_pixel(size: int) -> None:
    # A bicubic or Lanczos filter rings at edges; the triangle filter of the rules cannot.
    prepared = prepare_frame(np.where(frame(size, size) < 128, np.uint8(100), np.uint8(150)), RULES)
    assert prepared.min() >= 100 and prepared.max() <= 150


# --- the record -------------------------------------------------------------------------------


@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 4096))
def test_the_record_survives_json_and_its_digest_tells_rules_apart(
    height: int, width: int, scale: int
) -> None:
    rules = Preprocessing(height_px=height, width_px=width, jpeg_decode_scale=scale)
    back = Preprocessing.from_record(json.loads(json.dumps(rules.record())))
    assert back == rules and back.sha256() == rules.sha256()
    other = Preprocessing(height_px=height % 4096 + 1, width_px=width, jpeg_decode_scale=scale)
    assert other.sha256() != rules.sha256()


def test_the_digest_of_the_default_rules_never_changes_unnoticed() -> None:
    # It is in the manifest of every bundle ever shipped.
    expected = "e0ab88421fb81973cbb1a375a953b9352fbb97bdd041ba2edb1b881da4ea4d34"
    assert Preprocessing().sha256() == expected


@pytest.mark.parametrize("field", sorted(set(RULES.record())))
@given(value=st.one_of(st.text(), st.none(), st.booleans(), st.floats(), st.lists(st.integers())))
def test_a_value_that_this_version_does_not_know_is_refused(field: str, value: Any) -> None:
    if value != RULES.record()[field]:
        with pytest.raises(BundleError, match=field):
            Preprocessing.from_record({**RULES.record(), field: value})


@pytest.mark.parametrize("value", [0, -1, 4097, True, 96.0])
@pytest.mark.parametrize("field", ["height_px", "width_px", "jpeg_decode_scale"])
def test_a_size_out_of_range_is_refused(field: str, value: Any) -> None:
    with pytest.raises(BundleError, match=field):
        Preprocessing.from_record({**RULES.record(), field: value})


def test_a_record_with_a_field_missing_or_added_is_refused() -> None:
    record = RULES.record()
    for name in record:
        with pytest.raises(BundleError, match=name):
            Preprocessing.from_record({key: record[key] for key in record if key != name})
    with pytest.raises(BundleError, match="brightness"):
        Preprocessing.from_record({**record, "brightness": 1})


# --- orientation ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", sorted(STORED))
def test_every_exif_orientation_gives_the_upright_picture(kind: str, orientation: int) -> None:
    upright = smooth(96, 64)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    lossy: dict[str, Any] = {"quality": 95, "subsampling": 0}
    options = {"WEBP": {"lossless": True}, "JPEG": lossy}.get(kind, {})
    got = decoded(encoded(stored, kind, exif=exif(orientation), **options))
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).max() <= (12 if kind == "JPEG" else 0)


def test_sixteen_bit_grey_is_turned_upright_too() -> None:
    grey = (np.arange(64 * 48).reshape(64, 48) * 21).astype(np.uint16)
    stored = np.ascontiguousarray(STORED[6](grey))
    got = decoded(encoded(Image.fromarray(stored), "PNG", exif=exif(6)))
    np.testing.assert_array_equal(got[..., 0], grey >> 8)


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0neither II nor MM",
        b"Exif\0\0II*\0\x08\0\0\0\x05\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_damaged_exif_block_costs_neither_the_photo_nor_a_warning(block: bytes) -> None:
    pixels = smooth(96, 64)
    got = decoded(encoded(pixels, "JPEG", quality=95, exif=block))
    np.testing.assert_array_equal(got, decoded(encoded(pixels, "JPEG", quality=95)))


# --- modes and formats ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "WEBP"])
def test_lossless_formats_all_give_the_same_bytes(kind: str) -> None:
    image = Image.fromarray(picture(0, 0)).quantize(64)
    expected = np.asarray(image.convert("RGB"))
    written = image.convert("RGB") if kind == "WEBP" else image
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decoded(encoded(written, kind, **options)), expected)


def test_grey_and_one_bit_pictures_become_equal_r_g_b() -> None:
    grey = Image.fromarray(picture(0, 0)).convert("L")
    for image in (grey, grey.convert("1")):
        got = decoded(encoded(image))
        for channel in range(3):
            np.testing.assert_array_equal(got[..., channel], np.asarray(image.convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str, byte_order: str) -> None:
    grey = np.arange(65536, dtype=f"{byte_order}u2").reshape(256, 256)
    got = decoded(encoded(Image.fromarray(grey), kind))
    np.testing.assert_array_equal(got[..., 1], grey >> 8)
    assert len(np.unique(got)) == 256


@pytest.mark.parametrize("colour", [(230, 40, 30), (20, 200, 60), (30, 60, 220), (250, 250, 250)])
def test_a_cmyk_jpeg_keeps_its_colours(colour: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (64, 64), colour).convert("CMYK")
    got = decoded(encoded(image, "JPEG", quality=95))
    assert np.abs(got.astype(int) - colour).max() <= 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparency_is_laid_over_white(kind: str) -> None:
    colour, alphas = np.array([200, 40, 10]), np.arange(256)
    layer = np.empty((256, 256, 4), np.uint8)
    layer[..., :3], layer[..., 3] = colour, alphas[:, np.newaxis]
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    got = decoded(encoded(Image.fromarray(layer), kind, **options))
    share = (alphas / 255)[:, np.newaxis]
    expected = share * colour + (1 - share) * 255
    assert np.abs(got - expected[:, np.newaxis]).max() <= 1


def test_transparent_grey_is_laid_over_white() -> None:
    layer = np.zeros((64, 64, 2), np.uint8)
    layer[:32, :, 1] = 255
    got = decoded(encoded(Image.fromarray(layer, "LA")))
    assert (got[:32] == 0).all() and (got[32:] == 255).all()


def test_a_transparent_palette_entry_is_laid_over_white() -> None:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.paste(0, (0, 0, 64, 32))
    for kind in ("PNG", "GIF"):
        got = decoded(encoded(image, kind, transparency=0))
        assert (got[:32] == 255).all() and (got[32:] == (10, 20, 30)).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert (decoded(data) == (255, 0, 0)).all()


def test_an_mpo_photo_gives_its_first_picture() -> None:
    first, second = Image.new("RGB", (64, 48), "red"), Image.new("RGB", (64, 48), "blue")
    got = decoded(encoded(first, "MPO", save_all=True, append_images=[second]))
    assert np.abs(got.astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5000, 1), (1, 5000), (4000, 3)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_extreme_shapes_are_prepared(kind: str, width: int, height: int) -> None:
    prepared = prepare(decode(encoded(frame(width, height), kind), RULES), RULES)
    assert prepared.shape == RULES.shape


# --- JPEG -------------------------------------------------------------------------------------


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same() -> None:
    rules = Preprocessing()
    data = encoded(smooth(2400, 1600), "JPEG", quality=92)
    image = decode(data, rules)
    least = rules.jpeg_decode_scale * rules.height_px
    assert least <= min(image.size) < 1600
    whole = decode(data, Preprocessing(jpeg_decode_scale=4096))
    assert whole.size == (2400, 1600)
    difference = prepare(image, rules).astype(int) - prepare(whole, rules)
    assert np.abs(difference).mean() < 1.0 and np.abs(difference).max() <= 16


def test_a_small_jpeg_is_decoded_whole() -> None:
    assert decode(encoded(smooth(640, 480), "JPEG"), Preprocessing()).size == (640, 480)


def test_a_progressive_jpeg_gives_the_bytes_of_a_baseline_one() -> None:
    pixels = smooth(320, 240)
    progressive = encoded(pixels, "JPEG", quality=90, progressive=True)
    baseline = encoded(pixels, "JPEG", quality=90)
    assert progressive != baseline
    np.testing.assert_array_equal(decoded(progressive), decoded(baseline))
