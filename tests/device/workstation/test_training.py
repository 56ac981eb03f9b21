"""The files of training come back as they were; a damaged or older one says what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from device.contract.preprocess import Preprocessing
from device.workstation.records import Record, RecordError
from device.workstation.training import (
    DATA,
    LABELS,
    METRICS,
    PREPROCESSING,
    TIMINGS,
    DataRecord,
    Metrics,
    PupilMetrics,
    Rules,
    Timings,
    read_labels,
    read_metrics,
    write_labels,
)
from tests.support.builds.training_records import data_set_of, metrics_of, pupil_metrics_of

LEARNED = ("daisy", "rose")
FINE_TUNED = metrics_of([[5, 1], [0, 6]], LEARNED)
RECORDS: dict[str, Record] = {
    DATA: DataRecord("/photos", None, None, data_set_of(LEARNED)),
    METRICS: FINE_TUNED,
    f"pupil/{METRICS}": pupil_metrics_of(FINE_TUNED),
    TIMINGS: Timings("abc1234", {"head": 1.5}, (2.0, 3.0), (4.0, 5.0), 900),
    PREPROCESSING: Rules(Preprocessing(96, 96)),
}
OLD: dict[str, dict[str, Any]] = {
    DATA: {"folder": "/photos", "kind": "photos", "name": "garden", "counts": {}},
    METRICS: {"data": {"name": "garden"}, "config": {}, "labels": ["daisy", "rose"]},
    f"pupil/{METRICS}": {"teacher": {"test": 0.9}, "labels": ["daisy", "rose"]},
    TIMINGS: {"seconds": {"head": 1.5}, "peak_memory_mib": 900},
    PREPROCESSING: {"height_px": 96, "width_px": 96, "crop": "centre"},
}
"""As they were before they had a schema."""


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    record, path = RECORDS[name], tmp_path / "record.json"
    record.write(path)
    assert type(record).read(path) == record


def test_metrics_are_of_the_network_that_wrote_them(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    for record in (RECORDS[METRICS], RECORDS[f"pupil/{METRICS}"]):
        record.write(path)
        assert read_metrics(path) == record
    assert isinstance(read_metrics(path), PupilMetrics)
    with pytest.raises(RecordError, match=r"damaged|made by another version"):
        Metrics.read(path)


@pytest.mark.parametrize("name", RECORDS)
def test_a_file_of_before_there_were_schemas_says_so(name: str, tmp_path: Path) -> None:
    path, cls = tmp_path / "record.json", type(RECORDS[name])
    path.write_text(json.dumps(OLD[name]))
    found = f"no schema, this one reads {cls.SCHEMA}"
    wanted = rf"another version \({found}\); remove it and run `{cls.MADE_BY}`"
    with pytest.raises(RecordError, match=wanted):
        cls.read(path)


@pytest.mark.parametrize("name", RECORDS)
def test_a_file_that_lacks_any_field_names_it(name: str, tmp_path: Path) -> None:
    record, path = RECORDS[name], tmp_path / "record.json"
    whole = json.loads(record.text())
    for key in whole.keys() - {"schema"}:
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != key}))
        with pytest.raises(RecordError, match=rf"damaged \({key} is missing\); remove it"):
            type(record).read(path)


def test_rules_that_this_version_does_not_follow_are_refused(tmp_path: Path) -> None:
    path = tmp_path / PREPROCESSING
    path.write_text(RECORDS[PREPROCESSING].text().replace("centre", "left"))
    with pytest.raises(RecordError, match=r"crop='left' is not known.*run `make train`"):
        Rules.read(path)


def test_labels_come_back_in_their_order(tmp_path: Path) -> None:
    write_labels(tmp_path / LABELS, ("tulip", "rose d'été"))
    assert read_labels(tmp_path / LABELS) == ("tulip", "rose d'été")


def test_labels_that_are_gone_or_no_text_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / LABELS
    with pytest.raises(RecordError, match=r"labels\.txt is missing; run `make train` first"):
        read_labels(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecordError, match=r"damaged .*run `make train`"):
        read_labels(path)
