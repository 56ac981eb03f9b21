"""What `python -m train data` promises of films in class folders."""

import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from device.contract.look.rules import Region
from device.contract.provenance import OTHER
from device.workstation.cuts import read_cuts
from device.workstation.events.listed import read_occasions
from device.workstation.training import CUTS, DATA, EVENTS, LEFT_OUT, SPLIT, STRANGERS, DataRecord
from device.workstation.unknown.listed import read_strangers
from tests.support.cli import only_error
from tests.support.film_files import write_film
from tests.support.films import Film, Visit
from tests.support.pictures import encoded, picture
from train.__main__ import main
from train.data.films import choosing
from train.data.split import Row, read_csv
from train.stamps import films_digest

SIZE = (192, 144)


def visit(number: int, *, seconds: float = 8) -> Film:
    """Somebody comes and goes, elsewhere each time; a place for every two films."""
    at = (0.3 + 0.13 * (number % 4), 0.5)
    seen = Visit(1.5, seconds - 1.5, 0.4, at, seed=number)
    return Film(seconds, visits=(seen,), seed=number // 2, fps=4, size_px=SIZE)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, four films of each."""
    folder = tmp_path_factory.mktemp("films") / "birds"
    for number in range(8):
        label = ("robin", "wren")[number % 2]
        write_film(folder / label / f"clip{number}.mp4", visit(number))
    return folder


@pytest.fixture
def folder(filmed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filmed, tmp_path / "birds"))


def run(folder: Path, out: Path, *more: str) -> Sequence[Row]:
    assert main(["data", "--data", str(folder), "--out", str(out), *more]) == 0
    return read_csv(out / SPLIT)


def test_a_folder_of_films_alone_is_split_and_each_film_is_one_event(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run(folder, tmp_path / "build")
    record = DataRecord.read(tmp_path / "build" / DATA)
    films = {row.path.rpartition("/")[0] for row in rows}
    assert len(films) == 8 and not [row for row in rows if row.part == LEFT_OUT]
    for film in films:
        events = {row.group for row in rows if row.path.startswith(film)}
        assert (folder / film).is_file() and len(events) == 1
    for row in rows:
        assert record.files.path(row.path).is_file()
    said = capsys.readouterr().out
    assert f"films: 8 films, each an event: {len(rows)} frames taken of 256 looked at" in said
    assert any(note.startswith("films: 8 films") for note in record.data.event_notes)


def test_a_film_that_shows_none_of_the_classes_changes_nothing_that_training_reads(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, film = tmp_path / "build", Path(shutil.move(folder / "wren" / "clip7.mp4", tmp_path))
    run(folder, out)
    before = {name: (out / name).read_bytes() for name in (SPLIT, DATA, EVENTS, CUTS)}
    (folder / OTHER).mkdir()
    shutil.move(film, folder / OTHER)
    run(folder, out)
    assert {name: (out / name).read_bytes() for name in before} == before
    found, files = read_strangers(out / STRANGERS), DataRecord.read(out / DATA).files
    assert found and len({one.event for one in found}) == 1
    for one in found:
        assert one.path.startswith(f"{OTHER}/clip7.mp4/") and files.path(one.path).is_file()
    assert sum(one.box is not None for one in found) > 0.9 * len(found)
    assert f"{OTHER}, films: 1 film, each an event" in capsys.readouterr().err


def test_frames_are_cut_where_something_was_seen(folder: Path, tmp_path: Path) -> None:
    rows = run(folder, tmp_path / "build")
    assert DataRecord.read(tmp_path / "build" / DATA).data.region is Region.CHANGE
    assert len(read_cuts(tmp_path / "build" / CUTS)) > 0.9 * len(rows)


def test_nothing_is_written_into_the_users_folder(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    run(folder, tmp_path / "build")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_films_are_read_once_and_again_when_they_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "build"
    first = run(folder, out)
    asked: list[object] = []
    real = choosing.choose

    def counted(*given: object) -> object:
        asked.append(given)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("train.data.films.kept.choose", counted)
    assert run(folder, out) == first and not asked
    write_film(folder / "robin/clip0.mp4", visit(30))
    assert run(folder, out) != first and len(asked) == 1
    next((out / "films/robin/clip2.mp4").glob("*.jpg")).write_bytes(b"damaged")
    run(folder, out)
    assert len(asked) == 2
    run(folder, out, "--film-fps", "2")
    assert len(asked) == 2 + 8


def test_frames_of_films_that_are_gone_and_what_a_kill_left_are_removed(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "build"
    run(folder, out)
    (out / "films/.part-killed").mkdir()
    (folder / "robin/clip0.mp4").unlink()
    assert not [row for row in run(folder, out) if row.path.startswith("robin/clip0")]
    assert not (out / "films/robin/clip0.mp4").exists()
    assert not list((out / "films").glob(".part-*"))


def test_the_stamp_of_frames_says_whether_one_was_removed_since(
    folder: Path, tmp_path: Path
) -> None:
    out, stamp = tmp_path / "build", tmp_path / "vars" / "photos"
    rows = run(folder, out, "--stamp", str(stamp))
    stamped = stamp.with_name("films").read_text()
    assert stamped == films_digest(str(out / "films"))
    DataRecord.read(out / DATA).files.path(rows[0].path).unlink()
    assert stamped != films_digest(str(out / "films"))
    assert run(folder, out, "--stamp", str(stamp)) == rows
    assert DataRecord.read(out / DATA).files.path(rows[0].path).is_file()


def test_an_interruption_leaves_no_half_film(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def interrupted(path: Path, data: bytes) -> int:
        if path.name.endswith("ms.jpg") and len(list(path.parent.iterdir())) == 2:
            raise KeyboardInterrupt
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        assert main(["data", "--data", str(folder), "--out", str(tmp_path / "build")]) == 130
    assert list((tmp_path / "build/films").iterdir()) == []
    assert run(folder, tmp_path / "build")


# --- films that cannot be used --------------------------------------------------------------------


def sound_alone(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_films_that_cannot_be_used_are_left_out_with_a_line_each(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = run(folder, tmp_path / "usual")
    (folder / "robin/empty.mp4").touch()
    (folder / "robin/no film.mkv").write_bytes(b"it was never a film" * 100)
    sound_alone(folder / "wren/song.mp4")
    os.link(folder / "wren/clip1.mp4", folder / "wren/photo.jpg")
    capsys.readouterr()
    rows = run(folder, tmp_path / "build")
    assert [row for row in rows if row.part != LEFT_OUT] == usual
    said = capsys.readouterr().out
    for line in (
        "left out: robin/empty.mp4: the file is empty",
        "left out: robin/no film.mkv: not a readable film: Invalid data",
        "left out: wren/song.mp4: a film without pictures: sound alone",
        "left out: wren/photo.jpg: a film, whatever its name says: give it a film's suffix",
    ):
        assert line in said


def test_a_class_of_nothing_but_damaged_films_stops_with_the_reason(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "owl").mkdir()
    (folder / "owl/clip.mov").write_bytes(b"something else")
    assert main(["data", "--data", str(folder), "--out", str(tmp_path / "build")]) == 1
    line = only_error(capsys.readouterr().err)
    assert "class 'owl' has 0 usable photos" in line
    assert "owl/clip.mov: not a readable film" in line


def test_one_film_in_two_classes_is_left_out_of_both(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folder / "robin/clip0.mp4", folder / "wren/same.mp4")
    rows = run(folder, tmp_path / "build")
    out = {row.path.rpartition("/")[0] for row in rows if row.part == LEFT_OUT}
    assert out == {"robin/clip0.mp4", "wren/same.mp4"}
    assert "the same bytes are in the classes robin, wren" in capsys.readouterr().out


def test_a_film_without_suffix_and_one_with_another_containers_are_films(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "robin/clip0.mp4").rename(folder / "robin/clip0")
    (folder / "robin/clip2.mp4").rename(folder / "robin/clip2.avi")
    films = {row.path.rpartition("/")[0] for row in run(folder, tmp_path / "build")}
    assert {"robin/clip0", "robin/clip2.avi"} < films


def test_a_film_and_a_photo_of_its_name_are_one_event(folder: Path, tmp_path: Path) -> None:
    (folder / "robin/clip0.jpg").write_bytes(encoded(picture(0, 1)))
    events = {row.path: row.group for row in run(folder, tmp_path / "build")}
    of_film = {event for path, event in events.items() if path.startswith("robin/clip0.mp4/")}
    # Telephones take both at once.
    assert of_film == {events["robin/clip0.jpg"]}


def test_films_in_no_class_folder_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "robin/clip0.mp4").rename(folder / "loose.mp4")
    run(folder, tmp_path / "build")
    assert "skipped, photos or films in no class folder: 1 (loose.mp4)" in capsys.readouterr().err


# --- what the user says ---------------------------------------------------------------------------


def test_a_list_of_events_may_name_a_film_for_all_its_frames(folder: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    with given.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["path", "event", "place"],
                ["robin/clip0.mp4", "same day", "gate"],
                ["robin/clip2.mp4", "same day", "gate"],
            ]
        )
    out = tmp_path / "build"
    run(folder, out, "--events", str(given))
    said = read_occasions(out / EVENTS)
    films = ("robin/clip0.mp4/", "robin/clip2.mp4/")
    assert len({each for path, each in said.items() if path.startswith(films)}) == 1
    assert {each.place for path, each in said.items() if path.startswith(films)} == {"gate"}


def test_with_places_by_folder_a_films_place_is_the_folder_that_it_is_in(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "robin/gate").mkdir()
    (folder / "robin/clip0.mp4").rename(folder / "robin/gate/clip0.mp4")
    out = tmp_path / "build"
    run(folder, out, "--place", "folder")
    places = {path.rpartition("/")[0]: o.place for path, o in read_occasions(out / EVENTS).items()}
    assert places["robin/gate/clip0.mp4"] == "gate" and places["robin/clip2.mp4"] == ""


@pytest.mark.parametrize("fps", ["0", "-1", "many", "nan", "1000"])
def test_a_rate_that_makes_no_sense_is_refused_in_a_line(
    fps: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["data", "--data", str(folder), "--out", str(tmp_path), f"--film-fps={fps}"]
    assert main(command) == 1
    assert f"FILM_FPS={fps}" in only_error(capsys.readouterr().err)
