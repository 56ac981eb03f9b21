"""Faults of cameras: what every one promises, and what each does to a picture."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.contract.preprocess import prepare_frame
from device.workstation.faults import coding
from device.workstation.faults.catalogue import (
    FAULTS,
    Fault,
    Strength,
    chosen,
    frame_rules,
    spoiled,
    title,
)
from tests.support.pictures import RULES, picture

SIDE = 128
WITHOUT_CHANCE = {"defocus", "over-exposure", "infrared", "jpeg"}

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


def frames(side: int = SIDE) -> list[Pixels]:
    """Pictures of several classes and grounds."""
    return [picture(number % 3, number, side, side) for number in range(6)]


def distance(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def made(fault: Fault, strength: Strength = Strength.MEDIUM, seed: int = 1) -> Pixels:
    return spoiled(frames()[0], fault, strength, seed)


def by_name(name: str) -> Fault:
    return next(fault for fault in FAULTS if fault.name == name)


# --- all of them ----------------------------------------------------------------------------------


def test_there_are_twelve_each_with_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len({fault.title for fault in FAULTS}) == 12


@every_fault
@pytest.mark.parametrize("size", [(SIDE, SIDE), (97, 64), (33, 130)])
def test_a_picture_stays_a_picture_of_its_size(fault: Fault, size: tuple[int, int]) -> None:
    frame = picture(1, 5, *size)
    for strength in Strength:
        result = spoiled(frame, fault, strength, 3)
        assert result.shape == frame.shape and result.dtype == np.uint8


@every_fault
def test_the_picture_that_is_given_stays_as_it_is(fault: Fault) -> None:
    frame = frames()[0]
    before = frame.copy()
    spoiled(frame, fault, Strength.STRONG, 1)
    assert (frame == before).all()


@every_fault
def test_the_same_seed_gives_the_same_picture_and_another_one_another(fault: Fault) -> None:
    assert (made(fault) == made(fault)).all()
    others = [made(fault, seed=seed) for seed in range(2, 8)]
    changed = any((other != made(fault)).any() for other in others)
    assert changed is (fault.name not in WITHOUT_CHANCE)


@every_fault
def test_a_stronger_fault_is_further_from_the_clean_picture(fault: Fault) -> None:
    weak, medium, strong = (
        np.mean([distance(frame, spoiled(frame, fault, strength, 5)) for frame in frames()])
        for strength in Strength
    )
    assert 0.2 < weak < medium < strong


def test_faults_are_rendered_into_a_frame_of_twice_the_model_s_input() -> None:
    rules = frame_rules(RULES)
    assert (rules.height_px, rules.width_px) == (2 * RULES.height_px, 2 * RULES.width_px)
    frame = picture(0, 0, rules.width_px, rules.height_px)
    assert prepare_frame(spoiled(frame, FAULTS[0], Strength.WEAK, 0), RULES).shape == RULES.shape


# --- single ones ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["defocus", "motion-blur"])
def test_blur_moves_light_and_adds_none(name: str) -> None:
    frame = frames()[0]
    blurred = spoiled(frame, by_name(name), Strength.STRONG, 1)
    assert blurred.mean() == pytest.approx(frame.mean(), abs=3)
    assert blurred.std() < frame.std()


def test_a_point_out_of_focus_is_a_disc() -> None:
    point = np.zeros((101, 101, 3), np.uint8)
    point[50, 50] = 255
    disc = spoiled(np.repeat(np.repeat(point, 5, 0), 5, 1), by_name("defocus"), Strength.STRONG, 0)
    rows, columns = np.nonzero(disc[..., 0])
    away = np.hypot(rows - 252, columns - 252)
    assert away.max() == pytest.approx(0.024 * 505, abs=4)


def test_low_light_is_darker_and_noisier() -> None:
    flat = np.full((64, 64, 3), 150, np.uint8)
    dark = [spoiled(flat, by_name("low-light"), strength, 1) for strength in Strength]
    assert 150 > dark[0].mean() > dark[1].mean() > dark[2].mean() > 20
    noise = [picture.std() / picture.mean() for picture in dark]
    assert 0.01 < noise[0] < noise[1] < noise[2]


def test_over_exposure_only_brightens_and_white_stays_white() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    bright = spoiled(ramp, by_name("over-exposure"), Strength.STRONG, 0)
    assert (bright >= ramp).all() and (bright[0, 160:] == 255).all() and (bright[0, 0] == 0).all()


def test_a_wrong_white_balance_moves_red_and_blue_apart_and_leaves_green() -> None:
    grey = np.full((4, 4, 3), 128, np.uint8)
    for seed in range(4):
        red, green, blue = spoiled(grey, by_name("white-balance"), Strength.MEDIUM, seed)[0, 0]
        assert green == 128 and (int(red) - 128) * (int(blue) - 128) < -400


def test_infrared_has_no_colour_left() -> None:
    for strength in (Strength.MEDIUM, Strength.STRONG):
        night = made(by_name("infrared"), strength)
        assert (night[..., 0] == night[..., 1]).all() and (night[..., 1] == night[..., 2]).all()


def test_bands_lie_along_rows() -> None:
    flat = np.full((90, 90, 3), 200, np.uint8)
    bands = spoiled(flat, by_name("bands"), Strength.STRONG, 2)[..., 0]
    assert (bands == bands[:, :1]).all() and np.ptp(bands) > 80
    turns = np.flatnonzero(np.diff(np.sign(np.diff(bands[:, 0].astype(int))[::2])))
    assert len(turns) >= 4


def test_a_small_subject_is_somewhere_whole_and_smaller() -> None:
    marked = np.full((128, 128, 3), 90, np.uint8)
    marked[48:80, 48:80] = (250, 20, 20)
    small = spoiled(marked, by_name("small"), Strength.MEDIUM, 4)
    red = (small[..., 0] > 200) & (small[..., 1] < 60)
    assert red.sum() == pytest.approx(16 * 16, rel=0.2)


# --- the stream -----------------------------------------------------------------------------------


@pytest.fixture
def no_answer_kept() -> Iterator[None]:
    coding.missing_encoder.cache_clear()
    yield
    coding.missing_encoder.cache_clear()


def test_this_workstation_can_encode_a_stream() -> None:
    assert coding.missing_encoder() == ""


def test_without_an_encoder_it_says_so(
    no_answer_kept: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coding, "ENCODER", "no-such-encoder")
    assert by_name("h264").missing() == "this PyAV has no no-such-encoder"
    coding.missing_encoder.cache_clear()
    monkeypatch.setitem(sys.modules, "av", None)
    assert by_name("h264").missing() == "PyAV is not installed"


def test_a_stream_keeps_to_its_bits() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    moving = coding._moving(noise, np.random.default_rng(0))
    coded = sum(packet.size for packet in coding._packets(moving, 100))
    assert 8 * coded <= 1.5 * 100_000 * coding.FRAMES / coding.FRAMES_PER_S


# --- settings -------------------------------------------------------------------------------------


def test_a_setting_names_all_none_or_some() -> None:
    assert chosen("all") == FAULTS and chosen("none") == ()
    assert [fault.name for fault in chosen("jpeg,defocus")] == ["defocus", "jpeg"]
    for odd in ("", "fog", "jpeg,", "JPEG", "all,jpeg"):
        with pytest.raises(ValueError, match=r"is no fault: give all, none or some of defocus, "):
            chosen(odd)


def test_a_fault_of_another_version_is_called_by_its_name() -> None:
    assert title("dirty-lens") == "rain or dirt" and title("hail") == "hail"
