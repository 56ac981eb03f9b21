"""Intervals by event: how often they hold the true share, and that single photos change nothing."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.measures import wilson
from device.workstation.shares import ShareByEvent, share_by_event, weighted_share

Counts = npt.NDArray[np.int64]

EVENTS = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 60)).map(lambda e: (e[0], min(e))),
    min_size=1,
    max_size=30,
)
"""Photos and hits of each event."""


def share_of(photos: Counts, hits: Counts) -> ShareByEvent:
    """The share for events with so many photos, of which so many are hits."""
    one = [np.arange(n) < k for n, k in zip(photos, hits, strict=True)]
    return share_by_event(np.concatenate(one), np.repeat(np.arange(len(photos)), photos))


@given(st.integers(1, 400), st.data())
def test_single_photos_have_the_very_interval_of_wilson(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    share = share_by_event(np.arange(n) < count, [f"event {i}" for i in range(n)])
    assert (share.low, share.high) == wilson(count / n, n)
    assert (share.count, share.n, share.events, share.effective_n) == (count, n, n, n)


def test_single_photos_have_the_figures_of_before_events() -> None:
    share = share_by_event(np.arange(486) < 455, range(486))
    assert share.value == 0.9362139917695473
    assert share.interval == (0.910883713193075, 0.9547024726328265)


@given(EVENTS)
def test_events_tell_at_least_as_much_as_if_their_photos_were_copies_and_no_more_than_single_ones(
    events: list[tuple[int, int]],
) -> None:
    photos, hits = np.array(events).T
    share = share_of(photos, hits)
    copies = photos.sum() ** 2 / (photos**2).sum()
    assert copies * (1 - 1e-9) <= share.effective_n <= share.n
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.value == hits.sum() / photos.sum()


@given(EVENTS)
def test_neither_names_nor_order_matter(events: list[tuple[int, int]]) -> None:
    photos, hits = np.array(events).T
    right = np.concatenate([np.arange(n) < k for n, k in events])
    names = np.repeat([f"e{i}" for i in np.random.default_rng(1).permutation(len(events))], photos)
    order = np.random.default_rng(0).permutation(len(right))
    assert share_by_event(right[order], names[order].tolist()) == share_of(photos, hits)


@given(EVENTS)
def test_the_interval_of_the_misses_mirrors_that_of_the_hits(events: list[tuple[int, int]]) -> None:
    photos, hits = np.array(events).T
    right, wrong = share_of(photos, hits), share_of(photos, photos - hits)
    assert wrong.effective_n == pytest.approx(right.effective_n)
    assert (1 - wrong.high, 1 - wrong.low) == pytest.approx(right.interval)


def test_a_film_without_a_mistake_proves_little_more_than_one_photo() -> None:
    for photos in (30, 300, 10_000):
        film = share_by_event(np.ones(photos, bool), ["film"] * photos)
        assert film.events == 1 and film.low < 0.3


def test_many_events_that_agree_within_themselves_count_as_one_photo_each() -> None:
    hits = np.repeat([25, 0], [270, 30])
    assert share_of(np.full(300, 25), hits).effective_n == pytest.approx(300, rel=0.05)


def test_many_events_whose_photos_are_independent_count_almost_as_single_photos() -> None:
    hits = np.random.default_rng(0).binomial(25, 0.9, 300)
    assert share_of(np.full(300, 25), hits).effective_n > 0.9 * 7500


@pytest.mark.parametrize("correlation", [0, 0.3, 0.7, 1])
@pytest.mark.parametrize(("events", "longest"), [(8, 60), (12, 25), (60, 60)])
def test_95_in_100_intervals_hold_the_true_share(
    events: int, longest: int, correlation: float
) -> None:
    rng, held, draws = np.random.default_rng(events), 0, 300
    for _ in range(draws):
        true = rng.uniform(0.6, 0.97)
        photos = np.exp(rng.uniform(0, np.log(longest + 1), events)).astype(int)
        share = share_of(photos, rng.binomial(photos, _chances(rng, true, correlation, events)))
        held += share.low <= true <= share.high
    assert 0.92 - 0.02 <= held / draws <= 0.97 + 0.02


def _chances(
    rng: np.random.Generator, true: float, correlation: float, events: int
) -> npt.NDArray[np.float64]:
    """How likely a photo of each event is right: beta distributed, so they correlate."""
    if correlation == 0:
        return np.full(events, true)
    if correlation == 1:
        return (rng.random(events) < true).astype(float)
    spread = (1 - correlation) / correlation
    return rng.beta(true * spread, (1 - true) * spread, events)


# --- photos that were drawn with known probabilities ----------------------------------------------


@given(EVENTS, st.floats(0.01, 1e6))
def test_equal_weights_change_nothing(events: list[tuple[int, int]], weight: float) -> None:
    photos, hits = np.array(events).T
    right = np.concatenate([np.arange(n) < k for n, k in events])
    names = np.repeat(np.arange(len(events)), photos)
    share, plain = weighted_share(right, names, np.full(len(right), weight)), share_of(photos, hits)
    assert (share.count, share.n, share.events) == (plain.count, plain.n, plain.events)
    assert (share.value, share.effective_n) == pytest.approx((plain.value, plain.effective_n))
    assert share.interval == pytest.approx(plain.interval, abs=1e-9)


def test_all_hits_or_none_are_exactly_1_or_0() -> None:
    weights = np.random.default_rng(0).uniform(0.1, 9000, 333)
    for hit in (True, False):
        share = weighted_share(np.full(333, hit), np.arange(333), weights)
        assert share.value == hit and 0 <= share.low <= share.value <= share.high <= 1


def test_a_photo_with_a_large_weight_counts_for_many_and_tells_as_little_as_one() -> None:
    hits = np.arange(40) < 30
    weights = np.where(np.arange(40) == 39, 60.0, 1.0)
    share = weighted_share(hits, np.arange(40), weights)
    assert share.value == pytest.approx(30 / 99)
    assert share.effective_n < 3


CAMERAS = {
    "alike": ((0.85, 1, 40), (0.85, 4, 12)),
    "the rarely drawn one is worse": ((0.95, 1, 40), (0.6, 4, 12)),
    "the rarely drawn one is better": ((0.6, 1, 40), (0.95, 4, 12)),
    "a few photos weigh much": ((0.9, 1, 60), (0.7, 10, 12)),
}
"""Of each camera how often it is right, the weight of its photos, and its events."""


@pytest.mark.parametrize("correlation", [0, 0.3, 0.7])
@pytest.mark.parametrize("longest", [1, 6])
@pytest.mark.parametrize("cameras", CAMERAS.values(), ids=CAMERAS)
def test_95_in_100_weighted_intervals_hold_the_true_share(
    cameras: tuple[tuple[float, float, int], ...], longest: int, correlation: float
) -> None:
    rng, held, draws = np.random.default_rng(1), 0, 300
    true = sum(a * w * n for a, w, n in cameras) / sum(w * n for _, w, n in cameras)
    for _ in range(draws):
        rates = [_chances(rng, a, correlation, n) for a, _, n in cameras]
        photos = rng.integers(1, longest + 1, sum(n for *_, n in cameras))
        weights = np.repeat([w for _, w, _ in cameras], [n for *_, n in cameras])
        hits = rng.random(photos.sum()) < np.repeat(np.concatenate(rates), photos)
        events = np.repeat(np.arange(len(photos)), photos)
        share = weighted_share(hits, events, np.repeat(weights, photos).astype(float))
        held += share.low <= true <= share.high
    assert held / draws >= 0.91
