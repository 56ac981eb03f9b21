"""When frames are looked at and when not, and what of a place is kept."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.camera.folder import FolderSource
from device.camera.frame import Frame, FrameSource
from device.contract import bundle as contract
from device.contract.arrays import Pixels
from device.contract.look.rules import Outcome, Region, Seen
from device.contract.preprocess import Preprocessing
from device.inference import kept
from device.inference.classifier import Classifier
from device.inference.looking import Looking, Stillness
from device.settings.sections import CameraConfig
from tests.support.films import Film, Picture, Shot, Visit, background, shots

AUTO = CameraConfig()
VISITED = Film(30, visits=(Visit(12, 26, 0.5, at=(0.3, 0.5)),))


class Camera(FrameSource):
    live = True

    def frames(self) -> Iterator[Frame]:
        yield from ()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    from tests.support.device.tiny_bundle import TAR

    loaded = contract.load(TAR)
    return Classifier.from_bundle(replace(loaded, region=Region.CHANGE))


@pytest.fixture(scope="module")
def visited() -> list[Shot]:
    return [*shots(VISITED)]


def frame(pixels: Pixels, at_s: float) -> Frame:
    return Frame("#", pixels, captured_s=at_s)


def looked(
    frames: Iterable[Shot],
    classifier: Classifier,
    config: CameraConfig = AUTO,
    looking: Looking | None = None,
    source: FrameSource | None = None,
    *,
    from_s: float = 0.0,
) -> list[Outcome | None]:
    look = (looking or Looking()).through(source or Camera(), lambda: config)
    return [look(frame(s.pixels, from_s + s.at_ms / 1000), classifier) for s in frames]


def kinds(outcomes: Iterable[Outcome | None]) -> set[Seen | None]:
    return {outcome.seen if outcome else None for outcome in outcomes}


# --- whether it looks ----------------------------------------------------------------------------


def test_it_does_not_look_where_settings_or_bundle_say_whole(
    classifier: Classifier, visited: list[Shot], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert kinds(looked(visited, classifier, CameraConfig(look="whole"))) == {None}
    whole = Classifier.from_bundle(contract.load(_tar()))
    for setting in ("auto", "whole"):
        assert kinds(looked(visited, whole, CameraConfig(look=setting))) == {None}
    assert [r.message for r in caplog.records] == [
        'look: off: camera.look is "whole"',
        "look: off: the bundle was trained on whole pictures",
        'look: off: camera.look is "whole"',
    ]


def test_photos_of_a_folder_are_looked_at_only_if_the_settings_say_so(
    classifier: Classifier, visited: list[Shot], tmp_path: Path
) -> None:
    folder = FolderSource(tmp_path, Preprocessing())
    assert kinds(looked(visited, classifier, source=folder)) == {None}
    always = CameraConfig(look="change")
    assert Seen.NOTHING in kinds(looked(visited, classifier, always, source=folder))


def test_auto_says_that_it_looks_once_the_background_is_known(
    classifier: Classifier, visited: list[Shot], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    found = kinds(looked(visited, classifier))
    assert found == {Seen.LEARNING, Seen.NOTHING, Seen.SOMETHING}
    assert [record.message.partition(":")[2].split()[0] for record in caplog.records] == [
        "learning",
        "on:",
    ]


@cache
def place_number(number: int) -> Picture:
    return background((96, 72), number)


def carried(seconds: int, every_s: float) -> Iterator[Shot]:
    """A camera that shows another place now and then, two frames a second."""
    for number in range(2 * seconds):
        place = place_number(int(number / 2 / every_s))
        rng = np.random.default_rng(number)
        noisy = place + rng.normal(0, 3, place.shape)
        yield Shot(500 * number, noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("every_s", [1, 4, 12])
def test_a_camera_that_is_carried_about_is_not_looked_at_until_it_stands_still(
    classifier: Classifier, caplog: pytest.LogCaptureFixture, every_s: float
) -> None:
    caplog.set_level(logging.INFO)
    looking = Looking()
    outcomes = looked(carried(200, every_s), classifier, looking=looking)
    assert kinds(outcomes[:20]) == {Seen.LEARNING} and kinds(outcomes[-100:]) == {None}
    assert "moved so often" in caplog.records[-1].message
    still = looked(carried(500, 1e9), classifier, looking=looking, from_s=200)
    assert kinds(still[:60]) == {None} and kinds(still[-60:]) == {Seen.NOTHING}
    assert caplog.records[-1].message.startswith("look: on")
    always = looked(carried(200, every_s), classifier, CameraConfig(look="change"))
    assert None not in kinds(always)


def test_a_camera_that_is_touched_every_two_minutes_stands_still(classifier: Classifier) -> None:
    assert None not in kinds(looked(carried(600, 120), classifier))


def test_whether_it_stands_still_does_not_flicker() -> None:
    stillness = Stillness()
    cycle = [Seen.MOVED, *[Seen.LEARNING] * 10, *[Seen.NOTHING] * 19]
    answers = [stillness.note(cycle[second % 30], float(second)) for second in range(3000)]
    changes = sum(a != b for a, b in pairwise(answers[300:]))
    assert changes == 0


# --- what it sees --------------------------------------------------------------------------------


def test_boxes_of_a_region_are_in_pixels_of_the_whole_frame(
    classifier: Classifier, visited: list[Shot]
) -> None:
    left = looked(visited, classifier, CameraConfig(region=(0.0, 0.0, 0.7, 1.0)))
    shifted = [replace(shot, pixels=np.roll(shot.pixels, 58, axis=1)) for shot in visited]
    right = looked(shifted, classifier, CameraConfig(region=(58 / 192, 0.0, 1.0, 1.0)))
    boxes = [(a.boxes, b.boxes) for a, b in zip(left, right, strict=True) if a and b and a.boxes]
    assert len(boxes) > 15
    for ((x, upper, end, lower),), other in boxes:
        assert other == ((x + 58, upper, end + 58, lower),)
    away = looked(visited, classifier, CameraConfig(region=(0.6, 0.0, 1.0, 1.0)))
    assert not any(outcome and outcome.boxes for outcome in away[35:50])


def test_the_mask_may_change_at_any_time_and_costs_no_learning(
    classifier: Classifier, visited: list[Shot]
) -> None:
    looking, values = Looking(), np.zeros((48, 64), np.uint8)
    values[:, 40:] = 255
    looking.use_mask(Image.fromarray(values))
    assert Seen.SOMETHING not in kinds(looked(visited[:44], classifier, looking=looking)[30:])
    looking.use_mask(None)
    assert kinds(looked(visited[44:48], classifier, looking=looking)) == {Seen.SOMETHING}


def test_two_subjects_are_told_where_the_settings_ask_for_them(classifier: Classifier) -> None:
    two = (Visit(12, 28, 0.4, at=(0.25, 0.5)), Visit(12, 28, 0.4, at=(0.75, 0.5), seed=3))
    film = [*shots(Film(22, visits=two))]
    for most in (1, 2):
        outcomes = looked(film, classifier, CameraConfig(most_subjects=most))
        assert max(len(outcome.boxes) for outcome in outcomes if outcome) == most


def test_what_stays_belongs_to_the_background_after_as_long_as_the_settings_say(
    classifier: Classifier,
) -> None:
    stays = Film(80, visits=(Visit(12, 1000, 0.4),))
    for absorb_s, expected in ((20, Seen.NOTHING), (600, Seen.SOMETHING)):
        outcomes = looked(shots(stays), classifier, CameraConfig(absorb_s=absorb_s))
        assert outcomes[-1] is not None and outcomes[-1].seen is expected


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_camera_of_one_colour_sees_nothing(classifier: Classifier, value: int) -> None:
    plain = [Shot(500 * n, np.full((72, 96, 3), value, np.uint8)) for n in range(60)]
    assert kinds(looked(plain, classifier)) == {Seen.LEARNING, Seen.NOTHING}


def test_a_stream_that_changes_its_size_is_learned_again(
    classifier: Classifier, visited: list[Shot]
) -> None:
    looking = Looking()
    looked(visited[:24], classifier, looking=looking)
    larger = [replace(s, pixels=np.repeat(s.pixels, 2, axis=0)) for s in visited[:24]]
    outcomes = looked(larger, classifier, looking=looking, from_s=12)
    assert kinds(outcomes[:19]) == {Seen.LEARNING} and kinds(outcomes[-2:]) == {Seen.NOTHING}
    assert looking.known is not None and looking.known[0].size_px == (192, 288)


def test_clocks_of_sources_that_follow_one_another_need_not_agree(
    classifier: Classifier, visited: list[Shot]
) -> None:
    """A film's own times count, and after it begins again from 0 time goes on."""
    looking = Looking()
    look = looking.through(Camera(), CameraConfig)
    seen = []
    for _ in range(2):
        for shot in visited[:24]:
            outcome = look(replace(frame(shot.pixels, 5.0), film_s=shot.at_ms / 1000), classifier)
            seen.append(outcome and outcome.seen)
    assert set(seen[22:]) == {Seen.NOTHING} and set(seen[:20]) == {Seen.LEARNING}


# --- what is kept --------------------------------------------------------------------------------


@pytest.fixture
def learned(classifier: Classifier, visited: list[Shot], tmp_path: Path) -> Path:
    """A background that an earlier run kept."""
    looking = Looking()
    looked(visited[:24], classifier, looking=looking)
    assert looking.known is not None
    kept.write(tmp_path / "background", *looking.known)
    return tmp_path / "background"


def test_a_restart_does_not_learn_again(
    classifier: Classifier, visited: list[Shot], learned: Path
) -> None:
    found = looked(visited[24:], classifier, looking=Looking(learned))
    assert kinds(found) == {Seen.NOTHING, Seen.SOMETHING}


def test_a_restart_learns_neither_day_nor_night_again(
    classifier: Classifier, tmp_path: Path
) -> None:
    # It switches to infrared after two minutes, and to day again after four.
    film, looking = [*shots(Film(140, "infrared"))], Looking()
    looked(film, classifier, looking=looking)
    assert looking.known is not None and len(looking.known[1]) == 2
    for part in (film[:40], film[-40:]):
        kept.write(tmp_path / "background", *looking.known)
        found = looked(part, classifier, looking=Looking(tmp_path / "background"))
        assert kinds(found) == {Seen.NOTHING}


def test_a_kept_background_that_does_not_fit_is_forgotten_in_one_line(
    classifier: Classifier, visited: list[Shot], learned: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide = [replace(s, pixels=np.repeat(s.pixels, 2, axis=1)) for s in visited[:4]]
    assert kinds(looked(wide, classifier, looking=Looking(learned))) == {Seen.LEARNING}
    learned.write_bytes(learned.read_bytes()[:5000])
    assert kinds(looked(visited[:4], classifier, looking=Looking(learned))) == {Seen.LEARNING}
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["another size" in said[0], "damaged" in said[1], len(said)] == [True, True, 2]


def test_another_camera_begins_with_learning(
    classifier: Classifier, visited: list[Shot], learned: Path
) -> None:
    looking = Looking(learned)
    looked(visited[24:30], classifier, looking=looking)
    looking.forget()
    assert looking.known is None
    assert kinds(looked(visited[24:30], classifier, looking=looking)) == {Seen.LEARNING}


def test_a_reload_and_another_model_keep_the_background(
    classifier: Classifier, visited: list[Shot]
) -> None:
    looking = Looking()
    looked(visited[:24], classifier, looking=looking)
    other = Classifier.from_bundle(replace(contract.load(_tar()), region=Region.CHANGE))
    for config in (CameraConfig(), CameraConfig(absorb_s=60), CameraConfig(most_subjects=2)):
        for model in (classifier, other):
            found = looked(visited[20:24], model, config, looking)
            assert kinds(found) == {Seen.NOTHING}


def _tar() -> Path:
    from tests.support.device.tiny_bundle import TAR

    return TAR
