"""What an Edge TPU would run, by the published rules."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert.targets import edgetpu
from convert.targets.edgetpu import (
    STRANDED,
    place_operators,
)
from convert.tflite.flatbuffer import operator_name, pack, parse
from device.contract import bundle as contract
from device.workstation.conversion import FLOAT_MODEL

UNCOMPILED = "mobilenet_v1_0.25_128_quant mobilenet_v2_1.0_224_quant tf2_mobilenet_v2_1.0_224_ptq"


@pytest.fixture(scope="module")
def model(tiny_models: dict[str, bytes]) -> bytes:
    return tiny_models[contract.MODEL]


def test_every_operator_of_a_shipped_model_may_run_on_an_edge_tpu(model: bytes) -> None:
    verdicts = place_operators(model)
    assert len(verdicts) > 60 and all(verdict.mapped for verdict in verdicts)


@pytest.mark.parametrize("name", UNCOMPILED.split())
def test_models_that_coral_published_compiled_pass_the_rules(coral: Path, name: str) -> None:
    verdicts = place_operators((coral / f"{name}.tflite").read_bytes())
    assert len(verdicts) > 30 and all(verdict.mapped for verdict in verdicts)


def test_no_operator_of_a_float_model_passes(tiny_models: dict[str, bytes]) -> None:
    assert not any(v.mapped for v in place_operators(tiny_models[FLOAT_MODEL]))


Change = Callable[[Any, Any, Any], None]


def changed(model: bytes, name: str, change: Change) -> edgetpu.Placement:
    """The verdict on the first operator of a name after a change to it."""
    tree = parse(model)
    graph = tree.subgraphs[0]
    operator = next(
        o for o in graph.operators if operator_name(tree.operatorCodes[o.opcodeIndex]) == name
    )
    change(tree, graph, operator)
    first = graph.tensors[operator.outputs[0]].name.decode()
    return next(v for v in place_operators(pack(tree)) if v.output == first)


def _dilate(tree: Any, graph: Any, operator: Any) -> None:
    operator.builtinOptions.dilationWFactor = 2


def _lengthen(tree: Any, graph: Any, operator: Any) -> None:
    graph.tensors[operator.inputs[0]].shape = [1, 16_001]


def _two_rows(tree: Any, graph: Any, operator: Any) -> None:
    graph.tensors[operator.inputs[0]].shape = [2, 3]


def _batch(tree: Any, graph: Any, operator: Any) -> None:
    for index in (operator.inputs[0], operator.outputs[0]):
        graph.tensors[index].shape = [2, *graph.tensors[index].shape[1:]]


def _unknown_size(tree: Any, graph: Any, operator: Any) -> None:
    tensor = graph.tensors[operator.outputs[0]]
    tensor.shapeSignature = [-1, *tensor.shape[1:]]


def _float(tree: Any, graph: Any, operator: Any) -> None:
    graph.tensors[operator.inputs[0]].type = 0


def _newer(tree: Any, graph: Any, operator: Any) -> None:
    tree.operatorCodes[operator.opcodeIndex].version = 5


def _axes(*axes: int) -> Change:
    def change(tree: Any, graph: Any, operator: Any) -> None:
        tensor = copy.copy(graph.tensors[operator.inputs[1]])
        tensor.shape, tensor.buffer = [len(axes)], len(tree.buffers)
        buffer = copy.copy(tree.buffers[0])
        buffer.data = list(b"".join(axis.to_bytes(4, "little", signed=True) for axis in axes))
        tree.buffers.append(buffer)
        graph.tensors.append(tensor)
        operator.inputs = [operator.inputs[0], len(graph.tensors) - 1]

    return change


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("CONV_2D", _dilate, "dilation differs"),
        ("DEPTHWISE_CONV_2D", _dilate, "dilation differs"),
        ("CONV_2D", _newer, "version 5; known to be mapped is 3"),
        ("ADD", _newer, "version 5; known to be mapped is 2"),
        ("SOFTMAX", _lengthen, "more than 16,000 elements"),
        ("SOFTMAX", _two_rows, "more than one dimension above 1"),
        ("ADD", _batch, "three innermost dimensions"),
        ("ADD", _unknown_size, "known only when it runs"),
        ("QUANTIZE", _float, "neither int8 nor uint8"),
        ("MEAN", _axes(0, 1), "batch dimension"),
        ("MEAN", _axes(-4), "batch dimension"),
        ("MEAN", _axes(3), "no multiple of 4"),
    ],
)
def test_each_published_limitation_is_found(
    model: bytes, name: str, change: Change, reason: str
) -> None:
    assert reason in changed(model, name, change).reason


def test_a_mean_over_rows_and_columns_is_fine(model: bytes) -> None:
    assert changed(model, "MEAN", _axes(1, 2)).mapped
    assert changed(model, "MEAN", _axes(-2, -3)).mapped


def test_what_follows_an_interruption_stays_on_the_cpu_and_what_precedes_does_not(
    model: bytes,
) -> None:
    tree = parse(model)
    operators = tree.subgraphs[0].operators
    middle = next(o for o in operators[10:] if hasattr(o.builtinOptions, "dilationWFactor"))
    middle.builtinOptions.dilationWFactor = 2
    number = operators.index(middle)
    verdicts = place_operators(pack(tree))
    assert all(verdict.mapped for verdict in verdicts[:number])
    assert "dilation" in verdicts[number].reason
    assert all(verdict.reason == STRANDED for verdict in verdicts[number + 1 :])
