"""The photos of shards with their classes, checked by the rules that folders are checked by."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

from rich.console import Console

from device.contract.provenance import OTHER, REVIEW, is_other
from device.workstation.shards.index import Shards
from device.workstation.shards.stores import (
    LABELS,
    PARQUET,
    TAR,
    Stored,
    is_address,
    joined,
    last_name,
    listing,
    read_range,
)
from device.workstation.wording import shown
from train.data import folder as folders
from train.data.films.found import BAD_NAME, readable
from train.data.folder import RENDERED_MARK, SHOWN, Contents
from train.data.shards.entries import START_BYTES, Entry, Holds, what_is
from train.data.shards.indexing import Found, Index, writing
from train.errors import DataError

SHARDS = (TAR, PARQUET)
_COMPRESSED = re.compile(r".*\.(tgz|tar\.[a-z0-9]+)", re.IGNORECASE | re.DOTALL)


def is_shard(name: str) -> bool:
    """Whether a file is a shard, by its name; one that is compressed is refused later."""
    return name.lower().endswith(SHARDS) or _COMPRESSED.fullmatch(name) is not None


def read_shards(shards: Shards, console: Console) -> Contents:
    """Find the photos of shards, or of a bucket's folder, and bring the index up to date.

    Their paths are relative: what `split.csv` calls them.

    Raises:
        DataError: if there are none, or their classes cannot be told apart.
        StoreError: if a shard or a bucket cannot be read.
        BuildFolderError: if the index cannot be written.
    """
    files = listing(shards.address)
    if not files:
        raise DataError(f"{shards.address}: it holds no shards ({', '.join(SHARDS)}) and no photos")
    with writing(shards) as index:
        loose = [each for each in files if _is_photo(each.name)]
        if loose and is_address(shards.address):
            index.read([], console)
            index.replace_files(_files(shards.address, files), _version(files))
            sorting = _Sorting(shards, labelled=False)
        else:
            index.read(_shards_of(shards, files), console)
            labelled = any(each.entry.label is not None for each in index.entries())
            sorting = _Sorting(shards, labelled, _names(shards, files))
            sorting.pass_over(files)
        return sorting.contents(index)


def _is_photo(name: str) -> bool:
    return what_is(name, lambda: b"") is Holds.PHOTO


def _files(address: str, files: Sequence[Stored]) -> Iterator[Entry]:
    """The files of a bucket as entries."""
    for each in files:
        if each.name.partition("/")[0] in (REVIEW, RENDERED_MARK):
            continue
        holds = what_is(each.name, partial(_start, address, each.name))
        yield Entry(each.name, holds, 0, each.size)


def _version(files: Sequence[Stored]) -> str:
    """Another one if any of the files is written again."""
    lines = "".join(f"{each.name} {each.version}\n" for each in files)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _start(address: str, name: str) -> bytes:
    """How a file begins; of one that describes photos nothing, for there may be one for each."""
    if folders.BESIDE.fullmatch(PurePosixPath(name).suffix):
        return b""
    return read_range(joined(address, name), 0, START_BYTES)


def _shards_of(shards: Shards, files: Sequence[Stored]) -> list[Stored]:
    found = [each for each in files if is_shard(each.name) and not _kept_aside(each.name)]
    if not found:
        raise DataError(f"{shards.address}: it holds no shards ({', '.join(SHARDS)}) and no photos")
    if len(files) == 1 and last_name(shards.address) == files[0].name:
        found = [Stored("", files[0].size, files[0].version)]
    for each in found:
        where = joined(shards.address, each.name) if each.name else shards.address
        if readable(where) != where:
            raise DataError(f"{readable(where)}: {BAD_NAME}")
        if _COMPRESSED.fullmatch(where):
            raise DataError(
                f"{where}: is compressed, so no photo can be read alone: unpack it to a plain "
                ".tar, or remove it"
            )
    return found


def _kept_aside(name: str) -> Holds | None:
    """Whether a file is hidden or of the system."""
    holds = what_is(name, lambda: b"")
    return holds if holds in (Holds.HIDDEN, Holds.SYSTEM) else None


def _names(shards: Shards, files: Sequence[Stored]) -> tuple[str, ...]:
    """The names of labels that are numbers; empty if nobody says them."""
    for each in files:
        if each.name == LABELS:
            data = read_range(joined(shards.address, LABELS), 0, each.size)
            return tuple(data.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n"))
    return ()


@dataclass
class _Sorting:
    """Sorts the entries of shards into classes."""

    shards: Shards
    labelled: bool
    """Whether shards say what photos show; if not, the first folder of a name does."""
    names: Sequence[str] = ()
    classes: dict[str, str] = field(default_factory=dict)
    """By path, of photos and raw pictures."""
    raw: list[str] = field(default_factory=list)
    passed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By reason, what is passed over."""
    odd: dict[str, list[PurePath]] = field(default_factory=lambda: defaultdict(list))
    """By folder, what is neither photo nor raw."""
    renamed: list[str] = field(default_factory=list)
    full: set[str] = field(default_factory=set)
    """Shards with photos."""

    def pass_over(self, files: Sequence[Stored]) -> None:
        """Files beside shards that are none."""
        for each in files:
            aside = _kept_aside(each.name)
            if aside or not (is_shard(each.name) or each.name in (LABELS, RENDERED_MARK)):
                self.passed[aside.value if aside else "no shards"].append(each.name)

    def contents(self, index: Index) -> Contents:
        """Sort, check, and place the photos in the index; raises DataError."""
        index.place(self._photos(index))
        raw = set(self.raw)
        return Contents(
            tuple((Path(path), label) for path, label in self.classes.items() if path not in raw),
            tuple((Path(path), self.classes[path]) for path in self.raw),
            films=(),
            notes=tuple(self._notes(index)),
        )

    def _photos(self, index: Index) -> Iterator[tuple[str, Found]]:
        """The photos by path; raises DataError in the end, so that none is placed."""
        for each in index.entries():
            path = self._sorted(each)
            # A name that is no text is refused when its photo is read.
            if path is not None and each.entry.holds is Holds.PHOTO and readable(path) == path:
                yield path, each
        self._check()

    def _sorted(self, each: Found) -> str | None:
        """The path of a photo or raw picture; None of what is passed over."""
        entry = each.entry
        if entry.holds not in (Holds.PHOTO, Holds.RAW):
            self.passed[entry.holds.value].append(_called(each))
            if not self.labelled and "/" in entry.name and entry.holds in (Holds.OTHER, Holds.FILM):
                self.odd[entry.name.partition("/")[0]].append(PurePosixPath(entry.name))
            return None
        label = self._label(entry)
        if label is None:
            why = "without a label" if self.labelled else "photos in no class folder"
            self.passed[why].append(_called(each))
        elif label == REVIEW:
            self.passed["that wait to be sorted"].append(_called(each))
        else:
            return self._taken(each, label)
        return None

    def _label(self, entry: Entry) -> str | None:
        if not self.labelled:
            top, slash, _ = entry.name.partition("/")
            return top if slash else None
        said = entry.label
        if said is None or not self.names or not said.isdecimal():
            return said
        if int(said) >= len(self.names):
            raise DataError(
                f"{joined(self.shards.address, LABELS)}: names {len(self.names):,} labels, but a "
                f"photo ({shown(entry.name)}) has the label {said}: name all, from 0 on"
            )
        return self.names[int(said)]

    def _taken(self, each: Found, label: str) -> str | None:
        name = each.entry.name
        path = name if name.startswith(f"{label}/") else f"{label}/{name}"
        if path in self.classes:
            stem = each.shard_name.removesuffix(PurePosixPath(each.shard_name).suffix)
            path = f"{label}/{stem}/{path.removeprefix(f'{label}/')}"
            if path in self.classes or not stem:
                self.passed[Holds.TWICE.value].append(_called(each))
                return None
            self.renamed.append(path)
        self.full.add(each.shard_name)
        self.classes[path] = folders.class_of(label)
        if each.entry.holds is Holds.RAW:
            self.raw.append(path)
        return path

    def _check(self) -> None:
        known = {name for name in self.classes.values() if name != OTHER}
        if not known:
            raise DataError(f"{self.shards.address}: {self._nothing()}")
        folders.check_names(known, "label" if self.labelled else "class folder")
        if self.labelled:
            return
        tops = {path.partition("/")[0] for path in self.classes}
        for top in sorted(self.odd.keys() - tops):
            if not is_other(top):
                folders.check_empty(top, self.odd[top])
        layout = [PurePosixPath(p) for p, label in self.classes.items() if label != OTHER]
        folders.check_layout(layout, lambda inner: joined(self.shards.address, str(inner)))

    def _nothing(self) -> str:
        loose = self.passed.get("photos in no class folder", [])
        if not loose:
            return "it holds no photos"
        return (
            f"nothing says what its photos ({_few(loose)}) show: give each a label (KEY.cls beside "
            "KEY.jpg), or put them into a folder for each class"
        )

    def _notes(self, index: Index) -> Iterator[str]:
        for what, names in sorted(self.passed.items()):
            yield f"skipped, {what}: {len(names):,} ({_few(names)})"
        shards = [name for name in index.names() if name]
        empty = [name for name in shards if name not in self.full]
        if empty:
            yield f"shards without photos: {len(empty):,} ({_few(empty)})"
        parts = sorted({part for name in shards for part in _parts(name)})
        if len(parts) > 1:
            yield (
                f"shards of parts of a data set ({', '.join(parts)}) are read together: `make data`"
                " makes the split"
            )
        if self.renamed:
            count = len(self.renamed)
            yield (
                f"names that photos of other shards have, too: {count:,}, now called after their "
                f"shard ({_few(self.renamed)})"
            )
        classes = {path.partition("/")[0] for path in self.classes}
        yield from (note for name in sorted(classes) for note in folders.name_notes(name))


def _parts(shard: str) -> list[str]:
    words = re.findall("[a-z]+", shard.lower())
    return [word for word in words if folders.PART.fullmatch(word)]


def _called(each: Found) -> str:
    return f"{each.shard_name}/{each.entry.name}" if each.shard_name else each.entry.name


def _few(names: Sequence[str]) -> str:
    more = ["..."] if len(names) > SHOWN else []
    return ", ".join([*map(shown, names[:SHOWN]), *more])
