"""Promises of the watch on bundles: whatever lies there for a while, a good one is taken."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from device.contract import bundle as contract
from device.errors import BundleError
from device.service import model_watcher
from device.service.model_watcher import ModelWatcher
from device.settings.sections import BundleConfig, Config
from device.telemetry.counters import Telemetry
from device.update import slots
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.timing import eventually


class Watch:
    """A watcher whose self-tests take no time and pass unless a test says otherwise."""

    def __init__(self, path: Path) -> None:
        self.taken: list[str] = []
        self.tried = 0
        self.problem = ""
        self.telemetry = Telemetry()
        self.labels = 0
        config = replace(Config(), bundle=BundleConfig(str(path), check_interval_s=0.05))
        self.faults: list[Exception] = []
        self.watcher = ModelWatcher(config, self.telemetry, self._accept, self.faults.append)

    def _accept(self, model: Any) -> None:
        self.taken.append(model.info.name)

    def load(self, bundle: contract.Bundle, _config: object, _demand: object) -> Any:
        self.tried += 1
        if self.problem:
            raise BundleError(self.problem)
        digest = bundle.manifest["files"][contract.MODEL]["sha256"]
        info = SimpleNamespace(
            name=bundle.name, sha256=digest, runtime="none", threads=1, checked_invoke_s=0.1
        )
        return SimpleNamespace(info=info, ahead=True)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Watch]]:
    watches: list[Watch] = []
    trial = SimpleNamespace(load=lambda *words: watches[-1].load(*words), stop=lambda: None)
    monkeypatch.setattr(model_watcher, "Trial", lambda: trial)
    monkeypatch.setattr(slots, "_tested", lambda *_: "not run here")

    def start(path: Path) -> Watch:
        started = Watch.__new__(Watch)
        watches.append(started)
        started.__init__(path)  # type: ignore[misc]
        eventually(lambda: bool(started.taken or started.faults))
        return started

    yield start
    for started in watches:
        started.watcher.stop()


@pytest.fixture
def other(tiny_bundle: Path, tmp_path: Path) -> Path:
    return write_folder(tmp_path / "other", resealed(read_folder(tiny_bundle), name="other"))


def two_links(link: Path) -> None:
    link.symlink_to("twin")
    link.with_name("twin").symlink_to(link.name)


Mishap = Callable[[Path], object]
MISHAPS: dict[str, Mishap] = {
    "a link to itself": lambda link: link.symlink_to(link.name),
    "two links to each other": two_links,
    "a link to nowhere": lambda link: link.symlink_to("nowhere"),
    "nothing": lambda _link: None,
    "an empty folder": lambda link: link.mkdir(),
    "a file of nothing": lambda link: link.touch(),
    "too long a name": lambda link: link.symlink_to("x" * 255 + "/" + "y" * 300),
}


@pytest.mark.parametrize("name", MISHAPS)
def test_a_good_bundle_is_taken_whatever_lay_there_before(
    name: str, watch: Callable[[Path], Watch], tiny_bundle: Path, other: Path, tmp_path: Path
) -> None:
    link = tmp_path / "bundle"
    link.symlink_to(tiny_bundle)
    watching = watch(link)
    link.unlink()
    MISHAPS[name](link)
    eventually(lambda: watching.telemetry.snapshot().model_problem != "")
    # Also after a look that finds the same again.
    watching.watcher.look()
    eventually(lambda: not watching.watcher._wake.is_set())
    shutil.rmtree(link) if link.is_dir() else link.unlink(missing_ok=True)
    link.symlink_to(other)
    eventually(lambda: watching.taken == ["tiny", "other"])
    assert watching.telemetry.snapshot().model_problem == ""


@pytest.mark.parametrize("name", MISHAPS)
def test_what_lies_there_at_the_start_is_one_clear_error(
    name: str, watch: Callable[[Path], Watch], tmp_path: Path
) -> None:
    MISHAPS[name](tmp_path / "bundle")
    (fault,) = watch(tmp_path / "bundle").faults
    assert isinstance(fault, BundleError) and str(tmp_path) in str(fault)


def test_a_bundle_refused_for_a_passing_reason_is_tried_again_by_time(
    watch: Callable[[Path], Watch],
    tiny_bundle: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_watcher, "RETRY_S", 0.2)
    watching = refusing(watch, tiny_bundle, other, tmp_path)
    eventually(lambda: watching.tried >= 4)
    assert watching.watcher._refused is not None
    assert watching.watcher._refused[1] >= 0.8, "a model that never passes is tried ever less often"
    watching.problem = ""
    eventually(lambda: watching.taken == ["tiny", "other"])


def test_a_bundle_refused_for_a_passing_reason_is_tried_again_when_asked(
    watch: Callable[[Path], Watch], tiny_bundle: Path, other: Path, tmp_path: Path
) -> None:
    watching = refusing(watch, tiny_bundle, other, tmp_path)
    watching.problem = ""
    watching.watcher.look()
    eventually(lambda: watching.taken == ["tiny", "other"])
    tried = watching.tried
    watching.watcher.look()
    eventually(lambda: not watching.watcher._wake.is_set())
    assert watching.tried == tried, "a bundle that runs is not loaded again"


def refusing(
    watch: Callable[[Path], Watch], tiny_bundle: Path, other: Path, tmp_path: Path
) -> Watch:
    """A watch on a link whose new bundle was just refused."""
    link = tmp_path / "bundle"
    link.symlink_to(tiny_bundle)
    watching = watch(link)
    watching.problem = "the self-test took longer than 60 s"
    link.unlink()
    link.symlink_to(other)
    eventually(lambda: watching.tried >= 2)
    return watching


# --- what has worked for a while ----------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path, tiny_bundle: Path, other: Path, watch: object) -> Path:
    """Slots with a bundle that is kept, and another on trial."""
    folder = tmp_path / "root"
    folder.mkdir()
    slots.install(tiny_bundle, folder)
    slots.install(other, folder, trial=True)
    return folder


def test_a_trial_that_worked_for_a_while_is_what_updates_go_back_to(
    root: Path, watch: Callable[[Path], Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_watcher, "CONFIRM_AFTER_S", 0.2)
    watching = watch(root / "current")
    labels(watching, model_watcher.FEWEST_LABELS)
    eventually(lambda: os.readlink(root / "confirmed") == "slots/b")
    # Until it has let go of the slots, too.
    eventually(lambda: watching.watcher._accepted is None)
    assert slots.revert(root) is None


@pytest.mark.parametrize("case", ["too short", "no labels", "refused meanwhile"])
def test_a_trial_that_did_not_is_not(
    case: str,
    root: Path,
    tiny_bundle: Path,
    watch: Callable[[Path], Watch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_watcher, "CONFIRM_AFTER_S", 0.0 if case == "no labels" else 1000.0)
    watching = watch(root / "current")
    if case == "refused meanwhile":
        watching.problem = "golden outputs differ"
        (root / "slots/b" / contract.LABELS).touch()
        eventually(lambda: watching.telemetry.snapshot().model_problem != "")
        monkeypatch.setattr(model_watcher, "CONFIRM_AFTER_S", 0.0)
    if case != "no labels":
        labels(watching, 100)
    looked = watching.watcher._wake
    for _ in range(3):
        watching.watcher.look()
        eventually(lambda: not looked.is_set())
    assert os.readlink(root / "confirmed") == "slots/a"
    assert slots.revert(root) is not None


def test_no_slots_are_made_where_a_bundle_is_merely_called_current(
    tmp_path: Path,
    tiny_bundle: Path,
    watch: Callable[[Path], Watch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_watcher, "CONFIRM_AFTER_S", 0.0)
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copytree(tiny_bundle, folder / "current")
    watching = watch(folder / "current")
    labels(watching, 100)
    watching.watcher._confirm()
    assert [path.name for path in folder.iterdir()] == ["current"]


def labels(watching: Watch, count: int) -> None:
    """As if so many frames had been classified."""
    for _ in range(count):
        watching.telemetry.inferred(
            SimpleNamespace(invoke_s=0.1, overhead_s=0.0, latency_s=0.1)  # type: ignore[arg-type]
        )
