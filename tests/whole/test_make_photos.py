"""Promises of make about photos: whatever is done to them, and wherever they are, it is noticed."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.builds.workshop import Workshop, makefiles
from tests.support.cli import only_error
from train import stamps
from train.stamps import CODE, ROOT, photos_digest

AN_HOUR_S = 3600
ODD_NAMES = (
    *("robin", "my birds", "blackbird (male)", "Turdus: merula", "a:b", "tits; all", "cat|dog"),
    *("x$y", "$(shell false)", "C# finch", "50% grey", "50%: sun", "~home", "wren?", "wild*"),
    *("owl [juvenile]", "a=b", "back\\slash", 'it\'s "q"', "`id`", "&co", "é", "-dash", "a,b"),
)


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def age(folder: Path) -> None:
    """All that is there was there an hour ago."""
    past = time.time() - AN_HOUR_S
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (past, past))


def birds(folder: Path) -> Path:
    """Photos in class folders of all names, and a link to a photo and to a folder elsewhere."""
    for name in ODD_NAMES:
        write(folder / name / "1.jpg", name[:1])
    write(folder / "robin/2024/05/01/am/deep.jpg")
    elsewhere = folder.with_name(f"{folder.name} elsewhere")
    write(elsewhere / "a.jpg", "a")
    write(elsewhere / "b.jpg", "b")
    write(elsewhere / "more" / "1.jpg")
    (folder / "robin" / "link.jpg").symlink_to(elsewhere / "a.jpg")
    (folder / "wren?" / "more").symlink_to(elsewhere / "more")
    (folder / "wren?" / "round").symlink_to(folder)
    age(elsewhere)
    age(folder)
    return folder


def add_with_old_times(folder: Path) -> None:
    """As `cp -a`, `rsync -a` and `tar x` do: the folder gets the time it had at the source."""
    before = (folder / "robin").stat().st_mtime
    write(folder / "robin" / "new.jpg")
    os.utime(folder / "robin" / "new.jpg", (before, before))
    os.utime(folder / "robin", (before, before))


def write_other_bytes(folder: Path) -> None:
    path = folder / "robin" / "1.jpg"
    before = path.stat().st_mtime
    path.write_text("y")
    os.utime(path, (before, before))


def swap_classes(folder: Path) -> None:
    for old, new in (("a:b", "between"), ("x$y", "a:b"), ("between", "x$y")):
        (folder / old).rename(folder / new)
    age(folder)


def exchange_all(folder: Path) -> None:
    other = folder.with_name("other")
    shutil.copytree(folder, other, symlinks=True)
    folder.rename(folder.with_name("old"))
    other.rename(folder)


def retarget(folder: Path) -> None:
    link = folder / "robin" / "link.jpg"
    target = link.readlink().with_name("b.jpg")
    link.unlink()
    link.symlink_to(target)
    age(folder)


CHANGES: dict[str, Callable[[Path], object]] = {
    "added": lambda f: write(f / "Turdus: merula" / "new.jpg"),
    "added deep": lambda f: write(f / "robin/2024/05/01/am/new.jpg"),
    "added with old times": add_with_old_times,
    "added behind a link": lambda f: write((f / "wren?" / "more").resolve() / "new.jpg"),
    "removed": lambda f: (f / "cat|dog" / "1.jpg").unlink(),
    "renamed": lambda f: (f / "C# finch" / "1.jpg").rename(f / "C# finch" / "2.jpg"),
    "moved to another class": lambda f: (f / "a=b" / "1.jpg").rename(f / "robin" / "0.jpg"),
    "other bytes, same size and time": write_other_bytes,
    "other bytes behind a link": lambda f: write((f / "robin" / "link.jpg").resolve(), "z"),
    "link to another photo": retarget,
    "classes swapped": swap_classes,
    "the whole folder exchanged": exchange_all,
    "a class more": lambda f: write(f / "eagle\nowl" / "1.jpg"),
    "a class fewer": lambda f: shutil.rmtree(f / "~home"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_photos_is_noticed(tmp_path: Path, change: str) -> None:
    folder = birds(tmp_path / "photos")
    before = photos_digest(str(folder))
    assert photos_digest(str(folder)) == before
    CHANGES[change](folder)
    assert photos_digest(str(folder)) != before


def test_make_scans_again_after_every_change_and_only_then(
    workshop: Workshop, tmp_path: Path
) -> None:
    folder = birds(tmp_path / "my birds (all): 100% $HOME")
    assert "train data" in workshop.make("data", f"DATA={folder}")
    assert workshop.make("data", f"DATA={folder}") == []
    for name, change in CHANGES.items():
        change(folder)
        assert workshop.make("data", f"DATA={folder}") == ["train data"], name
    assert workshop.make("data", f"DATA={folder}") == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_data_folder_of_any_name_is_taken_as_it_was_given(
    workshop: Workshop, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    write(folder / "robin" / "1.jpg")
    age(folder)
    seen = tmp_path / "seen"
    workshop.hook(f"if '--stamp' in given: Path({str(seen)!r}).write_text(data[0])")
    # From the sub-makes of a target, too, and from the environment.
    (workshop.build / "train").mkdir(parents=True)
    (workshop.build / "train" / "scanned").touch()
    assert workshop.make("data", f"DATA={folder}") == ["train data"]
    assert seen.read_text() == str(folder)
    workshop.environment["DATA"] = str(folder)
    assert workshop.make("data") == []
    write(folder / "robin" / "new.jpg")
    assert workshop.make("data") == ["train data"]
    assert seen.read_text() == str(folder)


def test_a_tilde_that_no_shell_saw_is_the_home_folder(workshop: Workshop, tmp_path: Path) -> None:
    write(tmp_path / "birds" / "robin" / "1.jpg")
    age(tmp_path / "birds")
    assert "train data" in workshop.make("data", "DATA=~/birds")
    assert workshop.make("data", "DATA=~/birds") == []
    write(tmp_path / "birds" / "robin" / "new.jpg")
    assert workshop.make("data", "DATA=~/birds") == ["train data"]


def project(workshop: Workshop, folder: Path) -> Path:
    """A copy of what make needs, with a store of photos of its own."""
    code = (each for step in ("code-data", "code-train", "code-convert") for each in CODE[step])
    # And what every make asks before its first step.
    for name in (*makefiles(), *code, "device/**/*.py"):
        for path in ROOT.glob(name):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for name in ("train/locks/workstation.txt", "train/locks/workstation-gpu.txt"):
        write(folder / name, "")
        os.utime(folder / name, (0, 0))
    workshop.root = folder
    return folder


def test_photos_that_nobody_named_are_watched_too(workshop: Workshop, tmp_path: Path) -> None:
    store = project(workshop, tmp_path / "a checkout (mine)") / "data" / "flower_photos"
    write(store / "robin" / "1.jpg")
    assert "train fit" in workshop.make("bundle")
    assert workshop.make("bundle") == []
    write(store / "robin" / "new.jpg")
    assert workshop.make("bundle") == ["train data"]
    assert workshop.make("bundle", "DATA=rendered") == ["train data"]
    assert workshop.make("bundle") == ["train data"]
    assert workshop.make("bundle") == []


def test_photos_that_are_fetched_are_scanned_once(workshop: Workshop, tmp_path: Path) -> None:
    photo = project(workshop, tmp_path / "checkout") / "data" / "flower_photos" / "robin" / "1.jpg"
    fetch = f"""
if command == ("train", "data"):
    Path({str(photo.parent)!r}).mkdir(parents=True, exist_ok=True)
    Path({str(photo)!r}).touch()
    stamps.write_if_changed(Path(given["--stamp"]), stamps.photos_digest(""))
    Path(__file__).with_name("hook.py").unlink()
"""
    workshop.hook(fetch)
    assert "train data" in workshop.make("bundle")
    assert photo.exists() and workshop.make("bundle") == []


def test_a_photo_that_arrives_while_the_others_are_read_is_noticed(
    workshop: Workshop, tmp_path: Path
) -> None:
    folder = birds(tmp_path / "photos")
    late = folder / "robin" / "late.jpg"
    workshop.hook(f"if command == ('train', 'data'): Path({str(late)!r}).touch()")
    assert "train data" in workshop.make("data", f"DATA={folder}")
    assert workshop.make("data", f"DATA={folder}") == ["train data"]


def test_a_moved_project_finds_its_photos_again(workshop: Workshop, tmp_path: Path) -> None:
    project(workshop, tmp_path / "old" / "project")
    write(tmp_path / "old" / "photos" / "robin" / "1.jpg")
    workshop.make("data", "DATA=../photos")
    (tmp_path / "old").rename(tmp_path / "new")
    workshop.root = tmp_path / "new" / "project"
    assert workshop.make("data", "DATA=../photos") == ["train data"]
    assert workshop.make("data", "DATA=../photos") == []


def test_a_file_that_goes_on_changing_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two changes within one step of the file system's clock look alike.
    photo = tmp_path / "robin" / "1.jpg"
    write(photo)
    monkeypatch.setattr(time, "time_ns", lambda: photo.stat().st_ctime_ns)
    recent = photos_digest(str(tmp_path))
    monkeypatch.undo()
    assert photos_digest(str(tmp_path)) != recent


def test_photos_that_cannot_be_listed_are_no_error_of_the_listing(tmp_path: Path) -> None:
    (tmp_path / "robin").mkdir()
    (tmp_path / "robin" / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "robin" / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "robin" / os.fsdecode(b"\xff.jpg")).touch()
    for data in (tmp_path, tmp_path / "missing", tmp_path / "robin" / "broken.jpg"):
        assert photos_digest(str(data))
    assert photos_digest("~nobody-of-that-name/birds")


def test_a_build_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert stamps.main([str(tmp_path / "file" / ".vars"), "", "", "", ""]) == 1
    assert "Not a directory" in only_error(capfd.readouterr().err)


def test_weights_that_were_exchanged_are_taken(workshop: Workshop, tmp_path: Path) -> None:
    weights = tmp_path / "my $weights.pth"
    weights.write_text("one")
    assert "train fit" in workshop.make("bundle", f"WEIGHTS={weights}")
    assert workshop.make("bundle", f"WEIGHTS={weights}") == []
    weights.write_text("two")
    assert workshop.make("bundle", f"WEIGHTS={weights}") == ["train fit"]
