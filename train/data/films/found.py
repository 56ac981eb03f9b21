"""The films of a data folder, what was taken of them, and what is told of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from device.workstation.wording import number, shown
from train.data.films.choosing import Kind
from train.data.films.kept import FilmRecord, KeptFilms
from train.data.folder import SHOWN

BAD_NAME = "its name is not valid UTF-8: rename it"


@dataclass(frozen=True)
class Film:
    """One film of a class folder."""

    path: str
    """In the data folder."""
    label: str
    folder: Path
    """Of its frames."""
    record: FilmRecord


def read_films(
    folder: Path, films: Sequence[tuple[Path, str]], kept: KeptFilms, console: Console
) -> list[Film]:
    """Take the frames of films, each with its class, in a data folder.

    Raises:
        OSError: if frames cannot be written.
    """
    paths = [path.relative_to(folder).as_posix() for path, _ in films]
    kept.forget_others(paths)
    return [
        Film(name, label, kept.folder / name, _record(path, name, kept))
        for name, (path, label) in track(
            list(zip(paths, films, strict=True)),
            f"{'reading films':24}",
            console=console,
            disable=not films,
        )
    ]


def _record(path: Path, name: str, kept: KeptFilms) -> FilmRecord:
    return kept.take(path, name) if readable(name) == name else FilmRecord.unusable("", BAD_NAME)


def readable(name: str) -> str:
    """A path as text; bytes of a name that are no text are written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def notes(films: Sequence[Film]) -> list[str]:
    """Lines for people on the films of a folder; of films with a problem the split has its own."""
    good = [film for film in films if film.record.frames]
    if not good:
        return []
    taken = sum(len(film.record.frames) for film in good)
    looked = sum(film.record.looked_at for film in good)
    nothing = sum(film.record.nothing for film in good)
    return [
        f"films: {number(len(good), 'film')}, each an event: {number(taken, 'frame')} taken of "
        f"{looked:,} looked at; nothing was seen in {nothing:,}",
        *_of(good, Kind.HELD, "the camera moves, or too short: frames are whole"),
        *_of(good, Kind.STILL, "nothing moves: a few frames are taken, whole"),
        *_damaged(good),
    ]


def skipped(films: Sequence[tuple[Path, str]]) -> list[str]:
    """A line on films that are not read."""
    return [f"skipped, films: {len(films):,}"] if films else []


def _of(films: Sequence[Film], kind: Kind, what: str) -> list[str]:
    return _line([film for film in films if film.record.kind is kind], what)


def _damaged(films: Sequence[Film]) -> list[str]:
    damaged = [film for film in films if film.record.damaged]
    return _line(damaged, "damaged in part, read as far as possible")


def _line(films: Sequence[Film], what: str) -> list[str]:
    if not films:
        return []
    names = [shown(film.path) for film in films[:SHOWN]]
    more = ["..."] if len(films) > SHOWN else []
    return [f"films, {what}: {len(films):,} ({', '.join([*names, *more])})"]
