"""What a reload promises: no service ends that was well, and nothing of the old source lives on."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from device.camera import pictures
from device.camera.source import open_source
from device.contract.arrays import Pixels
from device.contract.orientation import upright
from device.errors import CameraHangsError, SourceError
from device.service.events import Event, ModelPassed, SourceEnded
from device.service.supervisor import Service
from device.settings import sections
from device.settings.sections import CameraConfig
from tests.support.cli import PROCESS_LIMIT_S
from tests.support.device.running_service import running, settings
from tests.support.peers.cameras import FakePicamera2, MjpegCamera, jpeg, mjpeg_camera
from tests.support.peers.rtsp_camera import Habits, rtsp_camera
from tests.support.pictures import RULES, encoded, picture
from tests.support.places import ROOT
from tests.support.timing import eventually


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera() as server:
        yield server


class Held:
    """A service whose events the test handles one by one."""

    def __init__(self, folder: Path, text: str) -> None:
        self.path = folder / "fieldguide.toml"
        self.path.write_text(text)
        self.service = Service(self.path)

    def next(self, wanted: type[Event], within_s: float = 30) -> Event:
        """The next event of a kind; those before it are handled."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            try:
                event = self.service._events.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(event, wanted):
                return event
            assert self.service._handle(event)
        raise AssertionError(f"no {wanted}")

    def start(self) -> None:
        self.service._handle(self.next(ModelPassed))

    def reload(self, text: str) -> None:
        self.path.write_text(text)
        self.service._reload()

    @property
    def status(self) -> Any:
        return self.service._telemetry.snapshot()


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Any]:
    held: list[Held] = []

    def start(text: str) -> Held:
        held.append(Held(tmp_path, text))
        held[-1].start()
        return held[-1]

    yield start
    for each in held:
        each.service._close()


def photos_in(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(encoded(picture(0, number), "JPEG"))
    return folder


# --- settings that cannot be taken ----------------------------------------------------------------


def test_a_source_that_cannot_be_looked_at_keeps_the_old_camera(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with running(tmp_path, settings(tiny_bundle, camera.url)) as service:
        service.wait_for_lines(2)
        for source, words in (("x" * 300, "File name too long"), (str(loop), "symbolic links")):
            service.reload(settings(tiny_bundle, source))
            service.wait_for_log(words)
            service.wait_for_lines(3)
        assert service.stop()[0] == 0
    assert sum("the old ones stay" in line for line in service.log) == 2


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "EIO")])
def test_whatever_the_system_says_of_a_source_is_one_line(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(SourceError, match=error.strerror):
        open_source(str(tmp_path), RULES)


def test_a_folder_that_may_not_be_listed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(SourceError, match=f"{tmp_path}: Permission denied"):
        open_source(str(tmp_path), RULES)


def test_a_subfolder_that_may_not_be_looked_into_is_told_and_costs_no_other_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photos_in(tmp_path / "photos", 2)
    closed = folder / "closed"
    closed.mkdir()
    whole = os.scandir

    def listed(path: Path) -> Any:
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(os, "scandir", listed)
    frames = list(open_source(str(folder), RULES).frames())
    assert [frame.name for frame in frames if frame.picture is not None] == [
        str(folder / "0.jpg"),
        str(folder / "1.jpg"),
    ]
    (told,) = (frame for frame in frames if frame.picture is None)
    assert (told.name, told.error) == (str(closed), "Permission denied")


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug\nof ours"), OSError(24, "Too many"), KeyError()]
)
def test_whatever_goes_wrong_in_a_reload_the_old_settings_stay(
    error: Exception, camera: MjpegCamera, tiny_bundle: Path, hold: Any, monkeypatch: Any
) -> None:
    held = hold(settings(tiny_bundle, camera.url))
    eventually(lambda: held.status.inferences_total > 2)

    def fail(*_: object) -> None:
        raise error

    def goes_on_from(seen: int) -> bool:
        return bool(held.status.inferences_total > seen + 2)

    for owner, name in ((sections, "load"), (held.service._sinks, "change")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            held.reload(settings(tiny_bundle, camera.url, "top_k = 1"))
        assert held.status.config_problem and "\n" not in held.status.config_problem
        eventually(partial(goes_on_from, held.status.inferences_total))


# --- what belongs to the source before ------------------------------------------------------------


def test_a_folder_that_ends_during_a_reload_does_not_end_the_camera_after_it(
    camera: MjpegCamera, tiny_bundle: Path, hold: Any, tmp_path: Path
) -> None:
    held = hold(settings(tiny_bundle, str(photos_in(tmp_path / "photos", 2))))
    late = held.next(SourceEnded)
    held.reload(settings(tiny_bundle, camera.url))
    assert held.service._handle(late), "it goes on"
    seen = held.status.inferences_total
    eventually(lambda: held.status.inferences_total > seen + 2)
    assert held.status.camera.state == "streaming"


def test_a_camera_s_fault_during_a_reload_does_not_end_the_camera_after_it(
    camera: MjpegCamera, tiny_bundle: Path, hold: Any
) -> None:
    held = hold(settings(tiny_bundle, camera.url))
    fault = CameraHangsError("the old one")
    late = SourceEnded(held.service._run_number, fault)
    with mjpeg_camera() as other:
        held.reload(settings(tiny_bundle, other.url))
        assert held.service._handle(late)
        with pytest.raises(CameraHangsError):
            held.service._handle(SourceEnded(held.service._run_number, fault))


@pytest.mark.slow
def test_a_camera_that_was_away_is_not_read_by_two_after_a_reload(
    camera: MjpegCamera, tiny_bundle: Path, hold: Any
) -> None:
    text = settings(tiny_bundle, camera.url).replace("longest_wait_s = 0.5", "longest_wait_s = 1")
    held = hold(text)
    eventually(lambda: held.status.inferences_total)
    camera.unplug()
    eventually(lambda: held.status.camera.state == "lost")
    # Until pauses are so long that the reload falls into one.
    time.sleep(2)
    connections = camera.connections
    camera.plug_in()
    held.reload(text.replace("stall_timeout_s = 1.0", "stall_timeout_s = 60"))
    eventually(lambda: held.status.camera.state == "streaming")
    time.sleep(1.5)
    assert camera.connections == connections + 1


def test_a_model_that_is_still_at_work_for_the_old_source_is_never_entered_by_another_thread(
    camera: MjpegCamera, tiny_bundle: Path, hold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold(settings(tiny_bundle, camera.url))
    classifier, inside, most = held.service._model.classifier, [], []
    invoke = classifier.invoke

    def slow() -> None:
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.7)
        invoke()
        inside.pop()

    monkeypatch.setattr(classifier, "invoke", slow)
    eventually(lambda: inside)
    seen = held.status.inferences_total
    held.reload(settings(tiny_bundle, camera.url).replace("stall_timeout_s = 1.0", "fps = 20"))
    eventually(lambda: held.status.inferences_total > seen + 2)
    assert max(most) == 1
    inference = held.service._inference
    assert inference is not None and inference.number == held.status.inferences_total


def test_an_old_camera_that_hangs_ends_the_service_for_a_new_process(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    """This process could never open it again, and would keep it from every other."""
    (tmp_path / "picamera2.py").write_text(
        "from tests.support.peers.cameras import FakePicamera2\n"
        "class Picamera2(FakePicamera2):\n"
        "    made = []\n"
        "    def stop(self): import threading; threading.Event().wait()\n"
    )
    path = f"{tmp_path}:{ROOT}"
    with running(tmp_path, settings(tiny_bundle, "picamera2"), PYTHONPATH=path) as service:
        service.wait_for_lines(3)
        service.reload(settings(tiny_bundle, camera.url))
        service.wait_for_log("settings reloaded")
        assert service.wait() == 1
    assert service.log[-1] == "error: camera: the previous camera hangs: a new process is needed"


def test_closed_cameras_that_are_slow_to_let_go_end_nothing(
    camera: MjpegCamera, tiny_bundle: Path, hold: Any
) -> None:
    held = hold(settings(tiny_bundle, camera.url))
    eventually(lambda: held.status.inferences_total)
    camera.frame = lambda: None
    for number in range(6):
        held.reload(
            settings(tiny_bundle, camera.url, f"top_k = {number + 1}").replace(
                "longest_wait_s = 0.5", f"longest_wait_s = {number + 1}"
            )
        )
        held.service._periodic_checks()
    camera.frame = lambda: jpeg(0)
    seen = held.status.inferences_total
    eventually(lambda: held.status.inferences_total > seen)
    eventually(lambda: not (held.service._periodic_checks() or held.service._leaving))


def test_a_csi_camera_whose_stop_fails_is_closed_all_the_same(monkeypatch: Any) -> None:
    from device.camera import picamera

    class Failing(FakePicamera2):
        made: "list[FakePicamera2]" = []  # noqa: RUF012
        closed = 0

        def stop(self) -> None:
            raise RuntimeError("no")

        def close(self) -> None:
            Failing.closed += 1

    monkeypatch.setattr(picamera, "_picamera2", lambda: Failing)
    frames = picamera.PiCamera(CameraConfig()).frames()
    next(frames)
    with pytest.raises(RuntimeError):
        frames.close()  # type: ignore[attr-defined]
    assert Failing.closed == 1


# --- the first moments ----------------------------------------------------------------------------


def test_a_reload_before_the_service_listens_does_not_end_it() -> None:
    program = """
import os, signal, sys
from device import __main__
from device.service import supervisor

class Starting:
    hangs = False
    def __init__(self, path):
        os.kill(os.getpid(), signal.SIGHUP)
    def run(self):
        return 0

supervisor.Service = Starting
sys.exit(__main__.main(["serve", "--config", "any.toml"]))
"""
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=ROOT, timeout=PROCESS_LIMIT_S, check=False)
    assert run.returncode == 0


# --- what the camera learns of the settings -------------------------------------------------------


@pytest.mark.slow
def test_a_stream_s_pictures_are_made_at_the_rate_of_the_settings_and_a_reload_changes_it(
    hold: Any, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(*given: Any) -> Pixels:
        made.append(1)
        return upright(*given)

    monkeypatch.setattr(pictures, "upright", counted)
    with rtsp_camera(Habits("libx264", fps=25)) as camera:
        seldom = settings(tiny_bundle, camera.url, "[inference]\nmax_fps = 0.05")
        seldom = seldom.replace("stall_timeout_s = 1.0", "stall_timeout_s = 60")
        held = hold(seldom)
        eventually(lambda: held.status.inferences_total == 1)
        before, frames = len(made), held.status.camera.frames_total
        eventually(lambda: held.status.camera.frames_total > frames + 100)
        assert len(made) - before < 10
        held.reload(seldom.replace("0.05", "100"))
        held.service._apply_heat_limit()
        before = len(made)
        eventually(lambda: len(made) > before + 50)
        assert held.status.camera.reconnects_total == 0


@pytest.mark.parametrize("other", ["another camera", "the same film with other settings"])
def test_the_old_source_has_stopped_before_what_it_showed_is_forgotten(
    other: str, tiny_bundle: Path, tmp_path: Path, hold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one more of its frames would count as the first of the next."""
    folder = photos_in(tmp_path / "photos", 3)
    held = hold(settings(tiny_bundle, str(folder)))
    order: list[str] = []

    def note(owner: Any, name: str) -> None:
        before = getattr(owner, name)

        def noted() -> Any:
            order.append(name)
            return before()

        monkeypatch.setattr(owner, name, noted)

    note(held.service._inference, "close")
    note(held.service._looking, "forget")
    note(held.service._visiting, "leave")
    if other == "another camera":
        held.reload(settings(tiny_bundle, str(photos_in(tmp_path / "others", 3))))
        assert order == ["close", "forget", "leave"]
    else:
        text = settings(tiny_bundle, str(folder))
        held.reload(text.replace("stall_timeout_s = 1.0", "stall_timeout_s = 3.0"))
        assert order == ["close", "leave"], "its clock begins again"
