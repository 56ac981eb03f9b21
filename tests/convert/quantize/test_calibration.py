"""Promises of the representative dataset: every class, drawn by content, never the first files."""

import itertools
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from convert.artifacts.training import LabelledPhoto
from convert.quantize.calibration import choose

SEEDS = st.integers(0, 2**31 - 1)


def album(sizes: list[int]) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(
            f"{label}/{k}.jpg", label, sha256(bytes([label, k])).hexdigest(), f"{label} {k}", ""
        )
        for label, size in enumerate(sizes)
        for k in range(size)
    ]


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.integers(0, 80),
    SEEDS,
    st.randoms(use_true_random=False),
)
def test_calibration_is_as_even_as_the_classes_allow(
    sizes: list[int], count: int, seed: int, shuffler: Random
) -> None:
    photos = album(sizes)
    chosen = choose(photos, count, seed)
    assert len(chosen) == len(set(chosen)) == min(count, sum(sizes))
    assert set(chosen) <= set(photos)
    counts = Counter(photo.label for photo in chosen)
    for a, b in itertools.permutations(range(len(sizes)), 2):
        assert counts[a] <= counts[b] + 1 or counts[b] == sizes[b]
    shuffler.shuffle(photos)
    assert choose(photos, count, seed) == chosen


def test_calibration_is_drawn_by_seed_and_not_the_first_files() -> None:
    photos = album([40, 40])
    draws = [tuple(choose(photos, 20, seed)) for seed in range(4)]
    assert len(set(draws)) == 4
    first = {photo.path for label in (0, 1) for photo in photos[40 * label : 40 * label + 10]}
    assert all({photo.path for photo in draw} != first for draw in draws)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 40), SEEDS)
def test_calibration_has_one_photo_of_each_event_before_a_second_one(
    sizes: list[int], count: int, seed: int
) -> None:
    photos = [
        replace(photo, event=f"event {number}")
        for number, size in enumerate(sizes)
        for photo in album([sum(sizes)])[sum(sizes[:number]) :][:size]
    ]
    chosen = Counter(photo.event for photo in choose(photos, count, seed))
    assert chosen.total() == min(count, sum(sizes))
    for event, size in enumerate(sizes):
        assert chosen[f"event {event}"] >= min(size, max(chosen.values()) - 1)
