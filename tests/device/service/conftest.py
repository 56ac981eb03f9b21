"""A model, prepared ahead and in turn, and inference threads that end with the test."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.contract.look.rules import Region
from device.inference.trial import LoadedModel
from device.service.inference_thread import InferenceThread
from device.settings.sections import Config
from device.telemetry.counters import Telemetry
from tests.device.service.scenes import Collected, Fed, Start, model_of
from tests.support.device.bundle_files import read_folder, resealed, write_folder


@pytest.fixture(autouse=True)
def hangups() -> Iterator[None]:
    """SIGHUP as `python -m device serve` begins with it: a `Service` of this process takes it."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(params=[True, False], ids=["ahead", "in turn"])
def model(tiny_bundle: Path, request: pytest.FixtureRequest) -> LoadedModel:
    return model_of(tiny_bundle, ahead=request.param)


@pytest.fixture
def looks(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that was trained on boxes."""
    files = resealed(read_folder(tiny_bundle), region=Region.CHANGE)
    return write_folder(tmp_path / "looks", files)


@pytest.fixture
def start(model: LoadedModel) -> Iterator[Start]:
    threads: list[InferenceThread] = []

    def run(
        source: Any,
        config: Config | None = None,
        sink: Collected | None = None,
        model: LoadedModel = model,
    ) -> tuple[InferenceThread, Collected, Fed, list[Any]]:
        ends: list[Any] = []
        sink, fed = sink or Collected(), Fed()
        config = config or Config()
        config = replace(config, inference=replace(config.inference, max_fps=1000))
        arguments: Any = (source, model, config, lambda: (sink,), Telemetry(), fed, ends.append)
        threads.append(InferenceThread(*arguments))
        return threads[-1], sink, fed, ends

    yield run
    for thread in threads:
        thread.close()
