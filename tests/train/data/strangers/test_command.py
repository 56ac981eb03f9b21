"""Promises of `make data` about `_other`: no class, never lost, and no photo of a class moves."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from device.contract.provenance import OTHER, RANDOM, Provenance
from device.workstation.training import CUTS, DATA, EVENTS, LEFT_OUT, SPLIT, STRANGERS, Part
from device.workstation.unknown.listed import Stranger, read_strangers
from tests.support.cli import only_error
from tests.support.pictures import encoded
from tests.support.visited_places import frame
from tests.train.data.test_dataset import image, jpeg, two_classes, write
from train.__main__ import main
from train.data.record import MOST_LINES
from train.data.strangers.placing import CHOSEN, LEAST_EVENTS, TRAINED

OF_CLASSES = (SPLIT, DATA, EVENTS, CUTS)
SAVED = Provenance(
    "unknown", "moss", {"moss": 0.6, "fern": 0.4}, "2026-05-28T20:26:43.000+00:00", "garden",
    "ab" * 32, "camera#3",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "photos")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "build"


def run(folder: Path, out: Path, *more: str) -> dict[str, Stranger]:
    """The strangers by path."""
    assert main(["data", "--data", str(folder), "--out", str(out), *more]) == 0
    return {one.path: one for one in read_strangers(out / STRANGERS)}


def add(folder: Path, count: int, first: int = 5000) -> None:
    for number in range(count):
        write(folder / OTHER / f"{number}.jpg", jpeg(image(first + number)))


def saved(folder: Path, name: str, seed: int, record: Provenance) -> str:
    write(folder / OTHER / name, encoded(image(seed), "JPEG", exif=record.exif("test")))
    return f"{OTHER}/{name}"


def test_they_are_no_class_and_change_nothing_that_training_reads(folder: Path, out: Path) -> None:
    assert run(folder, out) == {}
    before = {name: (out / name).read_bytes() for name in OF_CLASSES}
    dates = [(out / name).stat().st_mtime_ns for name in OF_CLASSES]
    add(folder, 20)
    assert len(run(folder, out)) == 20
    assert {name: (out / name).read_bytes() for name in OF_CLASSES} == before
    assert [(out / name).stat().st_mtime_ns for name in OF_CLASSES] == dates


def test_an_event_teaches_or_judges(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, 40)
    for number in range(40):  # the same pictures again: 40 events of two photos
        write(folder / OTHER / "again" / f"{number}.jpg", jpeg(image(5000 + number), quality=60))
    found = run(folder, out).values()
    teach, judge = (
        {one.event for one in found if one.part == part} for part in (Part.TRAIN, Part.TEST)
    )
    assert len(found) == 80 and len(teach | judge) == 40 and not teach & judge
    assert 2 * len(judge) < len(teach) < 4 * len(judge)
    said = capsys.readouterr().out
    assert f"{OTHER}: {2 * len(teach)} photos in {len(teach)} events teach and" in said


def test_the_same_strangers_go_the_same_way_and_another_seed_another(
    folder: Path, out: Path, tmp_path: Path
) -> None:
    add(folder, 40)
    first = run(folder, out)
    assert run(folder, tmp_path / "again") == first
    assert run(folder, tmp_path / "other", "--seed", "1") != first


@pytest.mark.parametrize("count", [1, LEAST_EVENTS - 1])
def test_few_of_them_judge_and_none_teaches(
    folder: Path, out: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, count)
    assert {one.part for one in run(folder, out).values()} == {Part.TEST}
    said = capsys.readouterr().out
    judging = "1 photo judges" if count == 1 else f"{count} photos judge"
    assert f"{OTHER}: with fewer than {LEAST_EVENTS} events none teaches; {judging}" in said
    assert f"{OTHER}: their share has a wide interval" in said


def test_what_shows_a_photo_of_a_class_counts_for_the_class(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, 3)
    (folder / OTHER / "copy.jpg").write_bytes((folder / "moss" / "0.jpg").read_bytes())
    write(folder / OTHER / "alike.png", encoded(image(1).resize((200, 156))))
    found = run(folder, out)
    reasons = {
        "copy.jpg": "the same bytes as moss/0.jpg, which counts for its class",
        "alike.png": "nearly the same as fern/1.jpg, which counts for its class",
    }
    said = capsys.readouterr().out
    for name, reason in reasons.items():
        one = found[f"{OTHER}/{name}"]
        assert (one.part, one.reason) == (LEFT_OUT, reason)
        assert f"left out: {OTHER}/{name}: {reason}" in said
    rows = (out / SPLIT).read_text()
    assert "moss/0.jpg" in rows and LEFT_OUT not in rows and OTHER not in rows


def test_nothing_but_copies_of_class_photos_is_one_line_and_what_they_show(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = sorted(path.read_bytes() for path in folder.rglob("*.jpg"))
    for number, content in enumerate(2 * copied):
        write(folder / OTHER / f"{number}.jpg", content)
    assert {one.part for one in run(folder, out).values()} == {LEFT_OUT}
    said = capsys.readouterr().out.splitlines()
    count = 2 * len(copied)
    assert f"{OTHER}: {count} photos left out, so none teaches or judges" in said
    named = [line for line in said if line.startswith(f"left out: {OTHER}/")]
    assert len(named) == MOST_LINES
    assert said[-1] == f"... and {count - MOST_LINES} more, see {STRANGERS}"


def test_what_cannot_be_read_has_a_line(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, 1)
    write(folder / OTHER / "deep" / "broken.jpg", b"\xff\xd8\xff")
    write(folder / OTHER / "raw.NEF", b"II*")
    write(folder / OTHER / "notes.docx", b"PK")
    found = run(folder, out)
    captured = capsys.readouterr()
    for name in ("deep/broken.jpg", "raw.NEF"):
        assert found[f"{OTHER}/{name}"].part == LEFT_OUT
        assert f"left out: {OTHER}/{name}: " in captured.out
    assert f"skipped, no photos: 1 ({OTHER}/notes.docx)" in captured.err


def test_an_empty_folder_is_one_line(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / OTHER).mkdir()
    assert run(folder, out) == {}
    assert f"folders without photos or films: 1 ({OTHER})" in capsys.readouterr().err


def test_a_folder_of_nothing_else_has_no_classes(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path / "photos", 3)
    assert main(["data", "--data", str(tmp_path / "photos"), "--out", str(out)]) == 1
    assert "Expected one folder per class" in only_error(capsys.readouterr().err)


def test_another_spelling_is_the_same_folder_and_says_so(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "_Other" / "0.jpg", jpeg(image(5000)))
    assert [one.path for one in run(folder, out).values()] == ["_Other/0.jpg"]
    assert "'_Other' is read as '_other'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["other", "Others"])
def test_a_class_that_may_be_meant_for_them_is_a_class_and_has_a_line(
    folder: Path, out: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        write(folder / name / f"{number}.jpg", jpeg(image(5000 + number)))
    assert run(folder, out) == {}
    assert f"{name}/0.jpg,{name}," in (out / SPLIT).read_text()
    assert f"{name!r} is a class like any other" in capsys.readouterr().err


def test_photos_that_a_model_chose_teach_and_those_of_random_moments_may_judge(
    folder: Path, out: Path
) -> None:
    add(folder, 20)
    chosen = [saved(folder, f"c{n}.jpg", 6000 + n, SAVED) for n in range(10)]
    drawn = replace(SAVED, reason=RANDOM, probability=12 / 86400)
    random = [
        saved(folder, f"r{n}.jpg", 7000 + n, replace(drawn, time=f"2026-05-{n + 1:02}T01:00:00"))
        for n in range(20)
    ]
    found = run(folder, out)
    assert {found[path].part for path in chosen} == {Part.TRAIN}
    assert {found[path].part for path in random} == {Part.TRAIN, Part.TEST}


def test_too_few_of_them_leave_a_models_choice_out_with_a_line(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(folder, "c.jpg", 6000, SAVED)
    assert run(folder, out)[path].reason == CHOSEN
    assert f"left out: {path}: {CHOSEN}" in capsys.readouterr().out


def test_an_event_that_trained_the_network_does_not_judge_and_the_user_may_say_which(
    folder: Path, out: Path, tmp_path: Path
) -> None:
    add(folder, 4)
    trained = next(
        row.split(",")[0] for row in (run(folder, out), (out / SPLIT).read_text())[1].split("\n")
        if ",train," in row
    )  # fmt: skip
    lines = ["path,event,place", f"{trained},visit,", f"{OTHER}/0.jpg,visit,"]
    events = write(tmp_path / "events.csv", "\n".join(lines).encode())
    found = run(folder, out, "--events", str(events))
    assert found[f"{OTHER}/0.jpg"].reason == TRAINED
    assert found[f"{OTHER}/1.jpg"].part == Part.TEST


def test_a_list_that_names_a_stranger_that_is_not_there_is_refused(
    folder: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, 2)
    events = write(tmp_path / "events.csv", f"path,event,place\n{OTHER}/9.jpg,a,\n".encode())
    command = ["data", "--data", str(folder), "--out", str(out), "--events", str(events)]
    assert main(command) == 1
    assert f"{OTHER}/9.jpg" in only_error(capsys.readouterr().err)


def test_before_a_fixed_camera_they_are_cut_as_photos_are(tmp_path: Path, out: Path) -> None:
    folder, lines = tmp_path / "photos", ["path,event,place"]
    for place, label in enumerate(("robin", "wren")):
        for number in range(20):
            top = label if number < 16 else OTHER
            path = f"{top}/{label}{number}.png"
            write(folder / path, encoded(frame(place, number).image))
            lines.append(f"{path},{label}{number // 2},gate{place}")
    events = write(tmp_path / "events.csv", "\n".join(lines).encode())
    found = run(folder, out, "--events", str(events))
    assert len(found) == 8 and all(one.box for one in found.values())


def test_a_folder_that_cannot_be_read_is_one_line(
    folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, 1)
    (folder / OTHER).chmod(0)
    if os.access(folder / OTHER, os.R_OK):
        pytest.skip("this user may read everything")
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 1
    assert OTHER in only_error(capsys.readouterr().err)
