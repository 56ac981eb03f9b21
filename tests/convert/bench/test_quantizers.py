"""Promises of the quantizers' comparison: each rival is what it says, all are counted alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.artifacts.training import LabelledPhoto
from convert.bench import rivals
from convert.bench.quantizers import Answers, Build, Compared, Measured, main, summarise, table
from convert.bench.rivals import least_error_range, percentile_range
from convert.quantize.exact import ACTIVATION_STEPS
from convert.quantize.export import SHIPPED_OPERATORS
from convert.tflite.flatbuffer import read_facts
from device.inference.classifier import Classifier
from device.workstation.training import Part
from tests.support.pictures import LABELS

if TYPE_CHECKING:
    from convert.artifacts.training import Training
    from tests.support.builds.build_folder import Build as TrainedBuild

Floats = npt.NDArray[np.float32]
SEEDS = st.integers(0, 2**31 - 1)


def squared_error(values: Floats, low: float, high: float) -> float:
    """The mean squared error of 8-bit quantization between `low` and `high`, by doing it."""
    step = (high - low) / ACTIVATION_STEPS
    clipped = np.clip(values.astype(np.float64), low, high)
    return float(np.mean((np.round((clipped - low) / step) * step + low - values) ** 2))


@settings(max_examples=80)
@given(SEEDS, st.sampled_from(["normal", "laplace", "relu6", "uniform"]), st.floats(-3, 3))
def test_the_chosen_range_is_no_worse_than_minimum_to_maximum(
    seed: int, kind: str, exponent: float
) -> None:
    rng = np.random.default_rng(seed)
    raw = {
        "normal": rng.normal(0.3, 1, 20_000),
        "laplace": rng.laplace(0, 1, 20_000),
        "relu6": np.clip(rng.normal(0, 2, 20_000), 0, 6),
        "uniform": rng.uniform(-1, 3, 20_000),
    }[kind]
    values = (10**exponent * raw).astype(np.float32)
    low, high = least_error_range(values)
    assert min(0, values.min()) <= low <= 0 <= high <= max(0, values.max())
    assert low < high
    plain = squared_error(values, min(0, float(values.min())), max(0, float(values.max())))
    assert squared_error(values, low, high) <= 1.05 * plain


def test_the_chosen_range_ignores_one_outlier() -> None:
    values = np.abs(np.random.default_rng(1).normal(0, 1, 1_000_000)).astype(np.float32)
    low, high = least_error_range(np.append(values, np.float32(9)))
    assert low == 0
    assert high < 6
    assert squared_error(values, 0, high) < 0.5 * squared_error(values, 0, 9)


def test_the_chosen_range_is_that_of_all_chunks_together() -> None:
    values = np.random.default_rng(2).laplace(0, 1, 30_000).astype(np.float32)
    whole = least_error_range(values)
    assert least_error_range(values[:7000], values[7000:7001], values[7001:]) == whole


@pytest.mark.parametrize("value", [-3.0, 5.0])
def test_a_constant_layer_keeps_its_value(value: float) -> None:
    values = np.full(10, value, np.float32)
    assert squared_error(values, *least_error_range(values)) < (0.03 * value) ** 2


def test_a_percentile_range_leaves_the_rarest_values_out() -> None:
    values = np.linspace(-1, 3, 100_001, dtype=np.float32)
    low, high = percentile_range(values[:50], values[50:])
    assert (low, high) == pytest.approx((-1 + 0.0004, 3 - 0.0004), abs=1e-5)


@pytest.fixture(scope="session")
def tiny_pixels(tiny_training: "Training") -> npt.NDArray[np.uint8]:
    return np.stack([tiny_training.pixels(photo) for photo in tiny_training.photos[Part.TRAIN]])


@pytest.mark.parametrize("method", ["tensorflow", "edge", "distilled"])
def test_a_rival_is_full_integer_and_has_the_operators_that_ship(
    method: str,
    tiny_network: Any,
    tiny_training: "Training",
    tiny_pixels: npt.NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rivals, "DISTILL_STEPS", 3)
    if method == "edge":
        pytest.importorskip("ai_edge_quantizer", reason="a tool of `make bench-quant`")
    model = {
        "tensorflow": rivals.tensorflow_calibrated,
        "edge": lambda network, pixels: rivals.ai_edge_quantized(network, pixels, "OCTAV"),
        "distilled": rivals.distilled,
    }[method](tiny_network, tiny_pixels)
    facts = read_facts(model)
    assert set(facts.operators) <= SHIPPED_OPERATORS
    assert not facts.float_tensors
    assert facts.per_channel_weights
    names = Classifier(model, LABELS, tiny_training.preprocessing).classify(tiny_pixels[0]).labels
    assert names == LABELS


def answers(right: list[bool], size: float = 2.0) -> dict[Part, Answers]:
    logits = np.array([[size, -size] if one else [-size, size] for one in right], np.float32)
    odds = np.exp(logits)
    one = Answers(odds / odds.sum(axis=1, keepdims=True), logits)
    return {Part.VAL: one, Part.TEST: one}


def build(count: int, name: str = "a") -> Build:
    truth = np.zeros(count, np.int64)
    both = {Part.VAL: truth, Part.TEST: truth}
    names = [f"{name}{number}" for number in range(count)]
    photos = tuple(LabelledPhoto(f"{one}.jpg", 0, one, one, "") for one in names)
    return Build(
        training=None,  # type: ignore[arg-type]
        network=None,
        photos={},
        truth=both,
        listed={Part.VAL: photos, Part.TEST: photos},
        exact=answers([True] * count),
    )


def measured(count: int, lost: int, size: float = 2.0) -> Measured:
    return Measured(answers([k >= lost for k in range(count)], size), seconds=2.0, invoke_ms=4.0)


def compared(builds: Sequence[Build], found: Sequence[Measured]) -> Compared:
    row = summarise("a", builds, found)
    assert isinstance(row, Compared)
    return row


def test_losses_are_pooled_over_photos_not_over_builds() -> None:
    test = compared([build(30), build(10)], [measured(30, 3), measured(10, 0)]).test
    assert test.n == 40
    assert test.loss_points == pytest.approx(7.5)
    assert test.agreement == pytest.approx(37 / 40)


def test_a_photo_that_two_builds_share_makes_no_interval_narrower() -> None:
    def interval(*builds: Build) -> tuple[float, float]:
        return compared(builds, [measured(30, 3)] * len(builds)).test.loss_interval_points

    assert interval(build(30), build(30)) == pytest.approx(interval(build(30)))
    low, high = interval(build(30, "a"), build(30, "b"))
    alone = interval(build(30))
    assert high - low < 0.8 * (alone[1] - alone[0])


def test_logit_noise_is_measured_against_the_float_logits() -> None:
    val = compared([build(10)], [measured(10, 0, size=2.2)]).val
    assert val.logit_sqnr_db == pytest.approx(20, abs=1e-3)


def test_a_rival_that_failed_on_one_build_says_so_in_the_table() -> None:
    builds, refusal = [build(10), build(10)], "not full-integer: 3 tensors stay float"
    records = [
        summarise("a", builds, [measured(10, 1), measured(10, 1)]),
        summarise("b", builds, [measured(10, 1), refusal]),
    ]
    text = table(records)
    assert f"| b | {refusal} |" in text
    assert "n = 20 answers on 10 photos (val), 20 on 10 photos (test)" in text


@pytest.mark.slow
def test_the_whole_comparison_runs_on_a_trained_network(
    trained: "TrainedBuild", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(trained.folder)
    assert main([folder, "--only", "the default, 20", "--out", str(tmp_path)]) == 0
    test = len([row for row in trained.rows() if row["part"] == "test"])
    out = capsys.readouterr().out
    assert "| the default, 20 photos |" in out and f"{test} on {test} photos (test)" in out
    assert (tmp_path / "quantizers.md").read_text() == out


def test_a_quantizer_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere", "--only", "magic"]) == 2
    assert "no quantizer has this in its name" in capsys.readouterr().err
