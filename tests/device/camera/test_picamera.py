"""CSI cameras: true colours, every request released, no stop that would hang."""

import sys
from collections.abc import Callable

import numpy as np
import pytest

from device.camera.picamera import PiCamera, rgb_from_yuv420
from device.contract.preprocess import prepare_frame
from device.errors import CameraHangsError, SourceError
from device.settings.sections import CameraConfig
from tests.device.camera.watching import QUICK, Watching
from tests.support.peers.cameras import FakePicamera2
from tests.support.pictures import RULES, picture
from tests.support.timing import eventually


@pytest.mark.parametrize(("rgb_lores", "tolerance"), [(True, 0.0), (False, 3.0)])
def test_red_stays_red_on_a_pi_5_and_through_the_yuv_of_a_pi_4(
    rgb_lores: bool, tolerance: float, picamera2: type[FakePicamera2]
) -> None:
    picamera2.rgb_lores = rgb_lores
    frame = next(PiCamera(CameraConfig()).frames())
    assert frame.picture is not None and frame.picture.shape == (480, 640, 3)
    seen = prepare_frame(frame.picture, RULES).astype(int)
    expected = prepare_frame(picamera2.scene, RULES).astype(int)
    assert np.abs(seen - expected).mean() <= tolerance
    middle = seen[40:56, 40:56].mean(axis=(0, 1))
    assert middle[0] > middle[2] + 80, "the disc is red, not blue"


def test_each_frame_is_one_request_and_each_request_is_released(
    picamera2: type[FakePicamera2],
) -> None:
    frames = PiCamera(CameraConfig()).frames()
    for _ in range(5):
        next(frames)
    (camera,) = picamera2.made
    assert len(camera.requests) == 5 and all(request.released for request in camera.requests)
    frames.close()  # type: ignore[attr-defined]
    assert camera.stopped


def test_a_csi_camera_that_hangs_ends_the_process_without_cleaning_up(
    picamera2: type[FakePicamera2], watch: Callable[..., Watching]
) -> None:
    picamera2.frames_before_hang = 3
    watching = watch(lambda: PiCamera(QUICK))
    eventually(lambda: watching.fault is not None)
    assert isinstance(watching.fault, CameraHangsError)
    (camera,) = picamera2.made
    assert not camera.stopped, "stop() would block for ever"


def test_without_picamera2_or_camera_the_remedy_is_named(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    picamera2.present = False
    with pytest.raises(SourceError, match="check its cable"):
        next(PiCamera(CameraConfig()).frames())
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        next(PiCamera(CameraConfig()).frames())


def test_padding_of_yuv_rows_is_not_in_the_picture() -> None:
    from tests.support.peers.cameras import yuv420

    rgb = picture(1, 2, 128, 96)
    got = [rgb_from_yuv420(yuv420(rgb, stride), 128, 96) for stride in (128, 192, 256)]
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], got[2])


def test_white_and_black_of_yuv_are_white_and_black() -> None:
    from tests.support.peers.cameras import yuv420

    for value in (0, 255):
        flat = np.full((64, 64, 3), value, np.uint8)
        assert np.abs(rgb_from_yuv420(yuv420(flat, 64), 64, 64).astype(int) - value).max() <= 1
