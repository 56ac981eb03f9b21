"""Which photos judge: those of random moments alone, and each other one is told with its reason."""

from pathlib import Path

import pytest

from convert.errors import InputError
from convert.field import photos
from convert.field.photos import left_out, list_photos, missing_ones, read_photos, reasons
from convert.field.record import LeftOut
from device.contract.provenance import RANDOM, Provenance
from device.outputs.collect import snapshot
from tests.convert.field.fieldwork import listed, provenance, save
from tests.support.device.observations import sight
from tests.support.pictures import LABELS


def reason(record: Provenance | None, folder: str = "red") -> str:
    return reasons([listed("a", record, folder=folder)], LABELS).get("a", "")


@pytest.mark.parametrize("folder", ["red", "_other"])
@pytest.mark.parametrize("probability", [1e-6, 0.5, 1.0])
def test_a_photo_of_a_random_moment_judges(folder: str, probability: float) -> None:
    assert reason(provenance(probability=probability), folder) == ""


@pytest.mark.parametrize("doubt", ["changed", "unknown", "uncertain", "world"])
@pytest.mark.parametrize("probability", [None, 0.5])
def test_a_doubtful_photo_never_judges_whatever_else_it_says(
    doubt: str, probability: float | None
) -> None:
    assert reason(provenance(reason=doubt, probability=probability)) == photos.DOUBTFUL


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, photos.NO_RECORD),
        (provenance(reason="labelled"), photos.CHOSEN),
        (provenance(reason="of a later version"), photos.NOT_RANDOM),
        (provenance(probability=None), photos.NO_PROBABILITY),
        (provenance(probability=0.0), photos.ZERO),
        (provenance(probability=1e-310), photos.ZERO),
    ],
)
def test_each_kind_of_photo_that_cannot_judge_has_its_own_reason(
    record: Provenance | None, why: str
) -> None:
    assert reason(record) == why


@pytest.mark.parametrize("written", [None, 0.0, -0.1, 1.5, float("nan"), float("inf")])
def test_a_probability_that_is_none_is_found_in_the_file_itself(
    written: float | None, tmp_path: Path
) -> None:
    path = save(tmp_path, "red/a.jpg", provenance(probability=written))
    (found,) = read_photos(tmp_path, [path])
    why = photos.ZERO if written == 0 else photos.NO_PROBABILITY
    assert reasons([found], LABELS) == {"red/a.jpg": why}


@pytest.mark.parametrize(
    ("folder", "why"),
    [("", photos.LOOSE), ("_review", photos.UNSORTED), ("cat", photos.FOREIGN)],
)
def test_a_photo_that_nobody_sorted_into_a_class_does_not_judge(folder: str, why: str) -> None:
    assert reason(provenance(), folder) == why


def test_another_spelling_of_a_class_is_the_class() -> None:
    assert reason(provenance(), "Red") == ""


def test_of_copies_one_judges_and_none_if_their_folders_differ() -> None:
    twice = [listed("a", provenance(), sha256="1"), listed("b", provenance(), sha256="1")]
    assert reasons(twice, LABELS) == {"b": photos.COPY}
    split = [*twice, listed("c", provenance(), sha256="1", folder="_other")]
    assert reasons(split, LABELS) == dict.fromkeys("abc", photos.CONTRADICTORY)


def test_photos_that_are_left_out_are_counted_by_reason_and_named() -> None:
    why = {"a": "late", "b": "early", "c": "early", "d": "early", "e": "early"}
    most, other = left_out(why)
    assert most.line() == "early: 4 (b, c, d, ...)" and most.paths == ("b", "c", "d", "e")
    assert other.line() == "late: 1 (a)"
    assert LeftOut("late", 1, ("a\n\x1b[31m",)).line() == "late: 1 (a\\n\\x1b[31m)"


def test_random_photos_that_wait_to_be_sorted_are_a_warning_and_doubtful_ones_are_not() -> None:
    found = [
        listed("a", provenance(), folder="_review"),
        listed("b", provenance(reason="uncertain"), folder="_review"),
        listed("c", provenance(), folder="_other"),
    ]
    (line,) = missing_ones(found, reasons(found, LABELS))
    assert line.startswith("1 photo of random moments not sorted")
    assert missing_ones(found[1:], reasons(found[1:], LABELS)) == []


def test_what_is_no_photo_is_told(tmp_path: Path) -> None:
    save(tmp_path, "red/a.jpg", provenance())
    (tmp_path / "notes.txt").write_text("late in the day")
    (tmp_path / "red" / ".hidden.jpg").write_bytes(b"")
    found, lines = list_photos(tmp_path)
    assert [path.name for path in found] == ["a.jpg"]
    assert lines == ["hidden: 1 (red/.hidden.jpg)", "no photos: 1 (notes.txt)"]


@pytest.mark.parametrize("name", [".", "nowhere"])
def test_a_folder_without_photos_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sorted photos from devices"):
        list_photos(tmp_path / name)


def test_the_record_of_a_device_is_read_from_its_photo(tmp_path: Path) -> None:
    path = save(tmp_path, "green/sub/a.jpg", provenance(5, probability=0.25))
    (found,) = read_photos(tmp_path, [path])
    assert (found.path, found.folder, len(found.sha256)) == ("green/sub/a.jpg", "green", 64)
    assert found.record == provenance(5, probability=0.25)
    assert found.record is not None and found.record.reason == RANDOM


def test_what_the_collecting_output_saves_at_a_random_moment_judges(tmp_path: Path) -> None:
    for name, reason, probability in (("a", RANDOM, 1e-4), ("b", "uncertain", None)):
        path = tmp_path / "red" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(snapshot.shot(sight(0), 90).photo(reason, "red", probability))
    found = read_photos(tmp_path, sorted(tmp_path.rglob("*.jpg")))
    assert reasons(found, LABELS) == {"red/b.jpg": photos.DOUBTFUL}
    assert found[0].record is not None and found[0].record.probability == 1e-4
