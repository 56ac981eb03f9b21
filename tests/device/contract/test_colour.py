"""Promises about colour: what a photo shows counts, not in which gamut it was stored."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from device import child
from device.contract.photos import decode, decode_frame, load_photo
from device.contract.preprocess import Preprocessing
from tests.support.cli import PROCESS_LIMIT_S
from tests.support.pictures import RULES, picture
from tests.support.wide_gamut import grey_profile, printing_profile, stored_wide, wide_gamut_profile

FLOWER = (255, 40, 60)
AS_STORED = (234, 66, 69)


def one_colour(colour: tuple[int, int, int] = FLOWER, size: int = 64) -> Image.Image:
    return Image.new("RGB", (size, size), colour)


def stored(picture: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def shown(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, RULES)).astype(int)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_a_wide_gamut_photo_shows_the_scene_s_colours(kind: str) -> None:
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": 1}}.get(kind, {})
    data = stored_wide(one_colour(), kind, **options)
    with Image.open(io.BytesIO(data)) as opened:
        raw = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(raw - AS_STORED).max() <= 3
    assert np.abs(shown(data) - FLOWER).max() <= 3


def test_both_ways_of_storing_a_scene_give_the_model_almost_the_same_bytes(tmp_path: Path) -> None:
    scene = Image.fromarray(picture(0, 3, 320, 240))
    (tmp_path / "plain.png").write_bytes(stored(scene, "PNG"))
    (tmp_path / "wide.png").write_bytes(stored_wide(scene))
    plain, wide = (load_photo(tmp_path / f"{n}.png", RULES).astype(int) for n in ("plain", "wide"))
    assert np.abs(plain - wide).mean() < 1


def test_frames_of_cameras_that_embed_a_profile_are_converted_too() -> None:
    frame = decode_frame(stored_wide(one_colour(), "JPEG", quality=95))
    assert np.abs(frame.astype(int) - FLOWER).max() <= 3


def test_a_photo_without_profile_or_with_srgb_s_is_taken_as_it_is() -> None:
    scene = Image.fromarray(picture(1, 2, 320, 240))
    for profile in (None, srgb_profile()):
        data = stored(scene, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(shown(data), np.asarray(scene))


@pytest.mark.parametrize("kept", [1, 100, 200, 400])
@pytest.mark.parametrize("fill", [b"", b"\xff" * 300])
def test_a_photo_with_a_broken_profile_is_one_without(kept: int, fill: bytes) -> None:
    broken = wide_gamut_profile()[:kept] + fill
    data = stored(one_colour(), "PNG", icc_profile=broken)
    np.testing.assert_array_equal(shown(data), np.asarray(one_colour()))


def test_a_profile_of_another_kind_of_colour_is_not_followed() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for made, profile in ((one_colour(), lab), (one_colour().convert("CMYK"), srgb_profile())):
        data = stored(made, "TIFF", icc_profile=profile)
        np.testing.assert_array_equal(shown(data), np.asarray(made.convert("RGB")))


def test_the_profiles_of_grey_and_of_printers_are_followed() -> None:
    half = Image.new("L", (40, 40), 55)
    for made in (half, half.convert("LA")):
        seen = shown(stored(made, "PNG", icc_profile=grey_profile()))
        assert np.abs(seen - 128).max() <= 2
    for inks, light in (((0, 0, 0, 0), 255), ((255, 0, 0, 0), 198), ((0, 0, 0, 255), 0)):
        page = Image.new("CMYK", (40, 40), inks)
        seen = shown(stored(page, "TIFF", icc_profile=printing_profile()))
        assert np.abs(seen - light).max() <= 6


def test_transparency_is_put_over_white_and_then_converted() -> None:
    wide = Image.open(io.BytesIO(stored_wide(one_colour()))).convert("RGBA")
    wide.putalpha(0)
    clear = stored(wide, "PNG", icc_profile=wide_gamut_profile())
    wide.putalpha(255)
    solid = stored(wide, "PNG", icc_profile=wide_gamut_profile())
    assert np.abs(shown(clear) - 255).max() <= 1
    assert np.abs(shown(solid) - FLOWER).max() <= 3


def test_a_turned_photo_is_converted_as_well() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.open(io.BytesIO(stored_wide(Image.new("RGB", (60, 30), FLOWER)))).convert("RGB")
    data = stored(wide, "JPEG", quality=95, exif=exif, icc_profile=wide_gamut_profile())
    assert shown(data).shape == (60, 30, 3) and np.abs(shown(data) - FLOWER).max() <= 3


def test_camera_frames_without_profile_pay_nothing() -> None:
    code = (
        "import io, sys; from PIL import Image; from device.contract.photos import decode_frame\n"
        "data = io.BytesIO(); Image.new('RGB', (64, 48)).save(data, 'JPEG')\n"
        "decode_frame(data.getvalue()); print('PIL.ImageCms' in sys.modules)"
    )
    done = subprocess.run(
        child.command("-c", code),
        env=child.environment(),
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=True,
    )
    assert done.stdout == "False\n"


def test_the_rule_is_part_of_the_contract() -> None:
    record = Preprocessing().record()
    assert record["colour"] == "sRGB-by-profile"
