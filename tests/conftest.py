"""Fixtures: reference material where it is, and a real bundle made in seconds without training."""

import hashlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from device.__main__ import main
from device.commit import UNKNOWN
from device.contract import bundle as contract
from device.inference.classifier import Classifier
from device.outputs.web.sink import Web
from device.settings import address
from device.settings.sections import WebConfig
from tests.support.cli import Call, Run
from tests.support.observations import Surroundings
from tests.support.peers.browser import driver
from tests.support.peers.film import Browsers, Film
from tests.support.pictures import LABELS, RULES, SIZE_PX, encoded, picture, write_video
from tests.support.places import ROOT
from tests.support.small_networks import fit_head, folded_weights

if TYPE_CHECKING:
    from convert.artifacts.training import LabelledPhoto, Training
    from convert.quantize.plan import Plan
    from tests.support.build_folder import Build
    from tests.support.workshop import Workshop

pytest.register_assert_rewrite("tests.support.mqtt_sinks")

# Run in the background of a script, a process ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, however slow the machine: a failure is the code's.
settings.register_profile("fieldguide", deadline=None, derandomize=True, database=None)
settings.load_profile("fieldguide")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ALPHA = 0.35
PHOTOS_PER_CLASS = {"train": 8, "val": 1, "test": 4}


@pytest.fixture(autouse=True)
def known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's settings hold is no secret in another's messages."""
    monkeypatch.setattr(address, "_secrets", address._Secrets())


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material beside the checkout, not part of it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no reference material: {folder} is not there")
    return folder


def _part_of(shared: Path, name: str) -> Path:
    folder = shared / name
    if not folder.is_dir():
        pytest.skip(f"no reference material: {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def coral(shared: Path) -> Path:
    """Coral's public models and pictures."""
    return _part_of(shared, "coral")


@pytest.fixture(scope="session")
def flowers(shared: Path) -> Path:
    """3,263 real photos of flowers in class folders."""
    return _part_of(shared, "flowers")


@pytest.fixture(scope="session")
def tiny_training(tmp_path_factory: pytest.TempPathFactory) -> "Training":
    """What training would leave, for seeded pictures of `pictures.LABELS`; without model.keras."""
    from convert.artifacts.training import REPORT, REPORT_PLACE, LabelledPhoto, Training

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "train").mkdir()
    (folder / "train" / REPORT).write_text("<html>" + "".join(REPORT_PLACE) + "</html>")
    data = folder / "data"
    photos: dict[str, tuple[LabelledPhoto, ...]] = {}
    for part, count in PHOTOS_PER_CLASS.items():
        photos[part] = tuple(
            _write_photo(data, part, label, index)
            for label in range(len(LABELS))
            for index in range(count)
        )
    count = sum(map(len, photos.values()))
    metrics: dict[str, Any] = {
        "data": {
            "name": "tiny",
            "description": f"{count} synthetic pictures in {len(LABELS)} classes",
            "kind": "photos",
            "fingerprint": hashlib.sha256(b"tiny").hexdigest(),
        },
        "config": {
            "architecture": {"name": "mobilenet_v2", "alpha": ALPHA, "size_px": SIZE_PX},
        },
        "calibration": {
            "temperature": 1.0,
            "test": {
                moment: {"log_loss": 0.5, "expected_calibration_error": 0.1}
                for moment in ("before", "after")
            },
        },
    }
    return Training(folder / "train", data, LABELS, RULES, photos, metrics)


def _write_photo(data: Path, part: str, label: int, index: int) -> "LabelledPhoto":
    from convert.artifacts.training import LabelledPhoto

    name = f"{LABELS[label]}/{part}_{index}.png"
    content = encoded(picture(label, 100 * len(part) + index))
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_bytes(content)
    return LabelledPhoto(name, label, hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="session")
def tiny_photos(tiny_training: "Training") -> list[Path]:
    """The photos of the tiny test part."""
    return [tiny_training.data_folder / photo.path for photo in tiny_training.photos["test"]]


@pytest.fixture(scope="session")
def tiny_network(tiny_training: "Training") -> Any:
    """A real classifier: random backbone, its head fitted on the tiny training part."""
    from train.network.backbone import Architecture, build, classifier

    weights = folded_weights(ALPHA, np.random.default_rng(0))
    backbone = build(Architecture(alpha=ALPHA, size_px=SIZE_PX), weights)
    network = classifier(backbone, len(LABELS))
    photos = tiny_training.photos["train"]
    features = backbone(np.stack([tiny_training.pixels(photo) for photo in photos])).numpy()
    head = fit_head(features.mean(axis=(1, 2)), [photo.label for photo in photos])
    network.get_layer("class_map").set_weights(head)
    return network


@pytest.fixture(scope="session")
def tiny_plan(tiny_network: Any, tiny_training: "Training") -> "Plan":
    """The tiny network's quantization, calibrated on its training part."""
    from convert.quantize.plan import make_plan

    photos = tiny_training.photos["train"]
    return make_plan(tiny_network, np.stack([tiny_training.pixels(photo) for photo in photos]))


@pytest.fixture(scope="session")
def tiny_models(tiny_network: Any, tiny_plan: "Plan") -> dict[str, bytes]:
    """The float32 and the int8 TFLite model of the tiny network, by file name."""
    from convert.artifacts.exported import FLOAT_MODEL
    from convert.quantize.export import float_model, int8_model
    from convert.tflite.metadata import Description, embed

    description = Description("tiny", "synthetic pictures", LABELS)
    return {
        FLOAT_MODEL: float_model(tiny_network),
        contract.MODEL: embed(int8_model(tiny_network, tiny_plan), description),
    }


@pytest.fixture(scope="session")
def tiny_bundle(
    tiny_network: Any, tiny_models: dict[str, bytes], tiny_training: "Training"
) -> Path:
    """A bundle folder of the tiny network, `bundle.tar` beside it; only to be read."""
    from functools import partial

    from convert.artifacts.exported import FLOAT_MODEL, Export
    from convert.config import Gate
    from convert.pack import bundle
    from convert.verify import comparison
    from convert.verify.confidence import measure_threshold

    float32, int8 = (
        Classifier(tiny_models[name], LABELS, RULES) for name in (FLOAT_MODEL, contract.MODEL)
    )
    photos = tiny_training.photos["test"]
    outputs = comparison.classify_all(
        np.array([photo.label for photo in photos], np.int64),
        [partial(tiny_training.pixels, photo) for photo in photos],
        lambda pixels: tiny_network(pixels)["probabilities"].numpy(),
        float32,
        int8,
    )
    verification = comparison.record(
        comparison.judge(LABELS, outputs, Gate()),
        tiny_models,
        tiny_training.metrics["data"]["description"],
        allow_regression=False,
    )
    verification["threshold"] = measure_threshold(0.25, outputs.truth, outputs.int8).record()
    exported = Export(
        tiny_models[FLOAT_MODEL],
        tiny_models[contract.MODEL],
        {},
        0,
        tiny_training.photos["train"],
        UNKNOWN,
    )
    files = bundle.build(bundle.Inputs(tiny_training, exported, verification, golden_photos=4))
    folder = tiny_training.folder.parent / "bundle"
    bundle.write_folder(folder, files)
    folder.with_name("bundle.tar").write_bytes(bundle.tar_bytes(files))
    return folder


@pytest.fixture(scope="session")
def tiny_classifier(tiny_bundle: Path) -> Classifier:
    """The classifier of the tiny bundle."""
    return Classifier.from_bundle(contract.load(tiny_bundle))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> "Build":
    """A real training on rendered pictures; only to be read."""
    from tests.support.build_folder import trained_build

    return trained_build(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> "Build":
    """The same with its bundle; only to be read."""
    from tests.support.build_folder import whole_build

    return whole_build(tmp_path_factory.getbasetemp())


@pytest.fixture
def workshop(tmp_path: Path) -> "Workshop":
    """The Makefile on a build folder of its own, with a stand-in for Python."""
    from tests.support.workshop import Workshop

    return Workshop(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Run the command line in this process; gives exit status, stdout and stderr."""
    log = logging.getLogger("fieldguide")
    before = log.handlers, log.propagate, log.level
    hooks = sys.excepthook, threading.excepthook

    def run(*arguments: str | Path) -> Run:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    yield run
    # A service's log goes to a stderr that ends with the test.
    log.handlers, log.propagate = before[:2]
    log.setLevel(before[2])
    sys.excepthook, threading.excepthook = hooks


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder: a red and a blue picture, in a subfolder a green one and a text, and no photos."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(encoded(picture(0, 1)))
    (folder / "z.JPG").write_bytes(encoded(picture(2, 1), "JPEG"))
    (folder / "sub" / "m.webp").write_bytes(encoded(picture(1, 1), "WEBP"))
    (folder / "sub" / "n.jpg").write_text("no photo")
    (folder / "notes.txt").write_text("no photo either, and not called one")
    (folder / ".hidden.png").write_bytes(encoded(picture(0, 2)))
    return folder


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.avi", "mpeg4")


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings()


@pytest.fixture
def page(surroundings: Surroundings) -> Iterator[Web]:
    page = Web(surroundings.context(web=WebConfig(enabled=True, port=0)))
    page.tick(surroundings.status())
    yield page
    page.close()


@pytest.fixture
def film(page: Web) -> Iterator[Film]:
    film = Film(page)
    film.show(0)
    yield film
    film.end()


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


@pytest.fixture(scope="module")
def browsers() -> Iterator[Browsers]:
    with driver() as address:
        browsers = Browsers(address)
        yield browsers
        browsers.close()
