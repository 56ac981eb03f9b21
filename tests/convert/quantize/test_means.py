"""Processors round the mean of a sum alike, however each of them multiplies and adds."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.quantize.exact import Grid, Range
from convert.quantize.export import int8_model
from convert.quantize.means import TRIES, WIDER, alike, room_for_rounding
from convert.quantize.plan import make_plan
from convert.tflite.flatbuffer import operator_name, parse
from tests.support.builds.small_networks import random_network
from tests.support.pictures import LABELS, square_picture

SIDES = st.integers(3, 8)
"""Of the last features, for photos of 96 to 256 pixels."""
NUMBER = st.floats(0.01, 20)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    """From 0 up, as after a ReLU, or around it."""
    below = draw(st.sampled_from((0.0, 1.0)))
    return (-below * draw(NUMBER), draw(NUMBER))


def rounded(mean: Grid, of: Grid, positions: int, *, fused: bool) -> npt.NDArray[np.float64]:
    """The mean of each possible sum, as XNNPACK computes it in float32.

    Args:
        fused: product and addition are rounded once, as a processor's fused instruction does;
            each for itself otherwise.
    """
    scale = np.float32(of.scale) / np.float32(mean.scale) * (np.float32(1) / np.float32(positions))
    zero = np.float32(mean.zero_step - 128)
    zero -= np.float32(positions * int(of.zero_step - 128)) * scale
    sums = np.arange(-128 * positions, 127 * positions + 1)
    if fused:
        # Exact in double precision: 16 bits times 24.
        added = (sums * np.float64(scale) + np.float64(zero)).astype(np.float32)
    else:
        added = sums.astype(np.float32) * scale + zero
    return np.asarray(np.clip(np.rint(added), -128, 127), np.float64)


def differing(limits: Range, of: Range, positions: int) -> int:
    """How many sums two kinds of processors round to different steps."""
    grids = Grid.stored(*limits), Grid.stored(*of)
    here, there = (rounded(*grids, positions, fused=fused) for fused in (False, True))
    return int((here != there).sum())


@given(ranges(), ranges(), SIDES)
@settings(max_examples=300)
def test_no_sum_becomes_another_step_where_product_and_addition_are_one_instruction(
    limits: Range, of: Range, side: int
) -> None:
    assert differing(alike(limits, of, side**2), of, side**2) == 0


def test_of_ranges_as_they_are_observed_some_would_be_rounded_otherwise() -> None:
    draws = np.random.default_rng(0).uniform(1, 6, 300)
    before = sum(differing((0.0, high), (0.0, 6.0), 49) > 0 for high in draws)
    after = sum(differing(alike((0.0, high), (0.0, 6.0), 49), (0.0, 6.0), 49) for high in draws)
    assert before >= 3 and after == 0


@given(ranges(), ranges(), SIDES)
def test_a_range_is_widened_by_no_more_than_it_needs(limits: Range, of: Range, side: int) -> None:
    wider = alike(limits, of, side**2)
    factor = wider[1] / limits[1]
    assert 1 <= factor <= 1 + TRIES * WIDER and wider[0] == pytest.approx(limits[0] * factor)
    assert room_for_rounding(Grid.stored(*wider), Grid.stored(*of), side**2) > 0
    if factor > 1:
        assert room_for_rounding(Grid.stored(*limits), Grid.stored(*of), side**2) <= 0


def test_means_of_so_many_positions_that_nothing_serves_get_the_best_range() -> None:
    limits, of, positions = (0.0, 2.9), (0.0, 6.0), 40**2
    wider = alike(limits, of, positions)
    rooms = [
        room_for_rounding(Grid.stored(0.0, high), Grid.stored(*of), positions)
        for high in (limits[1], wider[1])
    ]
    assert rooms[0] <= rooms[1] <= 0


def means(model: bytes) -> Iterator[tuple[Grid, Grid, int]]:
    """Of each MEAN in a model: its grid, that of what it is taken of, and the positions."""
    tree = parse(model)
    graph = tree.subgraphs[0]
    for operator in graph.operators:
        if operator_name(tree.operatorCodes[operator.opcodeIndex]) != "MEAN":
            continue
        of, mean = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
        stored = (tensor.quantization for tensor in (mean, of))
        grids = [Grid(float(q.scale[0]), int(q.zeroPoint[0]) + 128) for q in stored]
        yield grids[0], grids[1], int(of.shape[1] * of.shape[2])


def test_an_int8_model_has_no_mean_that_processors_round_otherwise() -> None:
    network = random_network(len(LABELS), 96)
    pixels = np.stack([square_picture(number, 96) for number in range(6)])
    plan = make_plan(network, pixels)
    found = list(means(int8_model(network, plan)))
    assert len(found) == 2
    for mean, of, positions in found:
        assert room_for_rounding(mean, of, positions) > 0
    planned = {Grid.stored(*limits).scale for limits in plan.ranges.values()}
    assert {grid.scale for mean, of, _ in found for grid in (mean, of)} <= planned
