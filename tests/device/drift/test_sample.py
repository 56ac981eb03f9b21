"""Facts of a picture and of an answer are what their names say."""

import numpy as np
import pytest

from device.contract.arrays import Pixels
from device.drift.sample import BINS, CELLS, STATISTICS, AnswerFacts, Sample, answer, look


def scene(seed: int = 0) -> Pixels:
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (14, 14, 3))
    return np.kron(coarse, np.ones((16, 16, 1))).astype(np.uint8)


def test_facts_are_those_of_a_plain_computation() -> None:
    pixels = scene()
    facts = look(pixels)
    light = (pixels.astype(int) @ [77, 150, 29]) >> 8
    half = light.reshape(112, 2, 112, 2).sum(axis=(1, 3)) // 4
    laplacian = (half[:-2, 1:-1] + half[2:, 1:-1] + half[1:-1, :-2] + half[1:-1, 2:]) - 4 * half[
        1:-1, 1:-1
    ]
    assert facts.brightness == pytest.approx(light.mean(), rel=1e-6)
    assert facts.contrast == pytest.approx(light.std(), rel=1e-6)
    assert facts.sharpness == pytest.approx(np.percentile(np.abs(laplacian), 95), rel=0.02)
    red, _, blue = pixels.reshape(-1, 3).mean(axis=0)
    assert facts.cast == pytest.approx((red - blue) / pixels.mean() / 3, rel=1e-6)


def test_the_layout_is_the_same_in_any_light_and_another_for_another_view() -> None:
    facts, darker = look(scene()), look((scene() * 0.5).astype(np.uint8))
    assert float(facts.layout @ darker.layout) / CELLS > 0.99
    assert float(facts.layout @ look(scene(1)).layout) / CELLS < 0.5


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_picture_of_one_colour_has_facts_without_a_layout(value: int) -> None:
    facts = look(np.full((224, 224, 3), value, np.uint8))
    assert (facts.contrast, facts.sharpness, facts.cast) == (0, 0, 0)
    assert not facts.layout.any()
    assert all(0 <= lower < BINS for _, lower, _ in Sample(facts).places())


def test_pictures_of_other_sizes_have_facts() -> None:
    for shape in ((96, 96, 3), (100, 131, 3)):
        assert np.isfinite(look(np.resize(scene(), shape)).layout).all()


def test_an_answer_is_accepted_unless_it_is_unknown() -> None:
    scores = np.array([0.1, 0.7, 0.2], np.float32)
    assert answer(scores).accepted and not answer(scores, unknown=True).accepted
    found = answer(scores, distance=0.4)
    assert (found.label, found.distance) == (1, 0.4)
    assert found.lead == pytest.approx(np.log(0.7 / 0.2), rel=1e-5)


@pytest.mark.parametrize("scores", [[1.0, 0.0], [0.5, 0.5], [1.0], [0.0, 0.0]])
def test_extreme_scores_have_finite_facts(scores: list[float]) -> None:
    found = answer(np.array(scores, np.float32))
    assert np.isfinite([found.odds, found.lead, found.score]).all()


def test_each_statistic_has_a_place_for_any_number() -> None:
    for statistic in STATISTICS:
        lower, share = statistic.places([-1e30, -1, 0, 0.5, 1, 1e30, np.nan, np.inf, -np.inf])
        assert lower.min() >= 0 and lower.max() < BINS - 1
        assert share.min() >= 0 and share.max() <= 1
        assert lower[5] + share[5] == BINS - 1 and lower[0] + share[0] == 0


def test_a_value_that_hardly_changes_hardly_changes_what_is_counted() -> None:
    for statistic in STATISTICS:
        if statistic.name != "unknown":
            place = np.add(*statistic.places(np.linspace(-2, 20, 20_000)))
            assert np.abs(np.diff(place)).max() < 0.1


def test_contrast_and_sharpness_are_the_same_in_any_light() -> None:
    bright, dim = look(scene()).values(), look((scene() * 0.5).astype(np.uint8)).values()
    assert bright[1:] == pytest.approx(dim[1:], rel=0.05)
    assert bright[0] == pytest.approx(2 * (dim[0] or 0), rel=0.03)


def test_what_there_is_not_is_not_counted() -> None:
    picture = look(scene())
    alone = {STATISTICS[number].name for number, _, _ in Sample(picture).places()}
    assert alone == {"brightness", "contrast", "sharpness", "colour cast"}
    facts = AnswerFacts(0, accepted=True, score=0.9, odds=2.2, lead=3.0)
    answered = {STATISTICS[number].name for number, _, _ in Sample(picture, facts).places()}
    assert answered == alone | {"unknown", "score", "margin"}
