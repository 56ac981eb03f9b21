"""Promises of the draws: only what is drawn is computed, and a longer training begins the same."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.drawn import drawn
from train.recipe.draws import Draws, Pairs

DRAWS = Draws(photos=45, views=8, epochs=10, batch=8, seed=3, mixup=0.2)


def pairs_of(pieces: tuple[Pairs, ...]) -> list[tuple[int, int]]:
    return [pair for each in pieces for pair in zip(each.photos, each.views, strict=True)]


def test_the_pieces_are_what_is_drawn_and_view_0_each_once() -> None:
    made = pairs_of(DRAWS.pieces)
    needed = {(photo, 0) for photo in range(DRAWS.photos)}
    for epoch in range(DRAWS.epochs):
        for step in DRAWS.epoch(epoch):
            needed |= set(zip(step.photos.tolist(), step.views.tolist(), strict=True))
    assert set(made) == needed and len(made) == len(needed)
    assert len(made) < 0.8 * DRAWS.photos * DRAWS.views


@pytest.mark.parametrize("changes", [{"epochs": 4}, {"mixup": 0.0}, {"epochs": 0}])
def test_other_epochs_and_blends_need_the_same_pieces(changes: dict[str, float]) -> None:
    """So what one training has cached is of use to another."""
    other = replace(DRAWS, **changes)  # type: ignore[arg-type]
    same = zip(other.pieces, DRAWS.pieces, strict=False)
    assert all(a.content == b.content for a, b in same)
    assert len(other.pieces) == other.epochs + 1


def test_an_epoch_draws_each_photo_once_but_for_those_that_fill_no_batch() -> None:
    photos = np.concatenate([step.photos for step in DRAWS.epoch(4)])
    assert len(photos) == len(set(photos.tolist())) == 40


def test_epochs_draw_from_2_2_4_and_8_views() -> None:
    assert [DRAWS.offered(epoch) for epoch in range(5)] == [2, 2, 4, 8, 8]
    last = np.concatenate([step.views for step in DRAWS.epoch(9)])
    assert set(last.tolist()) == set(range(8))


def test_an_epoch_gets_the_rows_that_it_draws_whether_it_is_the_first_or_a_resumed_one() -> None:
    views = [np.arange(45.0)[:, None] + 100 * number for number in range(8)]
    for begun_at in (0, 7):
        shown = drawn(DRAWS, views)
        for epoch in range(begun_at, 10):
            shown.prepare(epoch)
            for step in DRAWS.epoch(epoch):
                rows = shown.rows(step.photos, step.views)
                assert rows[:, 0].tolist() == (step.photos + 100 * step.views).tolist()


def test_what_is_known_is_not_computed_again_and_nothing_is_asked_for_no_pairs() -> None:
    asked: list[int] = []
    one = replace(DRAWS, views=1)
    shown = drawn(one, [np.arange(45.0)[:, None]])
    compute = shown.compute

    def noted(pairs: Pairs) -> np.ndarray:
        asked.append(len(pairs))
        return compute(pairs)

    shown.compute = noted
    assert len(shown.first()) == 45
    for epoch in range(10):
        shown.prepare(epoch)
    assert asked == [45]
