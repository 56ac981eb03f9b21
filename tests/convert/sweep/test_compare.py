"""Promises of the comparison of trials: what is dominated, and how far one is behind another."""

from dataclasses import replace

import pytest

from convert.errors import InputError
from convert.sweep.compare import behind, check_same_photos, dominators, frontier
from tests.convert.sweep.trials import EVENTS, PHOTOS, entry, trial


def test_a_trial_is_dominated_by_one_that_is_as_accurate_for_less_work() -> None:
    small, large = entry("a@160", 380, 150), entry("a@224", 380, 300)
    assert dominators([small, large]) == {"a@224": "a@160"}


def test_more_accuracy_for_more_work_or_a_larger_file_is_not_dominated() -> None:
    entries = [entry("a@160", 380, 150), entry("a@224", 381, 300), entry("b@96", 370, 300, mb=2.6)]
    assert dominators(entries) == {}


def test_equal_trials_do_not_dominate_each_other() -> None:
    assert dominators([entry("a@160", 380, 150), entry("b@160", 380, 150)]) == {}


def test_the_most_accurate_one_is_named_as_what_dominates() -> None:
    entries = [entry("a@160", 381, 150), entry("b@160", 383, 150), entry("c@224", 380, 300)]
    assert dominators(entries)["c@224"] == "b@160"


def test_the_frontier_rises_with_the_price() -> None:
    entries = [
        entry("c@224", 385, 300),
        entry("a@160", 370, 100),
        entry("b@192", 369, 200),
        entry("d@224", 384, 300),
    ]
    front = frontier(entries, lambda one: one.figures.cost.macs)
    assert [one.name for one in front] == ["a@160", "c@224"]


def test_the_distance_is_of_the_same_photos() -> None:
    best, other = entry("a@1", 380, 300), entry("b@1", 376, 300)
    found = behind(best, other, EVENTS)
    assert found.points == pytest.approx(100 * 4 / PHOTOS)
    # Four photos of 400 that only one knows: about the square root of four photos.
    assert found.error_points == pytest.approx(100 * 2 / PHOTOS, rel=0.15)
    assert not found.within_error


def test_photos_of_one_event_tell_less() -> None:
    best, other = entry("a@1", 380, 300), entry("b@1", 376, 300)
    bursts = [f"event {number // 4}" for number in range(PHOTOS)]
    single, grouped = behind(best, other, EVENTS), behind(best, other, bursts)
    assert grouped.points == single.points
    assert grouped.error_points > 1.5 * single.error_points


def test_a_model_is_not_behind_itself() -> None:
    best = entry("a@1", 380, 300)
    found = behind(best, best, EVENTS)
    assert found.points == 0 and found.within_error


def test_trials_of_other_photos_are_not_compared() -> None:
    one, other = trial(entry("a@160", 380, 150)), trial(entry("b@160", 380, 150))
    check_same_photos([one, other])
    with pytest.raises(InputError, match=r"^b@160 was tried on other photos than a@160; run `make"):
        check_same_photos([one, replace(other, fingerprint="00" * 32)])
