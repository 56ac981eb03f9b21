"""How networks are compared on worlds that show the same flowers."""

import pytest

from tests.bench.honesty.networks import Way, gain, share

FLOWERS = [f"rose/p{n % 3}_e{n:03d}_0.jpg" for n in range(40)]
RIGHT = {f"{world}/{name}": n % 4 > 0 for world in (7, 8) for n, name in enumerate(FLOWERS)}
ALL = dict.fromkeys(RIGHT, True)


def test_a_network_is_no_better_than_itself_and_the_gain_of_another_is_paired() -> None:
    assert gain(RIGHT, RIGHT) == (0.0, 0.0, 0.0)
    value, low, high = gain(ALL, RIGHT)
    assert value == pytest.approx(0.25) and 0.1 < low < 0.2 and 0.3 < high < 0.45


def test_the_same_flower_in_two_worlds_is_one() -> None:
    once = {key: hit for key, hit in RIGHT.items() if key.startswith("7/")}
    twice, single = share(RIGHT), share(once)
    assert twice == pytest.approx(single, abs=0.01)


def test_a_way_names_its_backbone_and_whether_faults_are_among_its_views() -> None:
    ways = [Way("efficientnet-lite0+robust"), Way("mobilenet-v2")]
    assert [way.backbone for way in ways] == ["efficientnet-lite0", "mobilenet-v2"]
    assert [way.robust for way in ways] == [True, False]
