"""What it costs a device to say how strange a picture is."""

from pathlib import Path

import pytest

from convert.tflite.flatbuffer import parse, read_operators
from device.contract import bundle as contract
from tests.bench.unknown_cost import kept_bytes, main, without_features


def test_the_features_change_no_byte_of_the_other_outputs(
    tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = (tiny_bundle / contract.MODEL).read_bytes()
    less = without_features(model)
    assert len(parse(less).subgraphs[0].outputs) == 2
    assert len(read_operators(less)) == len(read_operators(model)) - 1
    assert main(["--bundle", str(tiny_bundle), "--rounds", "3"]) == 0
    told = capsys.readouterr().out
    assert "other bytes in the other outputs: 0 of " in told


def test_what_a_device_keeps_for_distances_is_less_than_1_mb(tiny_bundle: Path) -> None:
    assert 1280 < kept_bytes(contract.load(tiny_bundle)) < 1_000_000
