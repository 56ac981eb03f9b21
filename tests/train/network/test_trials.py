"""Promises of `SWEEP=`: which networks it names."""

import pytest

from train.errors import TrainingError
from train.network.backbones import BACKBONES
from train.network.trials import SIZES_PX, trials


def test_a_network_is_a_backbone_at_a_size() -> None:
    given = "mobilenet-v2@160 mobilenet-v2@224 efficientnet-lite0@224"
    assert trials(given) == given.split()


@pytest.mark.parametrize(
    ("short", "names"),
    [
        ("mobilenet-v2@192,160", ["mobilenet-v2@192", "mobilenet-v2@160"]),
        ("mobilenet-v2", [f"mobilenet-v2@{size}" for size in SIZES_PX]),
        ("@224", [f"{backbone}@224" for backbone in BACKBONES]),
        ("mobilenet-v2@224 @224", ["mobilenet-v2@224", *(f"{b}@224" for b in [*BACKBONES][1:])]),
    ],
)
def test_shorter_ways_to_say_it(short: str, names: list[str]) -> None:
    assert trials(short) == names


def test_all_is_every_backbone_at_every_size_and_at_its_own() -> None:
    names = trials("all")
    assert len(names) == len(set(names))
    for backbone, spec in BACKBONES.items():
        assert {f"{backbone}@{size}" for size in (*SIZES_PX, spec.size_px)} <= set(names)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "SWEEP is empty: give SWEEP='mobilenet-v2@160"),
        ("resnet@224", "no backbone is called resnet: use mobilenet-v2, "),
        ("all@224", "no backbone is called all: use"),
        ("mobilenet-v2@200", "mobilenet-v2@200: give a multiple of 32 in 32..1024"),
        ("mobilenet-v2@0", "mobilenet-v2@0: give a multiple of 32"),
        ("@240", "mobilenet-v2@240: give a multiple of 32"),
        ("mobilenet-v2@", "mobilenet-v2@ is no network: give SWEEP="),
        ("mobilenet-v2@big", "mobilenet-v2@big is no network"),
        ("mobilenet-v2@160,", "mobilenet-v2@160, is no network"),
        ("@", "@ is no network"),
    ],
)
def test_what_names_no_network_is_refused_in_one_line(given: str, said: str) -> None:
    with pytest.raises(TrainingError) as error:
        trials(given)
    assert said in str(error.value) and "\n" not in str(error.value)
