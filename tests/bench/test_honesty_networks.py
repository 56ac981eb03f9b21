"""How networks are compared on worlds that show the same flowers."""

from pathlib import Path

import pytest
from PIL import Image

from tests.bench.honesty.bare import ELSEWHERE, FRAMES, JUDGED, TAUGHT, bare
from tests.bench.honesty.judge import NEW, SAME, TRAIN
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


def test_bare_pictures_show_only_the_flower_and_each_is_named_for_its_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.honesty.bare.CLASSES", ("rose",))
    (tmp_path / "flowers" / "rose").mkdir(parents=True)
    for number in range(ELSEWHERE[-1] + 1):
        path = tmp_path / "flowers" / "rose" / f"{number:03d}.jpg"
        Image.new("RGB", (24, 20), (number, 120, 60)).save(path)
    root = bare(tmp_path, tmp_path, (7, 8))
    names = {side: sorted(p.name for p in (root / side / "rose").iterdir()) for side in (SAME, NEW)}
    assert (
        names[SAME]
        == names[NEW]
        == sorted(f"p{world}_e{n:03d}_0.jpg" for world in (7, 8) for n in range(len(JUDGED)))
    )
    assert len(list((root / TRAIN / "rose").iterdir())) == len(TAUGHT) * FRAMES
    first, second = (Image.open(root / SAME / "rose" / f"p{w}_e000_0.jpg") for w in (7, 8))
    assert first.size != second.size and first.width == first.height
