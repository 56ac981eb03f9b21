"""The means of a bundle's int8 model, each as a model of its own: any sum can be given to it."""

from pathlib import Path

import numpy as np

from convert.tflite.flatbuffer import operator_name, pack, parse
from device.contract import bundle as contract

CHANNELS = 1280
"""Of the models that are made: so many sums are computed at once."""


def write_means(bundle: Path, path: Path) -> Path:
    """Write the models of the bundle's means as uint8 arrays, in their order."""
    model = (bundle / contract.MODEL).read_bytes()
    graph = parse(model).subgraphs[0]
    found = [_alone(model, number) for number in range(len(graph.operators))]
    np.savez(path, *(np.frombuffer(made, np.uint8) for made in found if made))
    return path


def _alone(model: bytes, number: int) -> bytes | None:
    """One operator of a model with the grids that it has there; None if it is not a mean."""
    tree = parse(model)
    graph = tree.subgraphs[0]
    operator = graph.operators[number]
    if operator_name(tree.operatorCodes[operator.opcodeIndex]) != "MEAN":
        return None
    of, mean = operator.inputs[0], operator.outputs[0]
    graph.operators, graph.inputs, graph.outputs = [operator], [of], [mean]
    for index in (of, mean):
        tensor = graph.tensors[index]
        tensor.shape = [*tensor.shape[:-1], CHANNELS]
        tensor.shapeSignature = None
    tree.signatureDefs = tree.metadata = tree.metadataBuffer = None
    return pack(tree)
