"""What the guard promises: a model or runtime that crashes or hangs costs a message, no service."""

import io
import logging
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.contract import bundle as contract
from device.contract.bundle import Bundle
from device.contract.runtimes import EDGETPU
from device.errors import BundleError, RuntimeUnavailableError, SelfTestError
from device.inference import trial
from device.inference.classifier import Classifier
from device.inference.runtime import Runtime, find
from device.inference.trial import Trial, candidates
from device.settings.sections import InferenceConfig
from tests.support.timing import Stopwatch, eventually, slowdown

QUICK = InferenceConfig(load_timeout_s=20)
CRASHES = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
HANGS = "import threading; threading.Event().wait()"


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return contract.load(tiny_bundle)


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a tflite-runtime is installed whose interpreter a test writes."""
    package, info = tmp_path / "tflite_runtime", tmp_path / "tflite_runtime-9.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tflite-runtime\nVersion: 9.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(trial, "FASTEST_FIRST", ("edgetpu", "tflite-runtime", "ai-edge-litert"))
    sys.modules.pop("tflite_runtime", None)
    return package / "interpreter.py"


def test_a_good_model_is_tested_timed_and_loaded(bundle: Bundle) -> None:
    model = Trial().load(bundle, QUICK)
    assert model.info.runtime == "ai-edge-litert" and model.info.labels == bundle.labels
    assert 1 <= model.info.threads <= len(os.sched_getaffinity(0))
    assert 0 < model.info.checked_invoke_s < slowdown()
    assert model.info.sha256 == bundle.manifest["files"][contract.MODEL]["sha256"]
    assert model.info.accuracy == bundle.accuracy and bundle.accuracy is not None
    assert model.info.score_offset == bundle.score_offset
    pixels = bundle.golden_arrays()["inputs"][0]
    expected = Classifier.from_bundle(bundle).classify(pixels).scores
    assert (model.classifier.classify(pixels).scores == expected).all()


def test_the_asked_number_of_threads_is_taken(bundle: Bundle) -> None:
    assert Trial().load(bundle, replace(QUICK, threads=2)).info.threads == 2


@pytest.mark.parametrize(
    ("poison", "words"),
    [
        (CRASHES, "crashed in its self-test (SIGSEGV)"),
        ("raise RuntimeError('built for\\nanother NumPy')", "built for"),
        ("import os; os._exit(7)", "status 7"),
        ("Interpreter = None", "cannot load the model"),
    ],
)
def test_a_runtime_that_fails_costs_a_message_and_the_next_one_runs(
    poison: str, words: str, bundle: Bundle, poisoned: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned.write_text(poison)
    with caplog.at_level(logging.WARNING, "fieldguide"):
        model = Trial().load(bundle, QUICK)
    assert model.info.runtime == "ai-edge-litert"
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("model: tflite-runtime: ") and words in message
    assert "\n" not in message


def test_a_runtime_that_hangs_is_given_up_after_the_time_limit(
    bundle: Bundle, poisoned: Path, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned.write_text(HANGS)
    watch = Stopwatch()
    with caplog.at_level(logging.WARNING, "fieldguide"), pytest.raises(SelfTestError) as error:
        Trial().check(bundle, "tflite-runtime", replace(QUICK, load_timeout_s=1.5))
    assert "longer than 1.5 s" in str(error.value)
    assert watch.fair_s < 5


def test_stopping_ends_the_child_that_runs(bundle: Bundle, poisoned: Path) -> None:
    poisoned.write_text(HANGS)
    watched = Trial()
    faults: list[Exception] = []

    def check() -> None:
        try:
            watched.check(bundle, "tflite-runtime", QUICK)
        except SelfTestError as error:
            faults.append(error)

    thread = threading.Thread(target=check, daemon=True)
    thread.start()
    eventually(lambda: watched._child is not None)
    watched.stop()
    thread.join(30)
    assert not thread.is_alive() and len(faults) == 1


def test_a_model_that_differs_from_its_golden_outputs_is_refused(bundle: Bundle) -> None:
    manifest = {**bundle.manifest, "tolerance": {}}
    arrays = bundle.golden_arrays()
    arrays["probabilities"][0, 0] ^= 3
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    forged = replace(bundle, manifest=manifest, golden=data.getvalue())
    with pytest.raises(BundleError, match="differs by"):
        Trial().load(forged, replace(QUICK, runtime="ai-edge-litert"))


def test_bytes_that_are_no_model_are_refused_with_a_reason(bundle: Bundle) -> None:
    for model in (b"", b"TFL3" * 100, bundle.model[: len(bundle.model) // 2]):
        with pytest.raises(BundleError, match="runs on no TFLite runtime here"):
            Trial().load(replace(bundle, model=model), replace(QUICK, runtime="ai-edge-litert"))


# --- Edge TPU -------------------------------------------------------------------------------------


def test_the_edge_tpu_is_tried_only_with_a_model_and_a_library_for_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model = replace(bundle, edgetpu_model=b"compiled")
    monkeypatch.setattr(trial, "is_installed", lambda name: name != EDGETPU)
    assert EDGETPU not in candidates(with_model, "auto")
    monkeypatch.setattr(trial, "is_installed", lambda name: True)
    assert EDGETPU not in candidates(bundle, "auto")
    assert next(candidates(with_model, "auto")) == EDGETPU
    assert next(candidates(bundle, "edgetpu")) == EDGETPU, "asked for: it says what is missing"


def test_without_an_edge_tpu_the_cpu_takes_over_with_a_message(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fieldguide"):
        model = Trial().load(replace(bundle, edgetpu_model=b"x"), replace(QUICK, runtime=EDGETPU))
    assert model.info.runtime == "ai-edge-litert"
    assert "libedgetpu.so.1 is not installed" in caplog.text


def test_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(
        RuntimeUnavailableError, match="install a libedgetpu that was built for this runtime"
    ):
        find(EDGETPU)


def test_the_edge_tpu_gets_its_own_model(bundle: Bundle) -> None:
    litert = find("ai-edge-litert")
    loaded: list[bytes] = []

    def interpreter(model_content: bytes, **options: object) -> object:
        loaded.append(model_content)
        return litert.interpreter(model_content=bundle.model, **options)

    tpu = Runtime(EDGETPU, "0", interpreter)
    Classifier.from_bundle(replace(bundle, edgetpu_model=b"compiled"), runtime=tpu)
    assert loaded == [b"compiled"]
    with pytest.raises(BundleError, match="no model for the Edge TPU"):
        Classifier.from_bundle(bundle, runtime=tpu)
