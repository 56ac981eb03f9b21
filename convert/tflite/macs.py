"""How much work a model is: its multiply-accumulate operations, read from its tensors' shapes."""

import math

from convert.tflite.flatbuffer import operator_name, parse

COUNTED = ("CONV_2D", "DEPTHWISE_CONV_2D")
"""Everything else in our models (additions, one mean, one softmax) is below a hundredth of it."""


def multiply_accumulates(model: bytes) -> int:
    """Multiply-accumulate operations of one inference, in all convolutions.

    Args:
        model: a TFLite model whose input and layers have fixed shapes.

    Raises:
        ConversionError: if the bytes are not a TFLite model.
    """
    tree = parse(model)
    graph, total = tree.subgraphs[0], 0
    for operator in graph.operators:
        if operator_name(tree.operatorCodes[operator.opcodeIndex]) in COUNTED:
            # A kernel is OHWI, a depthwise one 1HWC: at each place every weight is used once.
            kernel = graph.tensors[operator.inputs[1]].shape
            _, rows, columns, _ = graph.tensors[operator.outputs[0]].shape
            total += int(rows) * int(columns) * math.prod(map(int, kernel))
    return total
