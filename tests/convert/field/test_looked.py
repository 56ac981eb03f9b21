"""Photos of devices that look before they classify are judged by what their model would see."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.field import looked
from convert.field.advice import advise
from convert.field.answers import Said, judged
from convert.field.figures import figures_of
from convert.field.photos import FieldPhoto
from convert.field.record import NOTHING_SEEN, FieldRecord, FieldVerdict
from convert.field.words import Judgement
from device.contract import bundle as contract
from device.contract.arrays import Box
from device.contract.look.rules import Region, Seen
from device.contract.photos import load_box
from device.contract.provenance import OTHER, Provenance
from device.inference.classifier import Classifier, Prediction
from device.inference.photos.standing import Sight
from tests.convert.field.fieldwork import PROMISE, provenance
from tests.convert.field.fieldwork import judged as answered
from tests.support import visited_places
from tests.support.builds.build_folder import convert
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.tiny_bundle import unpack

SEEN_BOX, CHOSEN_BOX = (10, 20, 60, 70), (24, 0, 168, 144)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def change(whole: Path) -> Path:
    files = resealed(read_folder(whole), region=Region.CHANGE.value)
    return write_folder(whole.parent / "change", files)


def photo(record: Provenance, path: str = "red/1.jpg") -> FieldPhoto:
    return FieldPhoto(Path("/nowhere") / path, path, path.partition("/")[0], path, record)


def taken(seen: str | None, box: Box | None, at_s: float = 0) -> Provenance:
    return replace(provenance(at_s), seen=seen, box=box)


@pytest.mark.parametrize(
    ("seen", "box", "if_whole", "if_change"),
    [
        ("something", SEEN_BOX, Sight(), Sight(Seen.SOMETHING, SEEN_BOX)),
        ("nothing", None, Sight(), Sight(Seen.NOTHING)),
        # One in a while is classified all the same, as a check.
        ("nothing", CHOSEN_BOX, Sight(), Sight(Seen.NOTHING)),
        ("learning", CHOSEN_BOX, Sight(), Sight(Seen.LEARNING, CHOSEN_BOX)),
        # A device that does not look, and perhaps classifies a part that its settings choose.
        (None, CHOSEN_BOX, Sight(None, CHOSEN_BOX), Sight(None, CHOSEN_BOX)),
        # An older photo is what the model saw.
        (None, None, Sight(), Sight()),
    ],
)
def test_what_the_device_wrote_into_a_photo_says_what_its_model_would_see(
    seen: str | None, box: Box | None, if_whole: Sight, if_change: Sight, whole: Path, change: Path
) -> None:
    shown = photo(taken(seen, box))
    for path, expected in ((whole, if_whole), (change, if_change)):
        assert looked.look([shown], [shown], contract.load(path)) == {shown.path: expected}


def test_photos_that_somebody_altered_are_told_in_one_line() -> None:
    kept = photo(taken("something", SEEN_BOX))
    other = photo(replace(taken(None, None), altered=True))
    assert looked.altered([kept, photo(taken(None, None))]) == []
    (line,) = looked.altered([kept, other, other])
    assert line.startswith("2 photos turned, cut or resized since a device saved them")


def camera(folder: Path, seen: str | None = None) -> Path:
    """Visits to a place of a device that did not look, or noted what it saw, and empty frames."""
    for number in range(14):
        visited = number < 12
        shown = visited_places.frame(1, number, visited=visited)
        path = folder / ("red" if visited else OTHER) / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = taken(seen, None, 3600.0 * number)
        shown.image.save(path, quality=95, exif=record.exif("Fieldguide test"))
    return folder


def field(data: Path, bundle: Path) -> FieldRecord:
    out = data.parent / "out"
    options = ("--bundle", bundle, "--training", data.parent / "train", "--out", out)
    status, _, err = convert("field", "--data", data, *options)
    assert status == 0, err
    return FieldRecord.read(out / "field.json")


def test_photos_of_a_device_that_did_not_look_are_looked_at_here(
    change: Path, tmp_path: Path
) -> None:
    data = camera(tmp_path / "photos")
    found = field(data, change)
    classifier = Classifier.from_bundle(contract.load(change))
    assert {each.seen for each in found.photos if each.known} == {Seen.SOMETHING}
    for each in found.photos:
        if each.box:
            content = (data / each.path).read_bytes()
            said = classifier.classify(load_box(content, each.box, classifier.preprocessing))
            assert (each.predicted, each.score) == (said.label, round(said.score, 6))
    others = [each for each in found.photos if not each.known]
    assert {(each.seen, each.box, each.predicted) for each in others} == {
        (Seen.NOTHING, None, NOTHING_SEEN)
    }
    assert all(each.right for each in others), "nothing is there, and nothing is what it says"
    assert (
        "12 of 14 photos cut to what differs from their place; 2 show nothing new, which counts as "
        '"unknown"; 0 whole'
    ) in found.notes


def test_a_bundle_of_whole_pictures_is_judged_by_whole_pictures(
    whole: Path, tmp_path: Path
) -> None:
    found = field(camera(tmp_path / "photos"), whole)
    assert {(each.seen, each.box) for each in found.photos} == {(None, None)}
    assert not any("cut to" in line for line in found.notes)


def test_where_the_device_saw_nothing_a_known_class_is_missed(change: Path, tmp_path: Path) -> None:
    data = camera(tmp_path / "photos", seen="nothing")
    found = field(data, change)
    assert {each.predicted for each in found.photos} == {NOTHING_SEEN}
    assert found.figures.right is not None and found.figures.right.value == 0
    assert found.figures.unknown is not None and found.figures.unknown.value == 1
    page = (tmp_path / "out" / "field.html").read_text("utf-8")
    assert re.search("<b>nothing seen</b>", page) and "red is not seen in 100%" in page


def test_a_class_that_is_called_nothing_seen_is_not_right_where_nothing_was_seen() -> None:
    record = provenance()
    shown = FieldPhoto(Path("a"), "nothing seen/a", NOTHING_SEEN, "a", record)
    prediction = Prediction((NOTHING_SEEN, "b"), np.array([0.9, 0.1], np.float32))
    said = Said(prediction, Sight(Seen.NOTHING))
    assert not judged(shown, "event", said, set()).right
    assert judged(shown, "event", Said(prediction, Sight()), set()).right


def test_what_is_not_seen_needs_another_remedy_than_what_is_confused() -> None:
    missed = [
        replace(answered(i, right=False), predicted=NOTHING_SEEN, seen=Seen.NOTHING)
        for i in range(4)
    ]
    confused = [answered(10 + i, right=False) for i in range(4)]
    judgement = Judgement(FieldVerdict.LOWER, None, "")
    lines = advise(judgement, PROMISE, figures_of(missed + confused), missed + confused)
    assert any(line.startswith("red is not seen in 50%") for line in lines)
    assert any(line.startswith("red is taken for blue in 50%") for line in lines)
    assert not any("taken for nothing" in line for line in lines)


def test_the_page_draws_a_line_around_what_the_model_was_shown(
    change: Path, whole: Path, tmp_path: Path
) -> None:
    """The place and its visitor have no white."""
    white = []
    for number, bundle in enumerate((change, whole)):
        data = camera(tmp_path / str(number) / "photos")
        (data / "red").rename(data / "green")
        found = field(data, bundle)
        assert any(not each.right and each.known for each in found.photos)
        page = (data.parent / "out" / "field.html").read_text("utf-8")
        pictures = map(base64.b64decode, re.findall('data:image/jpeg;base64,([^"]+)', page))
        shown = [np.asarray(Image.open(io.BytesIO(each))) for each in pictures]
        white.append(sum(int((each.min(axis=2) > 200).sum()) for each in shown))
    assert white[0] > 100 and white[1] == 0
