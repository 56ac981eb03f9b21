"""What `train.data.rendered` promises about the stand-in data set."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from device.errors import UsageError
from train.data import rendered
from train.data.rendered import CLASS_NAMES, MIN_SIZE_PX, NOTE_NAME, render_data_set, render_flower

Floats = npt.NDArray[np.float64]

SMALL_PX = 48
PER_CLASS = 60
FOLDS = 5


def files(folder: Path) -> dict[str, bytes]:
    """Relative path to content of every file below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def picture(class_name: str, *seed: int, size_px: int = SMALL_PX) -> Image.Image:
    return render_flower(class_name, np.random.default_rng(seed), size_px)


@pytest.fixture(scope="module")
def pixels() -> Floats:
    """Pictures of every class as (class, picture, 32, 32, 3) in 0..1."""

    def small(class_index: int, index: int) -> Image.Image:
        whole = picture(CLASS_NAMES[class_index], 0, class_index, index, size_px=96)
        return whole.resize((32, 32), Image.Resampling.BOX)

    grid = [[np.asarray(small(c, i)) for i in range(PER_CLASS)] for c in range(len(CLASS_NAMES))]
    return np.array(grid) / 255


def accuracy_of_ridge(features: Floats) -> float:
    """Cross-validated share that a linear ridge classifier gets right.

    Args:
        features: (class, picture, ...).
    """
    classes, count = features.shape[:2]
    label, fold = np.repeat(np.arange(classes), count), np.tile(np.arange(count) % FOLDS, classes)
    rows = features.reshape(classes * count, -1)
    rows = rows - rows.mean(axis=0)
    kernel = rows @ rows.T
    kernel /= np.trace(kernel) / len(rows)
    hits = 0
    for k in range(FOLDS):
        known, asked = fold != k, fold == k
        target = np.eye(classes)[label[known]] - 1 / classes
        weights = np.linalg.solve(kernel[np.ix_(known, known)] + np.eye(known.sum()), target)
        hits += int(
            (np.argmax(kernel[np.ix_(asked, known)] @ weights, axis=1) == label[asked]).sum()
        )
    return hits / len(rows)


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_same_seed_gives_the_same_pixels(class_name: str) -> None:
    assert picture(class_name, 3, 1).tobytes() == picture(class_name, 3, 1).tobytes()
    assert picture(class_name, 3, 1).tobytes() != picture(class_name, 3, 2).tobytes()


@settings(max_examples=40, deadline=None)
@given(
    class_name=st.sampled_from(CLASS_NAMES),
    seed=st.integers(0, 2**63),
    size_px=st.integers(MIN_SIZE_PX, 200),
)
def test_any_seed_and_size_give_a_picture_of_the_promised_shape(
    class_name: str, seed: int, size_px: int
) -> None:
    image = picture(class_name, seed, size_px=size_px)
    assert image.mode == "RGB"
    assert max(image.size) == size_px
    assert min(image.size) >= int(size_px * 7 / 8)
    assert np.asarray(image).std() > 2  # never an empty frame


def test_pictures_at_the_usual_size_leave_what_the_network_sees() -> None:
    sizes = {picture("tulip", i, size_px=256).size for i in range(12)}
    assert all(max(size) == 256 and min(size) >= 224 for size in sizes)
    assert len(sizes) > 3


@pytest.mark.parametrize(("class_name", "size_px"), [("orchid", 64), ("rose", MIN_SIZE_PX - 1)])
def test_unknown_class_and_tiny_size_are_refused(class_name: str, size_px: int) -> None:
    with pytest.raises(UsageError):
        picture(class_name, 0, size_px=size_px)


@pytest.mark.parametrize("wrong", [{"photos_per_class": 0}, {"seed": -1}, {"size_px": 8}])
def test_impossible_numbers_are_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, int]
) -> None:
    with pytest.raises(UsageError):
        render_data_set(tmp_path / "data", **wrong)
    assert not (tmp_path / "data").exists()


def test_the_folder_holds_one_subfolder_of_jpegs_per_class_and_the_note(tmp_path: Path) -> None:
    assert render_data_set(tmp_path, photos_per_class=2, seed=7, size_px=SMALL_PX) == 10
    expected = {f"{name}/{name}_{index:04d}.jpg" for name in CLASS_NAMES for index in range(2)}
    assert set(files(tmp_path)) == expected | {NOTE_NAME}
    for name in expected:
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.mode, max(image.size)) == ("JPEG", "RGB", SMALL_PX)


def test_the_note_says_rendered_and_names_seed_and_count(tmp_path: Path) -> None:
    render_data_set(tmp_path, photos_per_class=2, seed=7, size_px=SMALL_PX)
    note = (tmp_path / NOTE_NAME).read_text(encoding="utf-8")
    assert "not photos" in note
    assert "seed 7" in note
    assert "10 pictures" in note
    assert len(note.splitlines()) <= 2


def test_jpeg_quality_varies(tmp_path: Path) -> None:
    render_data_set(tmp_path, photos_per_class=3, size_px=SMALL_PX)
    tables = set()
    for path in tmp_path.glob("*/*.jpg"):
        with Image.open(path) as image:
            tables.add(str(image.quantization))  # type: ignore[attr-defined]
    assert len(tables) > 5


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    render_data_set(tmp_path / "few", photos_per_class=2, size_px=SMALL_PX)
    render_data_set(tmp_path / "more", photos_per_class=3, size_px=SMALL_PX)
    few, more = files(tmp_path / "few"), files(tmp_path / "more")
    assert all(more[name] == few[name] for name in few if name != NOTE_NAME)
    render_data_set(tmp_path / "few", photos_per_class=3, size_px=SMALL_PX)
    assert files(tmp_path / "few") == more


def test_another_seed_gives_other_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        render_data_set(tmp_path / str(seed), photos_per_class=1, seed=seed, size_px=SMALL_PX)
    first, second = files(tmp_path / "0"), files(tmp_path / "1")
    assert all(first[name] != second[name] for name in first)


@pytest.mark.parametrize("finished", [0, 1, 4])
def test_an_interrupted_rendering_resumes_to_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: int
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    render_data_set(whole, photos_per_class=2, size_px=SMALL_PX)
    save, calls = Image.Image.save, []

    def die_while_saving(image: Image.Image, path: Path, *args: Any, **options: Any) -> None:
        calls.append(path)
        if len(calls) > finished:
            path.write_bytes(b"half a pic")
            raise KeyboardInterrupt
        save(image, path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", die_while_saving)
        with pytest.raises(KeyboardInterrupt):
            render_data_set(broken, photos_per_class=2, size_px=SMALL_PX)
    assert len(list(broken.glob("*/*.jpg"))) == finished
    assert not (broken / NOTE_NAME).exists()
    assert render_data_set(broken, photos_per_class=2, size_px=SMALL_PX) == 10 - finished
    assert files(broken) == files(whole)


def test_pictures_already_there_are_not_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_data_set(tmp_path, photos_per_class=1, size_px=SMALL_PX)
    before = files(tmp_path)
    monkeypatch.setattr(rendered, "render_flower", None)
    assert render_data_set(tmp_path, photos_per_class=1, size_px=SMALL_PX) == 0
    assert files(tmp_path) == before


@pytest.mark.parametrize("other", [{"seed": 1}, {"size_px": SMALL_PX + 1}])
def test_two_seeds_or_sizes_are_not_mixed_in_one_folder(
    tmp_path: Path, other: dict[str, int]
) -> None:
    render_data_set(tmp_path, photos_per_class=1, seed=11, size_px=SMALL_PX)
    before = files(tmp_path)
    with pytest.raises(UsageError, match="another folder"):
        render_data_set(tmp_path, photos_per_class=2, **{"seed": 11, "size_px": SMALL_PX, **other})
    assert files(tmp_path) == before


def test_progress_is_shown_on_stderr_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render_data_set(tmp_path, photos_per_class=1, size_px=SMALL_PX)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Rendering" in shown.err


def test_a_linear_model_on_raw_pixels_stays_under_eighty_percent(pixels: Floats) -> None:
    # Ten points of margin, for 60 pictures per class teach less than the usual 200.
    assert accuracy_of_ridge(pixels) < 0.8 - 0.1


def test_the_linear_model_would_notice_a_set_that_colour_gives_away(pixels: Floats) -> None:
    # The control of the test above: the same pictures, each class under light of its own colour.
    light = np.random.default_rng(0).uniform(0.1, 1.0, (len(CLASS_NAMES), 1, 1, 1, 3))
    assert accuracy_of_ridge(pixels * light) > 0.8


def test_mean_colour_hardly_tells_the_class(pixels: Floats) -> None:
    assert accuracy_of_ridge(pixels.mean(axis=(2, 3))) < 0.5


@pytest.mark.parametrize("class_index", range(len(CLASS_NAMES)), ids=CLASS_NAMES)
def test_every_class_differs_from_picture_to_picture(pixels: Floats, class_index: int) -> None:
    # Correlation per colour channel of 16x16 thumbnails: from 0.94 the split takes two photos
    # for the same picture.
    small = pixels[class_index].reshape(PER_CLASS, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    small = small.reshape(PER_CLASS, -1, 3)
    small = (small - small.mean(axis=1, keepdims=True)).reshape(PER_CLASS, -1)
    likeness = np.corrcoef(small)[np.triu_indices(PER_CLASS, 1)]
    assert likeness.max() < 0.94
    assert np.median(likeness) < 0.4
