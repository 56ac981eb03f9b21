"""Fixtures that need no TensorFlow: reference material where it is, a small bundle, cameras."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from device.__main__ import main
from device.contract import bundle as contract
from device.inference.classifier import Classifier
from device.outputs.web.sink import Web
from device.settings import address
from device.settings.sections import CollectConfig, VisitsConfig, WebConfig
from tests.support.builds.tiny_photos import photos_of, write
from tests.support.cli import Call, Run
from tests.support.device.observations import Surroundings
from tests.support.device.serving import served
from tests.support.device.tiny_bundle import unpack
from tests.support.peers.browser import driver
from tests.support.peers.film import Browsers, Film
from tests.support.pictures import encoded, picture, write_video
from tests.support.places import ROOT

pytest.register_assert_rewrite("tests.support.device.mqtt_sinks")

# Run in the background of a script, a process ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, however slow the machine: a failure is the code's.
settings.register_profile("fieldguide", deadline=None, derandomize=True, database=None)
settings.load_profile("fieldguide")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


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
def tiny_photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The photos of the tiny test part."""
    folder = tmp_path_factory.mktemp("tiny_photos")
    return [write(photo, folder) for photo in photos_of("test")]


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder of the tiny network, `bundle.tar` beside it; only to be read."""
    return unpack(tmp_path_factory.mktemp("tiny_bundle"))


@pytest.fixture(scope="session")
def tiny_classifier(tiny_bundle: Path) -> Classifier:
    """The classifier of the tiny bundle."""
    return Classifier.from_bundle(contract.load(tiny_bundle))


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
def about_noon() -> Iterator[None]:
    """A time zone in which it is noon: what a test reads of "today" is of one local day."""
    hours_east = 12 - datetime.now(UTC).hour
    with pytest.MonkeyPatch.context() as patch:
        # POSIX counts hours to the west of Greenwich.
        patch.setenv("TZ", f"<noon>{-hours_east:+d}")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.avi", "mpeg4")


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings()


@pytest.fixture
def page(surroundings: Surroundings, tmp_path: Path) -> Iterator[Web]:
    collect = CollectConfig(path=str(tmp_path / "collected"))
    visits = VisitsConfig(path=str(tmp_path / "visits"))
    web = WebConfig(enabled=True, port=0)
    context = surroundings.context(visits=visits, web=web, collect=collect)
    with served(Web(context), surroundings) as page:
        yield page


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
