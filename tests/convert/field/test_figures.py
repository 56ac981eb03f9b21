"""Figures of the field are shares of running time, and their intervals are right by event."""

from dataclasses import replace

import numpy as np
import pytest

from convert.field.figures import confusions, figure, groups
from convert.field.record import Figure, JudgedPhoto
from device.workstation.measures import wilson
from tests.convert.field.fieldwork import judged, simulated

FIELDS = 150


def right(photos: list[JudgedPhoto]) -> Figure:
    found = figure(photos, lambda photo: photo.right)
    assert found is not None
    return found


def test_the_weighted_figure_is_the_truth_on_average_and_the_plain_share_is_not() -> None:
    errors, plain, covered = [], [], 0
    for seed in range(FIELDS):
        photos, truth = simulated(np.random.default_rng(seed), days=2)
        found = right(photos)
        errors.append(found.value - truth)
        plain.append(np.mean([photo.right for photo in photos]) - truth)
        covered += found.interval[0] <= truth <= found.interval[1]
    assert abs(np.mean(errors)) < 0.015
    assert np.mean(plain) > 0.08
    assert 0.92 <= covered / FIELDS <= 0.99


def test_with_one_probability_the_figure_is_the_plain_share_and_single_photos_give_wilson() -> None:
    photos = [judged(number, right=number % 4 > 0) for number in range(40)]
    found = right(photos)
    assert (found.n, found.events) == (40, 40)
    assert found.effective_n == pytest.approx(40) and found.value == pytest.approx(0.75)
    assert found.interval == pytest.approx(wilson(0.75, 40))


def test_photos_of_one_event_tell_little_more_than_one() -> None:
    bursts = [judged(n, right=n // 10 % 4 > 0, event=f"{n // 10}") for n in range(160)]
    found = right(bursts)
    assert (found.n, found.events, found.value) == (160, 16, 0.75)
    assert found.effective_n < 24
    assert found.interval == pytest.approx(wilson(0.75, 16), abs=0.06)


def test_there_is_no_figure_without_photos() -> None:
    assert figure([], lambda photo: photo.right) is None
    assert groups([], lambda photo: photo.label) == () and confusions([]) == ()


def test_a_device_that_is_worse_than_the_others_stands_out_and_chance_does_not() -> None:
    rng = np.random.default_rng(0)
    alike = [judged(n, right=bool(rng.random() < 0.85), device="abcd"[n % 4]) for n in range(200)]
    assert not any(group.stands_out for group in groups(alike, lambda photo: photo.device))
    worse = [
        replace(p, predicted="blue") if p.device == "c" and rng.random() < 0.6 else p for p in alike
    ]
    odd = {group.name: group.stands_out for group in groups(worse, lambda photo: photo.device)}
    assert odd == {"a": False, "b": False, "c": True, "d": False}


def test_a_group_of_a_few_events_never_stands_out() -> None:
    photos = [judged(n, device="a") for n in range(100)]
    photos += [judged(100 + n, device="b", right=False) for n in range(4)]
    assert not any(group.stands_out for group in groups(photos, lambda photo: photo.device))


def test_groups_say_how_many_photos_are_called_unknown() -> None:
    photos = [judged(n, unknown=n < 3, day=n // 5) for n in range(10)]
    first, second = groups(photos, lambda photo: photo.day)
    assert [first.name, second.name] == ["2026-11-03", "2026-11-04"]
    assert first.unknown.value == pytest.approx(0.6) and second.unknown.value == 0


def test_confusions_are_shares_of_the_time_of_a_class_the_longest_first() -> None:
    photos = [judged(n, probability=0.5) for n in range(4)]
    photos += [judged(4, right=False, probability=0.5), judged(5, right=False, probability=0.1)]
    photos += [judged(6, label="green", right=False, probability=0.5)]
    first, second = confusions(photos)
    assert (first.label, first.predicted, first.n, first.events) == ("red", "blue", 2, 2)
    assert first.share == pytest.approx(12 / 20)
    assert (second.label, second.share) == ("green", 1)
