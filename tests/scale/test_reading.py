"""Promises of reading photos and of features on a cluster: what one machine finds, to the bit."""

import pickle
import shutil
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from device.contract.preprocess import Preprocessing
from device.errors import ClusterError, FieldguideError
from device.workstation.engine import choice
from device.workstation.engine.local import Local
from device.workstation.engine.work import Advance, Engine, Work
from device.workstation.photo_files import PhotoFiles
from tests.scale.conftest import Nodes
from tests.train.data.shards.making import album, told, write_folder, write_parquet, write_tar
from tests.train.data.test_cutting import EVENTS, cuts_in, photos_at
from train.data.dataset import scan
from train.data.listed import load_listed
from train.data.photo import Photo
from train.data.shards.source import find_source
from train.data.shards.write import write_shards
from train.network.cache import cached
from train.network.frozen import Frozen, OfPicture

RULES = Preprocessing()
PER_CLASS = 40


def use(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(choice, "engine", lambda: engine)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two classes; one is damaged, and one is twice there."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label in ("daisy", "rose"):
        (folder / label).mkdir()
        for number in range(PER_CLASS):
            pixels = rng.integers(0, 256, (60, 80, 3), np.uint8)
            Image.fromarray(pixels).resize((320, 240)).save(folder / label / f"{number:03}.jpg")
    (folder / "rose" / "damaged.jpg").write_bytes((folder / "rose" / "001.jpg").read_bytes()[:900])
    shutil.copy(folder / "rose" / "002.jpg", folder / "rose" / "again.jpg")
    return folder


def test_photos_are_read_as_on_one_machine_and_a_damaged_one_is_named(
    nodes: Nodes, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Sequence[Photo]] = []
    for engine in (Local(), nodes.engine(tmp_path)):
        use(monkeypatch, engine)
        found.append(scan(photos, RULES))
    assert [pickle.dumps(photo) for photo in found[0]] == [pickle.dumps(p) for p in found[1]]
    problems = {photo.path.rpartition("/")[2]: photo.problem for photo in found[1] if photo.problem}
    assert list(problems) == ["damaged.jpg"]
    again = [photo.sha256 for photo in found[1] if photo.path.endswith(("002.jpg", "again.jpg"))]
    assert len(again) == 3 and len(set(again)) == 2


@pytest.mark.parametrize("form", ["tar shards", "Parquet"])
def test_shards_are_read_as_on_one_machine(
    form: str, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "birds", album())
    if form == "Parquet":
        data = write_parquet(tmp_path / "birds.parquet", album())
    else:
        write_shards(folder, data := tmp_path / "shards", 60_000)
    source = find_source(str(data), tmp_path, tmp_path / "out")
    use(monkeypatch, Local())
    expected = sorted(map(told, scan(folder, RULES)), key=repr)
    use(monkeypatch, nodes.engine(tmp_path / "store"))
    assert sorted(map(told, scan(source, RULES)), key=repr) == expected


def test_an_empty_shard_changes_nothing(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "birds", album())
    write_shards(folder, data := tmp_path / "shards", 60_000)
    use(monkeypatch, Local())
    source = find_source(str(data), tmp_path, tmp_path / "out")
    expected = list(map(told, scan(source, RULES)))
    write_tar(data / "empty.tar", {})
    found = []
    for engine in (Local(), nodes.engine(tmp_path / "store")):
        use(monkeypatch, engine)
        found.append(list(map(told, scan(source, RULES))))
    assert found == [expected, expected]


@pytest.mark.parametrize("engine_name", ["local", "ray"])
def test_a_shard_that_cannot_be_read_stops_the_work_with_its_name(
    engine_name: str, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "birds", album())
    write_shards(folder, data := tmp_path / "shards", 60_000)
    source = find_source(str(data), tmp_path, tmp_path / "out")
    last = sorted(data.glob("*.tar"))[-1]
    engine = nodes.engine(tmp_path / "store") if engine_name == "ray" else Local()

    class Lost:
        """The driver has listed the shards, and one is gone."""

        def run(self, work: Work[Any, Any], advance: Advance) -> Generator[Any, None, None]:
            last.rename(tmp_path / last.name)
            return engine.run(work, advance)

    use(monkeypatch, Lost())
    with pytest.raises(FieldguideError, match=last.name) as caught:
        scan(source, RULES)
    assert "\n" not in str(caught.value)
    (tmp_path / last.name).rename(last)
    use(monkeypatch, engine)
    assert len(scan(source, RULES)) == len(album())


def test_features_are_the_same_to_the_bit(
    nodes: Nodes, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(16, 3, strides=4), keras.layers.ReLU()]
    layers += [keras.layers.Conv2D(32, 3, strides=4), keras.layers.GlobalAveragePooling2D()]
    frozen = Frozen.of(keras.Sequential([keras.Input(RULES.shape), *layers]))
    use(monkeypatch, Local())
    good = [photo for photo in scan(photos, RULES) if not photo.problem]
    files = PhotoFiles(photos)
    pictures = [partial(load_listed, files, each.path, each.sha256, RULES) for each in good]
    made = []
    for name, engine in (("local", Local()), ("ray", nodes.engine(tmp_path / "store"))):
        use(monkeypatch, engine)
        path = tmp_path / name / "key.f16"
        cached(path, OfPicture(frozen), pictures, frozen.output_shape, "features")
        made.append(path.read_bytes())
    assert made[0] == made[1] and len(made[0]) == len(good) * 32 * 2


def test_photos_that_a_node_cannot_read_stop_the_work_in_one_line(
    nodes: Nodes, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "photos"
    shutil.copytree(photos, away)
    engine = nodes.engine(tmp_path / "store")

    class Unmounted:
        """The driver has listed the folder, and the nodes have none."""

        def run(self, work: Work[Any, Any], advance: Advance) -> Generator[Any, None, None]:
            away.rename(tmp_path / "elsewhere")
            return engine.run(work, advance)

    use(monkeypatch, Unmounted())
    with pytest.raises(ClusterError, match="at the same path on every node") as caught:
        scan(away, RULES)
    assert "\n" not in str(caught.value) and str(away) in str(caught.value)


@pytest.mark.slow
def test_what_stands_before_a_background_is_found_as_on_one_machine(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = photos_at(folder, {"lawn": EVENTS, "shed": EVENTS, "few": 1})
    found = []
    for engine in (Local(), nodes.engine(tmp_path / "store")):
        use(monkeypatch, engine)
        found.append(cuts_in(folder, rows))
    assert found[0] == found[1] and found[0].boxes
