"""What the service knows of its camera's place: kept over restarts, and limited by a mask."""

import logging
import signal
import threading
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.contract import bundle as contract
from device.contract.look.rules import LookRules, Region
from device.files import UNFINISHED
from device.inference import kept
from device.inference.classifier import Classifier
from device.inference.looking import Looking
from device.service import place_keeper
from device.service.place_keeper import PlaceKeeper
from device.settings.sections import CameraConfig, CollectConfig, Config, OutputConfig
from tests.device.service.scenes import Filmed, film_file
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.running_service import Running, running, settings
from tests.support.films import Film, Shot, Visit, shots
from tests.support.peers.cameras import mjpeg_camera
from tests.support.pictures import encoded
from tests.support.timing import Stopwatch, eventually

VISITED = Film(40, visits=(Visit(16, 30, 0.5),), fps=5)


@pytest.fixture(scope="module")
def visited() -> list[Shot]:
    return [*shots(VISITED)]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(output=OutputConfig(collect=CollectConfig(path=str(tmp_path / "collected"))))


@pytest.fixture
def looking(tiny_bundle: Path, visited: list[Shot]) -> Looking:
    """Knows the place."""
    loaded = replace(contract.load(tiny_bundle), region=Region.CHANGE)
    classifier, looking = Classifier.from_bundle(loaded), Looking()
    source = Filmed(visited[: 5 * 12])
    look = looking.through(source, CameraConfig)
    for frame in source.frames():
        look(frame, classifier)
    return looking


def test_the_background_is_kept_now_and_then_and_at_the_end(
    looking: Looking, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_keeper, "FIRST_S", 0.0)
    monkeypatch.setattr(place_keeper, "CHECK_S", 0.01)
    keeper, path = PlaceKeeper(looking, config), tmp_path / "background"
    eventually(path.exists)
    eventually(keeper.close)
    assert looking.known is not None
    place, backgrounds = looking.known
    np.testing.assert_array_equal(kept.read(path, place)[0].cells, backgrounds[0].cells)
    path.unlink()
    keeper = PlaceKeeper(looking, config)
    eventually(keeper.close)
    assert path.exists() and not [*tmp_path.glob(f"{UNFINISHED}*")]


def test_nothing_known_leaves_what_was_kept(config: Config, tmp_path: Path) -> None:
    (tmp_path / "background").write_bytes(b"old")
    PlaceKeeper(Looking(), config).close()
    assert (tmp_path / "background").read_bytes() == b"old"


def test_a_folder_that_cannot_be_written_is_one_line_in_the_log(
    looking: Looking, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collect = CollectConfig(path=str(tmp_path / "missing" / "collected"))
    keeper = PlaceKeeper(looking, Config(output=OutputConfig(collect=collect)))
    for _ in range(3):
        keeper._written = None
        keeper._keep()
    keeper.close()
    (said,) = [record.message for record in caplog.records]
    assert "cannot be kept" in said and "No such file" in said


def test_a_disk_that_hangs_keeps_nobody_waiting(
    looking: Looking, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(kept, "write", lambda *_: gate.wait())
    keeper = PlaceKeeper(looking, config)
    keeper.start_closing()
    watch = Stopwatch()
    assert not keeper.close() and watch.fair_s < 1
    gate.set()
    eventually(keeper.close)


def test_a_mask_is_noticed_when_it_is_drawn_and_when_it_goes(
    config: Config,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(place_keeper, "CHECK_S", 0.02)
    looking, path = Looking(), tmp_path / "mask.png"
    given: list[Image.Image | None] = []
    monkeypatch.setattr(looking, "use_mask", given.append)
    keeper = PlaceKeeper(looking, config)
    Image.new("L", (8, 6), 255).save(path)
    eventually(lambda: len(given) == 2)
    path.unlink()
    eventually(lambda: len(given) == 3)
    path.write_bytes(b"no picture")
    eventually(lambda: any("mask is not used" in r.message for r in caplog.records))
    keeper.close()
    assert [None if mask is None else mask.size for mask in given] == [None, (8, 6), None]


def test_a_mask_that_is_named_and_missing_is_one_line(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    named = replace(config, camera=CameraConfig(mask=str(tmp_path / "other.png")))
    PlaceKeeper(Looking(), named).close()
    (said,) = [record.message for record in caplog.records]
    assert "other.png: no such mask" in said


# --- the real service ----------------------------------------------------------------------------


@pytest.fixture
def looks(tiny_bundle: Path, tmp_path: Path) -> Path:
    files = resealed(read_folder(tiny_bundle), region=Region.CHANGE)
    return write_folder(tmp_path / "looks", files)


def text(bundle: Path, film: Path, folder: Path, more: str = "") -> str:
    # As fast as the film can be read, a busy machine would lose the lines of a whole visit.
    rest = f'[output.collect]\npath = "{folder}/collected"\n[inference]\nmax_fps = 50.0\n{more}'
    return settings(bundle, str(film), rest)


def seen(service: Running, first: int = 0, last: int = 10**9) -> set[str | None]:
    """What frames from `first` to `last` showed; lines that a busy machine lost are left out."""
    lines = [line for line in service.lines if "frame" in line]
    found = {line["seen"] for line in lines if first <= line["frame"] <= last}
    assert found, "no line is left"
    return found


def test_a_film_is_looked_at_and_a_restart_or_kill_in_mid_visit_learns_nothing_again(
    looks: Path, tmp_path: Path, visited: list[Shot]
) -> None:
    film = film_file(tmp_path / "film.mkv", visited, 5)
    with running(tmp_path, text(looks, film, tmp_path)) as service:
        assert service.wait() == 0
    assert seen(service, 0, 48) == {"learning"}
    assert seen(service, 90, 145) == {"something"}
    assert seen(service, 180) == {"nothing"} == {service.lines[-1]["label"]}
    said = "\n".join(service.log)
    assert "look: learning" in said and "look: on: the camera stands still" in said
    with running(tmp_path, text(looks, film, tmp_path)) as service:
        service.wait_for_lines(100)
        service.stop(signal.SIGKILL)
    assert seen(service) == {"nothing", "something"}
    with running(tmp_path, text(looks, film, tmp_path)) as service:
        assert service.wait() == 0
    assert seen(service) == {"nothing", "something"}
    assert "look: the background is known from before" in "\n".join(service.log)


def test_a_damaged_background_is_forgotten_and_said_once(
    looks: Path, tmp_path: Path, visited: list[Shot]
) -> None:
    film = film_file(tmp_path / "film.mkv", visited[:20], 5)
    (tmp_path / "background").write_bytes(b"{}\n")
    with running(tmp_path, text(looks, film, tmp_path)) as service:
        assert service.wait() == 0
    assert seen(service) == {"learning"}
    (said,) = [line for line in service.log if "learned again" in line]
    assert str(tmp_path / "background") in said


def test_a_bundle_trained_on_whole_pictures_is_refused_where_looks_are_demanded(
    tiny_bundle: Path, tmp_path: Path, visited: list[Shot]
) -> None:
    film = film_file(tmp_path / "film.mkv", visited[:20], 5)
    demanded = text(tiny_bundle, film, tmp_path).replace("[camera]", '[camera]\nlook = "change"')
    with running(tmp_path, demanded) as service:
        assert service.wait() == 1
    assert "trained on whole pictures" in service.log[-1]
    assert not service.lines and "Traceback" not in "\n".join(service.log)


def test_reloads_other_models_and_a_camera_that_comes_back_cost_no_learning(
    looks: Path, tmp_path: Path, visited: list[Shot]
) -> None:
    rules = LookRules(learn_ms=1500)
    sealed = {"look": rules.record(), "look_sha256": rules.sha256()}
    bundle = write_folder(tmp_path / "quick", resealed(read_folder(looks), **sealed))
    other = resealed(read_folder(looks), name="other", **sealed)
    pictures = cycle([encoded(shot.pixels, "JPEG", quality=95) for shot in visited[:20]])
    with mjpeg_camera(fps=10) as camera:
        camera.frame = lambda: next(pictures)
        with running(tmp_path, settings(bundle, camera.url)) as service:
            eventually(lambda: service.lines and service.lines[-1]["seen"] == "nothing", 30)
            known = len(service.lines)
            more = settings(bundle, camera.url).replace("[camera]", "[camera]\nabsorb_s = 60")
            service.reload(more)
            service.wait_for_log("settings reloaded")
            service.wait_for_lines(3)
            for name, data in other.items():
                (bundle / name).write_bytes(data)
            service.wait_for_log("model: other")
            service.wait_for_lines(3)
            camera.unplug()
            service.wait_for_log("trying again")
            camera.plug_in()
            service.wait_for_log("frames are back")
            service.wait_for_lines(8)
        assert {line["seen"] for line in service.lines[known:]} == {"nothing"}
        lines = service.lines
    assert max(line["frame"] for line in lines) == lines[-1]["frame"], "one count goes on"
