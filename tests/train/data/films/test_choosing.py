"""What `train.data.films` promises of one film: which frames are taken, and where something is."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device.contract.arrays import Box, Pixels
from device.errors import PhotoError
from tests.support.film_files import MATRICES, turn, write_film, write_pictures
from tests.support.films import Film, Visit, shots
from tests.support.pictures import picture
from train.data.films import reading
from train.data.films.choosing import Choice, Kind, choose
from train.data.films.reading import Reader
from train.data.films.rules import FilmRules

SIZE = (192, 144)
FPS = 4.0


def film_of(seconds: float, *visits: Visit, seed: int = 1) -> Film:
    return Film(seconds, visits=visits, seed=seed, fps=FPS, size_px=SIZE)


def taken(film: Film, folder: Path, rules: FilmRules | None = None) -> Choice:
    path = write_film(folder / "film.mp4", film)
    return choose(Reader(path).shots, rules or FilmRules())


def overlap(box: Box, other: Box) -> float:
    """Of a square around a subject with what is known to be the subject: its share inside."""
    wide = min(box[2], other[2]) - max(box[0], other[0])
    high = min(box[3], other[3]) - max(box[1], other[1])
    area = (other[2] - other[0]) * (other[3] - other[1])
    return max(0, wide) * max(0, high) / area


def boxes_at(film: Film, at_ms: int) -> tuple[Box, ...]:
    return min(shots(film), key=lambda shot: abs(shot.at_ms - at_ms)).boxes


VISITS = {
    "who comes late": Visit(8, 15, 0.35),
    "who is there at first": Visit(-3, 8, 0.35),
    "who rests for most of it": Visit(1, 17, 0.35),
}


@pytest.mark.parametrize("visitor", VISITS)
def test_frames_are_taken_where_a_visitor_is(visitor: str, tmp_path: Path) -> None:
    film = film_of(20, VISITS[visitor])
    choice = taken(film, tmp_path)
    assert choice.kind is Kind.SEEN
    assert len(choice.frames) >= 5
    assert choice.nothing > 0
    for frame in choice.frames:
        (subject,) = boxes_at(film, frame.at_ms)
        assert frame.box is not None and overlap(frame.box, subject) > 0.8, frame


def test_at_most_so_many_frames_a_second_are_taken(tmp_path: Path) -> None:
    film = film_of(20, Visit(4, 18, 0.35))
    for fps in (0.5, 1.0, 2.0):
        times = [frame.at_ms for frame in taken(film, tmp_path, FilmRules(fps)).frames]
        assert np.diff(times).min() >= 1000 / fps
        assert len(times) >= 10 * fps


def test_of_a_long_visit_frames_from_beginning_to_end_are_taken_within_the_bound(
    tmp_path: Path,
) -> None:
    choice = taken(film_of(40, Visit(5, 38, 0.35)), tmp_path, FilmRules(most=8))
    times = [frame.at_ms for frame in choice.frames]
    assert 4 <= len(times) <= 8
    assert times[0] < 10_000 and times[-1] > 30_000


def test_of_a_film_in_which_nothing_moves_few_frames_are_taken_whole(tmp_path: Path) -> None:
    choice = taken(film_of(12), tmp_path)
    assert choice.kind is Kind.STILL
    assert len(choice.frames) == FilmRules().most_still
    assert all(frame.box is None for frame in choice.frames)
    assert choice.nothing == choice.looked_at == 48


def held_in_the_hand(frames: int) -> list[Pixels]:
    """Somebody walks: each picture shows another part of a large one, sharply."""
    large = np.random.default_rng(3).integers(0, 256, (40, 120, 3), np.uint8)
    large = large.repeat(12, axis=0).repeat(12, axis=1)
    return [large[3 * i : 3 * i + SIZE[1], 23 * i : 23 * i + SIZE[0]] for i in range(frames)]


def test_of_a_camera_in_the_hand_frames_are_taken_whole_at_a_fixed_rate(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "film.mp4", held_in_the_hand(48), fps=FPS)
    choice = choose(Reader(path).shots, FilmRules())
    assert choice.kind is Kind.HELD
    assert [frame.at_ms for frame in choice.frames] == [1000 * i for i in range(12)]
    assert all(frame.box is None for frame in choice.frames)


def test_of_a_film_too_short_for_a_background_frames_are_whole(tmp_path: Path) -> None:
    choice = taken(film_of(1.5, Visit(-3, 8, 0.35)), tmp_path)
    assert choice.kind is Kind.HELD and len(choice.frames) == 2


@pytest.mark.parametrize("name", MATRICES)
def test_frames_and_boxes_are_upright(name: str, tmp_path: Path) -> None:
    numbers, shown = MATRICES[name]
    path = turn(write_pictures(tmp_path / "film.mp4", [picture(0, 1, 128, 96)] * 12), numbers)
    (first, *_) = Reader(path).shots(1000)
    expected = np.ascontiguousarray(shown(picture(0, 1, 128, 96)))
    assert first.pixels.shape == expected.shape
    assert np.abs(first.pixels.astype(int) - expected).mean() < 12


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *(("mov", "mpeg4"), ("mkv", "libx264"), ("avi", "mjpeg"), ("3gp", "mpeg4")),
        *(("webm", "libvpx"), ("mjpeg", "mjpeg"), ("ts", "mpeg2video"), ("mpg", "mpeg2video")),
    ],
)
def test_containers_and_codecs_of_cameras_are_read(suffix: str, codec: str, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / f"film.{suffix}", [picture(0, 1, 128, 96)] * 50, codec, 25)
    times = [shot.at_ms for shot in Reader(path).shots(500)]
    assert len(times) in (4, 5) and times[0] == 0 and 1400 < times[-1] < 2200


@pytest.mark.parametrize("colour", [0, 127, 255])
def test_a_film_of_one_colour_is_refused(colour: int, tmp_path: Path) -> None:
    pictures = [np.full((96, 128, 3), colour, np.uint8)] * 30
    path = write_pictures(tmp_path / "film.mp4", pictures)
    with pytest.raises(PhotoError, match="one colour"):
        choose(Reader(path).shots, FilmRules())


def test_a_film_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", film_of(5), "libx264")
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    end = data.index(b"moov", start) - 4
    data[start:end] = np.random.default_rng(1).bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(PhotoError, match=r"damaged, or encrypted|not a readable film"):
        choose(Reader(path).shots, FilmRules())


def test_a_play_list_under_a_films_name_fetches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/film.ts\n")
    with pytest.raises(PhotoError, match="not a readable film"):
        choose(Reader(path).shots, FilmRules())


def test_what_a_recording_that_was_cut_short_holds_is_read(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.ts", film_of(20, Visit(4, 18, 0.35)), "mpeg2video")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    reader = Reader(path)
    choice = choose(reader.shots, FilmRules())
    assert choice.kind is Kind.SEEN and 0 < len(choice.frames) < 10


def test_damaged_pictures_cost_only_themselves(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "film.avi", [picture(0, 1, 128, 96)] * 40, "mjpeg", 4)
    data = bytearray(path.read_bytes())
    start = data.index(b"00dc", len(data) // 2)
    data[start + 8 : start + 900] = bytes(892)
    path.write_bytes(data)
    reader = Reader(path)
    assert 30 <= len(list(reader.shots(0))) < 40
    assert reader.damaged


@pytest.mark.parametrize(("most_bytes", "readings"), [(reading.MOST_KEPT_BYTES, 1), (2**20, 2)])
def test_a_short_film_is_decoded_once_and_a_large_one_gives_the_same_frames(
    most_bytes: int, readings: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, opened = film_of(20, Visit(8, 15, 0.35)), []
    usual = taken(film, tmp_path)
    pictures = Reader._pictures

    def counted(reader: Reader) -> Iterator[tuple[object, float]]:
        opened.append(reader)
        return pictures(reader)

    monkeypatch.setattr(reading, "MOST_KEPT_BYTES", most_bytes)
    monkeypatch.setattr(Reader, "_pictures", counted)
    assert taken(film, tmp_path) == usual
    assert len(opened) == readings
