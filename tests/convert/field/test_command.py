"""`python -m convert field`: a page, a record, a summary and an exit status; bad input is told."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from unittest import mock

import pytest

from convert.commands import field as command
from convert.field.record import FieldRecord, FieldVerdict
from device.contract import bundle as contract
from device.inference.classifier import Classifier
from tests.convert.field.fieldwork import provenance, save, sorted_photos
from tests.support.builds.build_folder import Done, convert
from tests.support.cli import assert_one_error_line
from tests.support.device.tiny_bundle import unpack
from tests.support.pictures import LABELS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("field_bundle"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return sorted_photos(tmp_path / "photos", per_class=8)


def judge(photos: Path, bundle: Path, *options: str | Path) -> Done:
    folders = ("--bundle", bundle, "--training", photos.parent / "train")
    return convert("field", "--data", photos, *folders, "--out", photos.parent / "out", *options)


def record(photos: Path) -> FieldRecord:
    return FieldRecord.read(photos.parent / "out" / "field.json")


@contextmanager
def promising(accuracy: float, interval: tuple[float, float]) -> Iterator[None]:
    """While the bundle's manifest promises this."""
    load = contract.load

    def changed(path: Path) -> contract.Bundle:
        loaded = load(path)
        claims = {**loaded.manifest["verification"]}
        claims |= {"int8_accuracy": accuracy, "int8_accuracy_interval": list(interval)}
        return replace(loaded, manifest={**loaded.manifest, "verification": claims})

    with mock.patch.object(contract, "load", changed):
        yield


def test_a_bundle_of_another_version_is_refused_before_photos_are_read(
    photos: Path, bundle: Path
) -> None:
    older = contract.load(bundle)
    claims = {**older.manifest["verification"]}
    del claims["gate_events"]
    older = replace(older, manifest={**older.manifest, "verification": claims})
    with (
        mock.patch.object(contract, "load", return_value=older),
        mock.patch("convert.field.photos.read_photos", side_effect=AssertionError),
    ):
        done = judge(photos, bundle)
    assert_one_error_line(done, "gate_events is missing")


def test_a_bundle_is_judged_by_the_code_of_the_device(photos: Path, bundle: Path) -> None:
    status, out, _ = judge(photos, bundle)
    found = record(photos)
    assert status == 0 and out.lstrip().startswith(found.verdict_line)
    assert "events on 1 day" in found.verdict_line or "events on 2 days" in found.verdict_line
    classifier = Classifier.from_bundle(contract.load(bundle))
    assert len(found.photos) == 8 * len(LABELS)
    for photo in found.photos:
        said = classifier.classify_file(photos / photo.path)
        assert (photo.predicted, photo.unknown) == (said.label, said.unknown)
        assert photo.score == pytest.approx(said.score, abs=1e-6)
    assert found.figures.right is not None
    assert found.figures.right.value == sum(photo.right for photo in found.photos) / len(
        found.photos
    )


def test_what_shows_no_class_is_right_if_it_is_called_unknown(photos: Path, bundle: Path) -> None:
    for number in range(5):
        save(photos, f"_other/{number}.jpg", provenance(1e6 + 1e4 * number), index=number)
    judge(photos, bundle)
    found = record(photos)
    assert found.figures.right is not None and found.figures.right.n == 8 * len(LABELS)
    assert found.figures.other_unknown is not None and found.figures.other_unknown.n == 5
    others = [photo for photo in found.photos if not photo.known]
    assert [photo.right for photo in others] == [photo.unknown for photo in others]


def test_a_name_for_what_shows_no_class_is_a_wrong_name(photos: Path, bundle: Path) -> None:
    for number in range(9):
        # Pictures of a class, so the bundle names them.
        save(photos, f"_other/{number}.jpg", provenance(1e6 + 1e4 * number), 1, 700 + number)
    judge(photos, bundle)
    found = record(photos)
    named = [photo for photo in found.photos if not photo.unknown]
    wrong = [photo for photo in named if photo.predicted != photo.label]
    assert len(wrong) >= 5 and found.figures.names_right is not None
    assert found.figures.names_right.n == len(named)
    assert found.figures.names_right.value == pytest.approx(1 - len(wrong) / len(named))


def test_each_photo_that_does_not_judge_is_told_once_with_its_reason(
    photos: Path, bundle: Path
) -> None:
    save(photos, "red/phone.jpg", None)
    save(photos, "red/doubt.jpg", provenance(reason="uncertain", probability=None), index=1)
    save(photos, "red/zero.jpg", provenance(probability=0.0), index=2)
    save(photos, "red/missing.jpg", provenance(probability=None), index=3)
    save(photos, "red/nan.jpg", provenance(probability=float("nan")), index=4)
    save(photos, "red/above.jpg", provenance(probability=1.5), index=5)
    cut = save(photos, "red/cut.jpg", provenance(9e5), index=6)
    cut.write_bytes(cut.read_bytes()[:1500])
    status, out, _ = judge(photos, bundle)
    assert status == 0
    lines = [line for line in out.splitlines() if line.startswith("left out, ")]
    named = [line[line.rindex("(") + 1 : -1] for line in lines]
    assert sorted(named) == [
        "red/above.jpg, red/missing.jpg, red/nan.jpg",
        "red/cut.jpg",
        "red/doubt.jpg",
        "red/phone.jpg",
        "red/zero.jpg",
    ]
    found = record(photos)
    left = {path for each in found.left_out for path in each.paths}
    everything = {p.relative_to(photos).as_posix() for p in photos.rglob("*.jpg")}
    assert left | {photo.path for photo in found.photos} == everything
    assert sum(each.n for each in found.left_out) + len(found.photos) == len(everything)


def test_doubtful_photos_change_no_figure(photos: Path, bundle: Path) -> None:
    judge(photos, bundle)
    before = record(photos)
    for number in range(20):
        doubt = provenance(2e6 + 1e4 * number, reason="unknown", probability=None)
        save(photos, f"red/doubt{number}.jpg", doubt, label=1, index=number)
    judge(photos, bundle)
    after = record(photos)
    assert after.left_out[0].n == 20
    assert replace(after, left_out=()) == before


@pytest.mark.parametrize("strict", [(), ("--strict",)])
def test_lower_than_promised_is_status_3_if_the_gate_is_strict(
    strict: tuple[str, ...], photos: Path, bundle: Path
) -> None:
    for number in range(24):
        save(photos, f"blue/wrong{number}.jpg", provenance(3e6 + 1e4 * number), 0, 900 + number)
    with promising(0.9, (0.87, 0.93)):
        status, _, err = judge(photos, bundle, *strict)
    found = record(photos)
    assert found.verdict is FieldVerdict.LOWER
    assert status == (3 if strict else 0)
    assert ("error: promised 87-93%, seen" in err) == bool(strict)


@pytest.mark.parametrize(("per_class", "verdict"), [(12, "as promised"), (2, "not enough events")])
def test_a_bundle_that_is_not_known_to_be_worse_passes_the_strict_gate(
    per_class: int, verdict: str, tmp_path: Path, bundle: Path
) -> None:
    photos = sorted_photos(tmp_path / "photos", per_class)
    with promising(0.9, (0.85, 0.93)):
        status, out, _ = judge(photos, bundle, "--strict")
    assert status == 0 and verdict in out.strip().splitlines()[0]


def test_without_a_photo_that_can_judge_there_is_one_line_and_no_page(
    tmp_path: Path, bundle: Path
) -> None:
    photos = tmp_path / "photos"
    for number in range(3):
        save(
            photos,
            f"red/{number}.jpg",
            provenance(reason="unknown", probability=None),
            index=number,
        )
    save(photos, "red/phone.jpg", None, index=9)
    status, out, err = judge(photos, bundle)
    line = err.strip().splitlines()[-1]
    assert (status, out) == (1, "")
    assert line.startswith("error: no photo is left that can judge the bundle: 3 saved because")
    assert "; 1 without the record" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words", "status"),
    [
        (("--data", ""), "DATA= is empty", 2),
        (("--data", "nowhere"), "no such folder", 1),
        (("--data", "s3://bucket/photos"), "no shards and no addresses", 1),
        (("--data", "~nobody-of-this-name/photos"), "no such folder", 1),
        (("--bundle", "nowhere"), "no such bundle", 1),
    ],
)
def test_what_is_not_there_is_one_line(
    options: tuple[str, str], words: str, status: int, photos: Path, bundle: Path
) -> None:
    assert_one_error_line(judge(photos, bundle, *options), words, status)


def test_ctrl_c_leaves_the_page_and_the_record_of_before(photos: Path, bundle: Path) -> None:
    judge(photos, bundle)
    out = photos.parent / "out"
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    save(photos, "red/more.jpg", provenance(4e6), index=77)
    with mock.patch.object(Classifier, "classify_file", side_effect=KeyboardInterrupt):
        status, _, err = judge(photos, bundle)
    assert status == 130 and err.strip().endswith("interrupted")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_same_photos_give_the_same_files(photos: Path, bundle: Path) -> None:
    judge(photos, bundle)
    out = photos.parent / "out"
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.rmtree(out)
    judge(photos, bundle)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_photos_of_a_clock_that_was_not_set_judge_and_are_told(photos: Path, bundle: Path) -> None:
    shutil.rmtree(photos)
    for number in range(6):
        early = replace(provenance(), time=f"1970-01-01T0{number}:00:00.000+00:00")
        save(photos, f"red/{number}.jpg", early, index=number)
    status, out, _ = judge(photos, bundle)
    assert status == 0 and "6 photos of devices whose clock was not set" in out
    assert "in 6 events: not enough events to tell" in record(photos).verdict_line
    assert [group.name for group in record(photos).figures.by_day] == ["clock not set"]


# --- the page -------------------------------------------------------------------------------------


def page(photos: Path) -> str:
    return (photos.parent / "out" / "field.html").read_text("utf-8")


def test_the_page_shows_the_wrong_ones_as_pictures_and_fetches_nothing(
    photos: Path, bundle: Path
) -> None:
    for number in range(3):
        save(photos, f"blue/wrong{number}.jpg", provenance(3e6 + 1e4 * number), 0, 900 + number)
    judge(photos, bundle)
    found = record(photos)
    wrong = [photo for photo in found.photos if not photo.right]
    html = page(photos)
    sources = re.findall(r'<img src="([^"]*)"', html)
    assert len(sources) == len(wrong) >= 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert all(photo.path in html for photo in wrong)
    assert "http" not in html.replace("http-equiv", "")


def test_the_page_says_what_was_left_out_and_what_to_do_next(photos: Path, bundle: Path) -> None:
    save(photos, "red/phone.jpg", None)
    judge(photos, bundle)
    text = " ".join(unescape(page(photos)).split())
    for each in record(photos).left_out:
        assert each.reason in text
    assert all(" ".join(line.split()) in text for line in record(photos).advice)


def test_names_on_the_page_are_escaped(photos: Path, bundle: Path) -> None:
    taken = provenance(5e6, device="<b>shed</b>")
    save(photos, "blue/<i>wrong.jpg", taken, 0, 950)
    judge(photos, bundle)
    html = page(photos)
    assert "<b>shed" not in html and "&lt;b&gt;shed" in html
    assert "<i>wrong" not in html


def test_the_record_is_read_back_as_it_was_written(photos: Path, bundle: Path) -> None:
    judge(photos, bundle)
    path = photos.parent / "out" / "field.json"
    assert FieldRecord.read(path).text() == path.read_text("utf-8")
    assert json.loads(path.read_text("utf-8"))["schema"] == FieldRecord.SCHEMA
    assert path.name == command.RECORD
