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
    laplacian = (
        light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    ) - 4 * light[1:-1, 1:-1]
    assert facts.brightness == pytest.approx(light.mean(), rel=1e-6)
    assert facts.contrast == pytest.approx(light.std(), rel=1e-6)
    assert facts.sharpness == pytest.approx(np.abs(laplacian).mean(), rel=1e-6)
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
    assert all(0 <= place < BINS for _, place in Sample(facts).bins())


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


def test_each_statistic_has_a_bin_for_any_number() -> None:
    for statistic in STATISTICS:
        found = statistic.bins([-1e30, -1, 0, 0.5, 1, 1e30, np.nan, np.inf, -np.inf])
        assert found.min() >= 0 and found.max() < BINS
        assert found[5] == found[7]


def test_what_there_is_not_is_not_counted() -> None:
    picture = look(scene())
    alone = {STATISTICS[number].name for number, _ in Sample(picture).bins()}
    assert alone == {"brightness", "contrast", "sharpness", "colour cast"}
    facts = AnswerFacts(0, accepted=True, score=0.9, odds=2.2, lead=3.0)
    answered = {STATISTICS[number].name for number, _ in Sample(picture, facts).bins()}
    assert answered == alone | {"unknown", "score", "margin"}
