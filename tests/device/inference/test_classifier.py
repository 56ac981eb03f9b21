"""What `device.inference.classifier` promises: right numbers from any model and runtime."""

import sys
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from device.contract import bundle as contract
from device.contract.preprocess import Preprocessing, prepare_frame
from device.errors import BundleError, RuntimeUnavailableError, UsageError
from device.inference.classifier import Classifier, Prediction, dequantize
from device.inference.runtime import MODULES, Runtime, find
from tests.support.pictures import LABELS, RULES, SIZE_PX, picture

CORAL_MODELS = ("mobilenet_v2_1.0_224_quant.tflite", "tf2_mobilenet_v2_1.0_224_ptq.tflite")
CORAL_PICTURES = {
    "cat.bmp": "Egyptian cat",
    "bird.bmp": "chickadee",
    "sunflower.bmp": "daisy",
    "grace_hopper.bmp": "military uniform",
}


# --- dequantization ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@given(data=st.data())
def test_dequantization_is_raw_minus_zero_point_times_scale(
    dtype: type[np.uint8] | type[np.int8], data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    raw = data.draw(arrays.arrays(dtype, arrays.array_shapes(max_dims=3, max_side=8)))
    zero_point = data.draw(st.integers(limits.min, limits.max))
    scale = data.draw(st.floats(2**-20, 1e6, width=32))
    got = dequantize(raw, scale, zero_point)
    expected = (raw.astype(np.float64) - zero_point) * np.float64(scale)
    assert got.dtype == np.float32 and got.shape == raw.shape
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=0)


@given(arrays.arrays(np.float32, (3, 4), elements=st.floats(width=32)))
def test_floating_point_outputs_pass_through_unchanged(raw: npt.NDArray[np.float32]) -> None:
    for scale, zero_point in ((0.0, 0), (0.5, 3)):
        np.testing.assert_array_equal(dequantize(raw, scale, zero_point), raw)


def test_all_values_of_a_byte_are_dequantized_without_wrapping() -> None:
    every = np.arange(256)
    assert dequantize(every.astype(np.uint8), 1.0, 128).tolist() == (every - 128).tolist()
    assert dequantize(every.astype(np.uint8).view(np.int8), 0.5, -128).min() == 0.0


# --- predictions ------------------------------------------------------------------------------


def test_the_best_is_the_first_of_equals_and_the_record_names_every_score() -> None:
    prediction = Prediction(("a", "b", "c"), np.array([0.25, 0.375, 0.375], np.float32))
    assert (prediction.best, prediction.label, prediction.score) == (1, "b", 0.375)
    assert prediction.record() == {
        "label": "b",
        "score": 0.375,
        "unknown": False,
        "why": None,
        "distance": None,
        "scores": {"a": 0.25, "b": 0.375, "c": 0.375},
    }


def test_the_mean_of_the_class_map_through_a_softmax_is_the_scores(
    tiny_classifier: Classifier,
) -> None:
    for label in range(len(LABELS)):
        scores = tiny_classifier.classify(prepare_frame(picture(label, 0), RULES)).scores
        class_map = tiny_classifier.class_map()
        assert class_map.shape == (SIZE_PX // 32, SIZE_PX // 32, len(LABELS))
        odds = np.exp(class_map.mean(axis=(0, 1)))
        np.testing.assert_allclose(scores, odds / odds.sum(), atol=0.02)


def test_scores_and_map_are_the_dequantized_outputs_to_the_last_bit(
    tiny_classifier: Classifier,
) -> None:
    tiny_classifier.classify(prepare_frame(picture(1, 0), RULES))
    for name, got in (
        ("probabilities", tiny_classifier.scores()),
        ("class_map", tiny_classifier.class_map()),
        ("features", tiny_classifier.features()),
    ):
        raw = tiny_classifier.raw_outputs()[name]
        record = tiny_classifier.tensor_records()["outputs"][name]
        expected = dequantize(raw, record["scale"], record["zero_point"])
        assert got.dtype == np.float32 and got.tobytes() == expected.tobytes()


def test_a_prediction_does_not_change_when_the_next_picture_is_classified(
    tiny_classifier: Classifier,
) -> None:
    first = tiny_classifier.classify(prepare_frame(picture(0, 0), RULES))
    kept, raw = first.scores.copy(), tiny_classifier.raw_outputs()
    kept_raw = {name: array.copy() for name, array in raw.items()}
    tiny_classifier.classify(prepare_frame(picture(1, 0), RULES))
    np.testing.assert_array_equal(first.scores, kept)
    for name, array in raw.items():
        np.testing.assert_array_equal(array, kept_raw[name])


def test_the_tensor_records_are_the_manifest_s(
    tiny_bundle: Path, tiny_classifier: Classifier
) -> None:
    manifest = contract.load(tiny_bundle).manifest
    assert tiny_classifier.tensor_records() == {k: manifest[k] for k in ("input", "outputs")}
    assert manifest["input"]["scale"] == 1 / 128 and manifest["input"]["zero_point"] == 128


# --- other models, on an interpreter made up --------------------------------------------------


class FakeInterpreter:
    """Has the given tensors; its outputs hold what it is told."""

    INPUT = 9

    def __init__(self, input_type: Any, outputs: Sequence[npt.NDArray[Any]], **_: Any) -> None:
        self.outputs = outputs
        self.input = np.zeros((1, *RULES.shape), input_type)

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        shape, dtype = np.array(self.input.shape), self.input.dtype.type
        return [{"index": self.INPUT, "shape": shape, "dtype": dtype, "quantization": (1.0, 0)}]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [
            {"index": i, "shape": np.array(o.shape), "dtype": o.dtype.type, "quantization": (1, 0)}
            for i, o in enumerate(self.outputs)
        ]

    def tensor(self, index: int) -> Callable[[], npt.NDArray[Any]]:
        return lambda: self.input if index == self.INPUT else self.outputs[index]

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> npt.NDArray[Any]:
        return self.outputs[index].copy()


PROBABILITIES = np.array([[1, 5, 2]], np.uint8)
CLASS_MAP = np.arange(27, dtype=np.int8).reshape(1, 3, 3, 3)
FEATURES = np.arange(8, dtype=np.uint8)[np.newaxis]


def fake(
    outputs: Sequence[npt.NDArray[Any]] = (PROBABILITIES,), input_type: Any = np.uint8
) -> tuple[Classifier, FakeInterpreter]:
    interpreter = FakeInterpreter(input_type, outputs)
    runtime = Runtime("fake", "0", lambda **_: interpreter)
    return Classifier(b"", LABELS, RULES, runtime=runtime), interpreter


@pytest.mark.parametrize(("input_type", "shift"), [(np.uint8, 0), (np.int8, -128), (np.float32, 0)])
def test_each_input_type_gets_each_byte_s_value(input_type: Any, shift: int) -> None:
    classifier, interpreter = fake(input_type=input_type)
    pixels = np.arange(np.prod(RULES.shape)).astype(np.uint8).reshape(RULES.shape)
    before = pixels.copy()
    classifier.set_input(pixels)
    np.testing.assert_array_equal(interpreter.input[0].astype(int), before.astype(int) + shift)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("outputs", permutations((PROBABILITIES, CLASS_MAP, FEATURES)))
def test_outputs_are_found_by_shape_in_any_order(outputs: Sequence[npt.NDArray[Any]]) -> None:
    classifier, _ = fake(outputs)
    assert classifier.scores().tolist() == [1, 5, 2]
    np.testing.assert_array_equal(classifier.class_map(), CLASS_MAP[0].astype(np.float32))
    assert classifier.features().tolist() == list(range(8))
    assert set(classifier.raw_outputs()) == {"probabilities", "class_map", "features"}


def test_as_many_features_as_classes_come_after_the_probabilities() -> None:
    classifier, _ = fake((PROBABILITIES, CLASS_MAP, PROBABILITIES + 1))
    assert classifier.scores().tolist() == [1, 5, 2]
    assert classifier.features().tolist() == [2, 6, 3]


def test_a_model_without_class_map_classifies_and_says_that_it_has_none() -> None:
    classifier, _ = fake()
    assert classifier.scores().tolist() == [1, 5, 2]
    with pytest.raises(BundleError, match="no class map"):
        classifier.class_map()
    with pytest.raises(BundleError, match="no output with features"):
        classifier.features()


@pytest.mark.parametrize(
    "outputs",
    [
        (),
        (CLASS_MAP,),
        (PROBABILITIES, PROBABILITIES, PROBABILITIES),
        (CLASS_MAP, FEATURES),
        (PROBABILITIES[:, :2],),
        (PROBABILITIES, CLASS_MAP[..., :2]),
        (PROBABILITIES[0],),
    ],
    ids=["none", "map-only", "three-alike", "no-scores", "too-few", "map-too-few", "no-batch"],
)
def test_outputs_that_do_not_fit_the_labels_are_refused(outputs: Any) -> None:
    with pytest.raises(BundleError, match="output"):
        fake(outputs)


@pytest.mark.parametrize("input_type", [np.int32, np.float16, np.bool_])
def test_an_input_that_is_no_picture_is_refused(input_type: Any) -> None:
    with pytest.raises(BundleError, match="not pictures"):
        fake(input_type=input_type)


# --- refusals of real models ------------------------------------------------------------------


def test_labels_that_are_too_many_or_too_few_are_refused(tiny_bundle: Path) -> None:
    model = (tiny_bundle / contract.MODEL).read_bytes()
    for labels in (LABELS[:2], (*LABELS, "more"), ()):
        with pytest.raises(BundleError, match=f"{len(labels)} labels"):
            Classifier(model, labels, RULES)


def test_preprocessing_of_another_size_is_refused(tiny_bundle: Path) -> None:
    model = (tiny_bundle / contract.MODEL).read_bytes()
    with pytest.raises(BundleError, match="224"):
        Classifier(model, LABELS, Preprocessing())


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(threads: int, tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Classifier.from_bundle(contract.load(tiny_bundle), threads=threads)


def test_two_threads_give_the_same_numbers(tiny_bundle: Path, tiny_classifier: Classifier) -> None:
    pixels = prepare_frame(picture(2, 0), RULES)
    two = Classifier.from_bundle(contract.load(tiny_bundle), threads=2).classify(pixels)
    np.testing.assert_array_equal(two.scores, tiny_classifier.classify(pixels).scores)


@pytest.mark.parametrize("kept", [0, 4, 100, 5000])
def test_bytes_that_are_no_whole_model_are_refused_with_one_line(
    kept: int, tiny_bundle: Path
) -> None:
    with pytest.raises(BundleError) as caught:
        Classifier((tiny_bundle / contract.MODEL).read_bytes()[:kept], LABELS, RULES)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_runtime_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find("tensorflow")
    assert all(name in str(caught.value) for name in MODULES)


def test_without_any_runtime_the_reasons_and_a_remedy_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in MODULES.values():
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeUnavailableError, match="install ai-edge-litert") as caught:
        find()
    assert all(name in str(caught.value) for name in MODULES)
    assert len(str(caught.value).splitlines()) == 1


# --- models that this project did not make ----------------------------------------------------


@pytest.mark.parametrize("model", CORAL_MODELS)
@pytest.mark.parametrize("photo", sorted(CORAL_PICTURES))
def test_coral_s_public_models_see_what_is_in_coral_s_pictures(
    model: str, photo: str, coral: Path
) -> None:
    labels = contract.parse_labels((coral / "imagenet_labels.txt").read_bytes())
    classifier = Classifier((coral / model).read_bytes(), labels, Preprocessing())
    if (photo, model) == ("grace_hopper.bmp", CORAL_MODELS[1]):
        # Our centred crop changes this answer (to mortarboard); the reference saw everything.
        with Image.open(coral / photo) as image:
            pixels = np.asarray(image.convert("RGB").resize((224, 224)))
        prediction = classifier.classify(pixels)
    else:
        prediction = classifier.classify_file(coral / photo)
    assert prediction.label.split(",")[0] == CORAL_PICTURES[photo]
    assert prediction.score > 0.5
    assert prediction.scores.sum() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("width", "size_px"), [("0.25", 128), ("0.75", 192)])
def test_a_model_for_the_edge_tpu_says_in_one_line_that_it_needs_one(
    width: str, size_px: int, coral: Path
) -> None:
    model = coral / f"mobilenet_v1_{width}_{size_px}_quant_edgetpu.tflite"
    labels = contract.parse_labels((coral / "imagenet_labels.txt").read_bytes())
    rules = Preprocessing(height_px=size_px, width_px=size_px)
    with pytest.raises(BundleError, match="compiled for the Edge TPU and needs one") as caught:
        Classifier(model.read_bytes(), labels, rules)
    assert len(str(caught.value).splitlines()) == 1
