"""Promises of the count of multiply-accumulate operations."""

from pathlib import Path
from typing import Any

import pytest

from convert.errors import ConversionError
from convert.tflite.macs import multiply_accumulates
from device.workstation.conversion import FLOAT_MODEL, INT8_MODEL
from train.network.layer_table import describe


def test_the_models_have_the_operations_of_the_network(
    tiny_network: Any, tiny_models: dict[str, bytes]
) -> None:
    expected = sum(layer.macs for layer in describe(tiny_network, "block_12"))
    assert expected > 1_000_000
    for name in (INT8_MODEL, FLOAT_MODEL):
        assert multiply_accumulates(tiny_models[name]) == expected


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="not a TFLite model"):
        multiply_accumulates(b"12345678")
