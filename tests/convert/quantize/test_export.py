"""Promises of what export leaves: the files of one export, or a line that says they are not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifacts import exported
from convert.artifacts.exported import Export, read_export
from convert.artifacts.training import Training
from convert.errors import InputError
from device.errors import FieldguideError
from device.files import write_bytes
from device.workstation.conversion import CALIBRATION, EQUALIZATION, FLOAT_MODEL, INT8_MODEL
from device.workstation.conversion import STATISTICS as KNOWN
from device.workstation.records import RecordError
from device.workstation.training import Part
from tests.support.device.known import STATISTICS

FILES = (FLOAT_MODEL, EQUALIZATION, KNOWN, CALIBRATION, INT8_MODEL)


def export(training: Training, number: int) -> Export:
    scales = {"conv0": np.full(3, number, np.float32)}
    photos = training.photos[Part.TRAIN][: number + 1]
    models = b"float%d" % number, b"int8 %d" % number
    statistics = replace(STATISTICS, usual=STATISTICS.usual + number)
    return Export(*models, scales, statistics, number, photos, f"c{number}")


def told(export: Export) -> tuple[Any, ...]:
    scales = {name: array.tolist() for name, array in export.scales.items()}
    return export.models, scales, export.seed, list(export.photos), export.commit


def test_an_export_is_read_as_it_was_written(tiny_training: Training, tmp_path: Path) -> None:
    made = export(tiny_training, 1)
    made.write(tmp_path / "convert")
    assert told(read_export(tmp_path / "convert", tiny_training)) == told(made)


def test_an_export_is_the_same_bytes_in_whatever_order_layers_were_found(
    tiny_training: Training, tmp_path: Path
) -> None:
    scales = {name: np.full(3, number, np.float32) for number, name in enumerate("abc")}
    for folder, names in (("one", "abc"), ("other", "cab")):
        ordered = {name: scales[name] for name in names}
        replace(export(tiny_training, 1), scales=ordered).write(tmp_path / folder)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("written", range(len(FILES) + 1))
def test_an_export_that_is_cut_anywhere_is_never_taken_for_a_whole_one(
    tiny_training: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: int,
    first: bool,
) -> None:
    older, newer = (export(tiny_training, number) for number in (1, 2))
    if not first:
        older.write(tmp_path)
    left, write = [written], write_bytes

    def full(path: Path, data: bytes) -> None:
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        left[0] -= 1
        write(path, data)

    monkeypatch.setattr(exported, "write_bytes", full)
    if written < len(FILES):
        with pytest.raises(OSError, match="No space"):
            newer.write(tmp_path)
    else:
        newer.write(tmp_path)
    # make goes by the int8 model: where it is new, all is.
    assert (
        (tmp_path / INT8_MODEL).exists() and (tmp_path / INT8_MODEL).read_bytes() == b"int8 2"
    ) == (written == len(FILES))
    try:
        found = told(read_export(tmp_path, tiny_training))
    except FieldguideError as error:
        assert written < len(FILES) and "run `make convert`" in str(error)
    else:
        assert found in ([told(older), told(newer)] if not first else [told(newer)])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["removed", "of another export", "cut"])
def test_files_that_do_not_belong_together_are_named(
    tiny_training: Training, tmp_path: Path, name: str, damage: str
) -> None:
    export(tiny_training, 1).write(tmp_path / "a")
    export(tiny_training, 2).write(tmp_path / "b")
    path = tmp_path / "a" / name
    if damage == "removed":
        path.unlink()
    else:
        other = (tmp_path / "b" / name).read_bytes()
        path.write_bytes(other[: len(other) // (2 if damage == "cut" else 1)])
    with pytest.raises(FieldguideError, match="run `make convert`") as caught:
        read_export(tmp_path / "a", tiny_training)
    assert str(tmp_path / "a") in str(caught.value)


def test_calibration_photos_of_another_split_are_refused(
    tiny_training: Training, tmp_path: Path
) -> None:
    export(tiny_training, 3).write(tmp_path)
    first, *others = tiny_training.photos[Part.TRAIN]
    for photos in (others, [replace(first, sha256="0" * 64), *others]):
        split = replace(tiny_training, photos={**tiny_training.photos, Part.TRAIN: tuple(photos)})
        with pytest.raises(InputError, match="does not match the split"):
            read_export(tmp_path, split)


def test_an_export_of_another_version_says_what_makes_it_again(
    tiny_training: Training, tmp_path: Path
) -> None:
    export(tiny_training, 1).write(tmp_path)
    path = tmp_path / CALIBRATION
    table = json.loads(path.read_text())
    for schema in (None, 0, 99):
        path.write_text(json.dumps({**table, "schema": schema}))
        with pytest.raises(RecordError, match="another version") as caught:
            read_export(tmp_path, tiny_training)
        assert str(caught.value).endswith("remove it and run `make convert`")
