"""Stamps for make: they change with the photos and with the code, which file dates cannot tell.

Every `make` runs this, so it needs only the standard library, unless `DATA=` is an address. A stamp
is a small file below `build/.vars` that is rewritten, and so gets a new date, only when what it
stands for has changed.
"""

import device.interrupt  # noqa: F401

import glob
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from device.console import guarded

RENDERED = "rendered"
STORE = "data"
"""Where the project keeps its own photos, used without DATA=."""
PHOTOS = "photos"
FILMS = "films"
INDEX = "shards.sqlite"
"""Of the index of shards, as `device.workstation.shards.index` calls it."""
RECENT_NS = 20_000_000
"""File systems count time in steps of up to 10 ms, so a second change within one step cannot be
seen. A file that changed this recently gets a mark, and the next `make` looks at it again."""
RECENT = b" recent"
LIBRARIES = (
    *("pillow", "numpy", "scipy", "scikit-learn", "keras", "tensorflow", "tensorflow-cpu"),
    *("ai-edge-litert", "pillow-heif", "pillow-jxl-plugin", "av", "fsspec", "pyarrow"),
)
"""Libraries that the numbers depend on, or that decide which photos can be read."""


PHOTO_RULES = (
    *(f"device/contract/{name}.py" for name in ("formats", "photos", "preprocess")),
    *("device/contract/look/*.py", "device/workstation/cuts.py"),
)
"""The code that decides which pixels a photo has, and where it is cut."""
RECORDS = (
    *(
        f"device/workstation/{name}.py"
        for name in ("expected", "photo_files", "records", "training")
    ),
    "device/workstation/shards/*.py",
)
"""The code that decides which files training writes, and in which format."""
PAGES = (
    *(
        f"device/workstation/{name}.py"
        for name in ("measures", "plot_style", "shares", "templates", "wording")
    ),
    "device/workstation/style.html.j2",
)
"""The code that decides how the pages look and which intervals they show."""
EVENT_WEIGHTS = "device/workstation/weights.py"
"""The code that decides how much a photo of an event counts."""
CODE = {
    "code-data": (
        "train/**/*.py",
        *PHOTO_RULES,
        *RECORDS,
        *(
            f"device/contract/{name}.py"
            for name in ("folders", "moments", "names", "orientation", "provenance")
        ),
        *("device/workstation/events/*.py", "device/workstation/wording.py"),
        "device/workstation/unknown/listed.py",
    ),
    "code-train": (
        *("train/**/*.py", "train/**/*.j2", "device/inference/runtime.py"),
        *PHOTO_RULES,
        *RECORDS,
        *PAGES,
        EVENT_WEIGHTS,
        "device/workstation/faults/*.py",
    ),
    "code-micro": (
        *("train/data/augment.py", "train/data/listed.py"),
        *(f"train/recipe/{name}.py" for name in ("config", "photos", "truth")),
        *(f"train/distill/{name}.py" for name in ("lessons", "narrow", "run")),
        *(
            f"train/network/{name}.py"
            for name in ("averaging", "backbone", "backbones", "limits", "temperature", "weights")
        ),
        *PHOTO_RULES,
        *RECORDS,
        EVENT_WEIGHTS,
    ),
    "code-convert": (
        *("convert/**/*.py", "convert/**/*.j2", "convert/targets/runtimes.json"),
        *PHOTO_RULES,
        *RECORDS,
        *PAGES,
        EVENT_WEIGHTS,
        *(f"device/contract/{name}.py" for name in ("accuracy", "bundle", "statistics")),
        "device/contract/thumbnails/*.py",
        *("device/workstation/conversion.py", "device/telemetry/unknown.py"),
        "device/visits/evidence.py",
        *("device/workstation/faults/*.py", "device/workstation/unknown/*.py"),
        *(f"device/inference/{name}.py" for name in ("classifier", "outputs", "runtime")),
    ),
    "code-bundle": ("convert/targets/tolerances.json", "device/__init__.py"),
}
"""The files that each stamp of code stands for."""
EXEMPT = ("train/bench/", "convert/bench/", "convert/field/", "convert/sweep/")
"""Benchmarks, tables, figures of the field and sweeps do not change anything that ships."""
ROOT = Path(__file__).resolve().parent.parent


def folders(data: str, store: str = STORE) -> list[str]:
    """Where `train.data.dataset.locate` may find the photos of `DATA=`."""
    if data and data != RENDERED:
        return [os.path.expanduser(data)]
    names = ["rendered_flowers"] if data == RENDERED else ["flower_photos", "rendered_flowers"]
    return [os.path.join(store, name) for name in names]


def photos_digest(data: str, store: str = STORE) -> str:
    """A digest that changes when a file of the photos is added, removed, moved or written.

    It covers names, sizes, times and inodes; for a link, those of its target. Of an address it
    covers names, sizes and what the store tells of a file, such as its etag.
    """
    if "://" in data:
        return hashlib.sha256("\n".join(_remote(data)).encode("utf-8", "replace")).hexdigest()
    return _digest(folders(data, store))


def _remote(address: str) -> Iterator[str]:
    """A line for each file of an address."""
    from device.workstation.shards.stores import StoreError, listing

    try:
        found = listing(address)
    except StoreError:
        # Whoever reads the photos says why they cannot be read. Nothing is kept of an address that
        # may hold a secret, not even its digest.
        yield "unreadable"
        return
    yield address
    yield from (f"{each.name} {each.version}" for each in found)


def films_digest(folder: str) -> str:
    """The same of the folder of frames that were taken of films; also if it is another folder.

    It covers whether the index of shards beside it is there, too, without which no photo is found.
    """
    index = Path(folder).with_name(INDEX).exists()
    return _digest([os.path.realpath(folder)]) + (" with an index" if index else "")


def _digest(watched: Sequence[str]) -> str:
    lines = list(_lines(watched))
    if any(line.endswith(RECENT) for line in lines):
        time.sleep(RECENT_NS / 1e9)
        lines = list(_lines(watched))
    return hashlib.sha256(b"\0".join(lines)).hexdigest()


def _lines(watched: Sequence[str]) -> Iterator[bytes]:
    for folder in watched:
        yield os.fsencode(os.path.realpath(folder))
        yield from _listing(os.fsencode(folder))


def _listing(root: bytes) -> Iterator[bytes]:
    """One line per entry below a folder; each folder once, however many links lead there."""
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    now_ns = time.time_ns()
    if os.path.isfile(root):
        yield file_state(os.fsdecode(root)).encode("utf-8", "surrogateescape")
        waiting.clear()
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield b"%s: %d" % (folder, error.errno or 0)
            continue
        for entry in inside:
            try:
                status = entry.stat()
            except OSError as error:
                yield b"%s: %d" % (entry.path, error.errno or 0)
                continue
            yield b"%s %d %d" % (entry.path.removeprefix(root), status.st_mode, status.st_ino)
            if not stat.S_ISDIR(status.st_mode):
                changed = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
                recent = 0 <= now_ns - status.st_ctime_ns < RECENT_NS
                yield b"%d %d %d" % changed + (RECENT if recent else b"")
            elif (place := (status.st_dev, status.st_ino)) not in seen:
                seen.add(place)
                waiting.append(entry.path)


def file_state(path: str) -> str:
    """A text that changes when a file is written or replaced; without a file, the path itself."""
    try:
        status = os.stat(os.path.expanduser(path))
    except (OSError, ValueError):
        return path
    return f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def code_digest(patterns: Iterable[str], root: Path = ROOT) -> str:
    """A digest of the source files that match the patterns, and of the versions of `LIBRARIES`."""
    digest = hashlib.sha256("\n".join(_versions()).encode())
    for pattern in patterns:
        for path in sorted(glob.glob(pattern, root_dir=root, recursive=True)):
            if not path.startswith(EXEMPT):
                content = (root / path).read_bytes()
                digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _versions() -> Iterator[str]:
    for library in LIBRARIES:
        try:
            yield f"{library} {version(library)}"
        except PackageNotFoundError:
            yield f"{library} none"


def write_if_changed(path: Path, content: str) -> None:
    """Write a stamp if its content has changed."""
    try:
        if path.read_text("utf-8", "surrogateescape") == content:
            return
    except (OSError, ValueError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8", "surrogateescape")


def main(arguments: list[str]) -> int:
    """Bring the stamps of a folder up to date: `FOLDER DATA WEIGHTS EVENTS FILMS`."""

    def work() -> int:
        _update(*arguments)
        return 0

    return guarded(work)


def _update(folder: str, data: str, weights: str, events: str, films: str) -> None:
    write_if_changed(Path(folder, PHOTOS), photos_digest(data))
    write_if_changed(Path(folder, FILMS), films_digest(films))
    write_if_changed(Path(folder, "weights"), file_state(weights))
    write_if_changed(Path(folder, "events"), file_state(events))
    for name, patterns in CODE.items():
        write_if_changed(Path(folder, name), code_digest(patterns))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
