"""The bundle's watcher: no file system and no passing fault keeps it from the next bundle."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.contract import bundle as contract
from device.errors import BundleError
from device.inference.trial import LoadedModel, Trial
from device.service import model_watcher
from device.service.model_watcher import ModelWatcher, identity
from device.settings.sections import BundleConfig, Config, InferenceConfig
from device.telemetry.counters import Telemetry
from device.update import slots
from tests.support.device.bundle_files import read_folder, write_folder
from tests.support.device.thumbnails import with_thumbnails
from tests.support.timing import eventually


class Watch:
    """A watcher of one path, with what it found."""

    def __init__(self, path: Path) -> None:
        self.accepted: list[LoadedModel] = []
        self.refused: list[Exception] = []
        self.telemetry = Telemetry("none")
        config = Config(
            bundle=BundleConfig(path=str(path), check_interval_s=0.1),
            inference=InferenceConfig(threads=1),
        )
        self.watcher = ModelWatcher(
            config, self.telemetry, self.accepted.append, self.refused.append
        )


@pytest.fixture
def watch(tmp_path: Path, tiny_bundle: Path) -> Iterator[Watch]:
    """A watcher that has taken the bundle below `current`."""
    (tmp_path / "one").mkdir()
    shutil.copytree(tiny_bundle, tmp_path / "one/bundle")
    (tmp_path / "current").symlink_to("one/bundle")
    found = Watch(tmp_path / "current")
    eventually(lambda: len(found.accepted) == 1, 30)
    yield found
    found.watcher.stop()


def point(link: Path, target: str) -> None:
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


@pytest.mark.parametrize("target", ["current", "nowhere", "one/bundle/labels.txt/x"])
def test_a_link_that_leads_nowhere_is_told_and_the_next_bundle_is_taken(
    target: str, watch: Watch, tmp_path: Path, tiny_bundle: Path
) -> None:
    link = tmp_path / "current"
    assert identity(link)
    point(link, target)
    assert identity(link) == ()
    eventually(lambda: watch.telemetry.snapshot().model_problem != "", 20)
    shutil.copytree(tiny_bundle, tmp_path / "two")
    point(link, "two")
    eventually(lambda: len(watch.accepted) == 2, 30)


def test_damaged_thumbnails_are_one_line_of_the_log_and_the_model_runs(
    watch: Watch, tmp_path: Path, tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = with_thumbnails(read_folder(tiny_bundle))
    write_folder(tmp_path / "shows", whole)
    point(tmp_path / "current", "shows")
    eventually(lambda: len(watch.accepted) == 2, 30)
    assert watch.accepted[1].info.thumbnails is not None
    write_folder(tmp_path / "damaged", {**whole, contract.THUMBNAILS: b"damaged"})
    point(tmp_path / "current", "damaged")
    eventually(lambda: len(watch.accepted) == 3, 30)
    assert watch.accepted[2].info.thumbnails is None
    told = [entry.getMessage() for entry in caplog.records if "thumbnails" in entry.getMessage()]
    assert len(told) == 1 and len(told[0].splitlines()) == 1
    assert watch.telemetry.snapshot().model_problem == ""


@pytest.fixture
def busy(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes every self-test fail, or work again."""
    load = Trial.load

    def fails(*_: Any) -> LoadedModel:
        raise BundleError("the self-test took longer than 60 s")

    def switch(on: bool) -> None:
        monkeypatch.setattr(Trial, "load", fails if on else load)

    return switch


def refuse(watch: Watch, busy: Callable[[bool], None], path: Path) -> None:
    busy(True)
    (path / "MODEL_CARD.md").touch()
    eventually(lambda: watch.telemetry.snapshot().model_problem != "", 20)
    busy(False)


def test_a_bundle_that_was_refused_for_a_passing_reason_is_tried_again_when_asked(
    watch: Watch, busy: Callable[[bool], None], tmp_path: Path
) -> None:
    refuse(watch, busy, tmp_path / "one/bundle")
    time.sleep(0.5)
    assert len(watch.accepted) == 1, "not at once: the board may still be busy"
    watch.watcher.look()
    eventually(lambda: len(watch.accepted) == 2, 30)


def test_a_bundle_that_was_refused_is_tried_again_by_itself(
    watch: Watch,
    busy: Callable[[bool], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_watcher, "RETRY_S", 0.3)
    refuse(watch, busy, tmp_path / "one/bundle")
    eventually(lambda: len(watch.accepted) == 2, 30)


def test_a_bundle_at_work_is_confirmed_after_a_while_and_not_before_it_gave_labels(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_watcher, "CONFIRM_AFTER_S", 0.3)
    slots.install(tiny_bundle, tmp_path, trial=True)
    found = Watch(tmp_path / "current")
    try:
        eventually(lambda: len(found.accepted) == 1, 30)
        time.sleep(1)
        assert slots.named(tmp_path, slots.CONFIRMED) == ""
        snapshot = found.telemetry.snapshot
        monkeypatch.setattr(
            found.telemetry,
            "snapshot",
            lambda: replace(snapshot(), inferences_total=model_watcher.FEWEST_LABELS),
        )
        eventually(lambda: slots.named(tmp_path, slots.CONFIRMED) == "a", 20)
    finally:
        found.watcher.stop()
