"""Photos of files and folders, classified one after the other."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.contract.bundle import Bundle
from device.contract.folders import SkipReason, photos_below
from device.contract.formats import FILM_SUFFIXES
from device.contract.look.cameras import LEAST_PICTURES
from device.contract.look.rules import LookRules, Region, Seen
from device.errors import PhotoError, UsageError
from device.inference.classifier import Classifier, Prediction
from device.inference.photos.standing import WHOLE, Sight, sights
from device.settings.sections import LOOK_AUTO, LOOK_CHANGE, LOOK_WHOLE

LOOKS = (LOOK_AUTO, LOOK_CHANGE, LOOK_WHOLE)
"""Whether the photos of a folder are cut: as the bundle was trained, in any case, never."""
FILM = "a film, which is not read here: `run --source` reads films"
SINGLE = "given one by one"
UNKNOWN_CAMERA = f"of no camera known to stand still (by {LEAST_PICTURES} photos or more)"
_SHOWN = {
    None: UNKNOWN_CAMERA,
    Seen.NOTHING: "with nothing new",
    Seen.LEARNING: "taken while the device was learning its place",
    Seen.LIGHT: "in another light than the others of their camera",
    Seen.MOVED: "with another view than the others of their camera",
}


@dataclass(frozen=True)
class Answer:
    """What a bundle says about one file."""

    path: Path
    prediction: Prediction | None = None
    """None: see `problem`."""
    sight: Sight = WHOLE
    problem: str = ""
    single: bool = False
    """Whether the file was named, not the folder that it is in."""

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        if self.prediction is None:
            return {"path": str(self.path), "error": self.problem}
        seen, box = self.sight.seen, self.sight.box
        return {
            "path": str(self.path),
            **self.prediction.record(),
            "seen": seen.value if seen else None,
            "box": list(box) if box else None,
        }

    @property
    def why_whole(self) -> str:
        """Why it was not cut; empty if it was."""
        if self.sight.box:
            return ""
        return SINGLE if self.single else _SHOWN.get(self.sight.seen, UNKNOWN_CAMERA)


@dataclass
class Tally:
    """How many photos were cut, and why the others were not; true if there were any."""

    cut: int = 0
    whole: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.cut or self.whole)

    def add(self, answer: Answer) -> None:
        """Count a file, if it was a photo."""
        if answer.prediction is not None:
            self.cut += bool(answer.sight.box)
            self.whole.update([answer.why_whole] if answer.why_whole else [])

    def line(self) -> str:
        """In words."""
        whole = self.whole.total()
        said = f"{self.cut:,} of {self.cut + whole:,} photos cut to what differs from their place"
        why = ", ".join(f"{count:,} {reason}" for reason, count in self.whole.most_common())
        return f"{said}; {whole:,} whole: {why}" if whole else said


def rules_of(bundle: Bundle, look: str) -> LookRules | None:
    """The rules by which photos of folders are cut; None if they stay whole.

    Args:
        bundle: that classifies.
        look: one of `LOOKS`.

    Raises:
        UsageError: if photos must be cut, and the bundle was trained on whole ones.
    """
    if look == LOOK_CHANGE and bundle.region is not Region.CHANGE:
        raise UsageError(
            f"--look {look}: this bundle was trained on whole pictures; use --look {LOOK_AUTO}"
        )
    return bundle.look if bundle.region is Region.CHANGE and look != LOOK_WHOLE else None


def answers(
    paths: Iterable[Path], classifier: Classifier, rules: LookRules | None
) -> Iterator[Answer]:
    """Classify files and the photos of folders.

    Args:
        paths: files stay whole; the photos of a folder are looked at together.
        classifier: of the bundle.
        rules: of looking; None: all photos stay whole.
    """
    for path in paths:
        if path.is_dir():
            yield from _of_folder(path, classifier, rules)
        else:
            yield _answer(path, classifier, WHOLE, _unusable(path), single=True)


def _unusable(path: Path) -> str:
    """Why a file that was named cannot be a photo; empty if it may be one."""
    if not path.exists():
        return "no such file"
    return FILM if path.suffix.lower() in FILM_SUFFIXES else ""


def _of_folder(folder: Path, classifier: Classifier, rules: LookRules | None) -> Iterator[Answer]:
    problems: list[tuple[Path, str]] = []
    photos: Iterable[Path] = photos_below(
        folder, on_unreadable=_unreadable(problems), on_skipped=_skipped(problems)
    )
    empty = True
    for path, sight in _seen(photos, rules):
        empty = False
        yield _answer(path, classifier, sight)
    if empty and not problems:
        problems = [(folder, "no photos in this folder")]
    yield from (Answer(path, problem=problem) for path, problem in problems)


def _seen(photos: Iterable[Path], rules: LookRules | None) -> Iterator[tuple[Path, Sight]]:
    if rules is None:
        return ((path, WHOLE) for path in photos)
    paths = list(photos)
    return zip(paths, sights(paths, rules), strict=True)


def _answer(
    path: Path, classifier: Classifier, sight: Sight, problem: str = "", *, single: bool = False
) -> Answer:
    if problem:
        return Answer(path, problem=problem)
    try:
        return Answer(path, classifier.classify_file(path, sight.box), sight, single=single)
    except PhotoError as error:
        return Answer(path, problem=str(error))


def _unreadable(problems: list[tuple[Path, str]]) -> Callable[[OSError], None]:
    return lambda error: problems.append((Path(error.filename), error.strerror or str(error)))


def _skipped(problems: list[tuple[Path, str]]) -> Callable[[Path, SkipReason], None]:
    """Notes files that people may miss, but not documents or a system's own files."""
    said = {
        SkipReason.RAW: "a camera's raw picture, which is not read: convert it to JPEG",
        SkipReason.FILM: FILM,
        SkipReason.BROKEN_LINK: "a link that leads nowhere",
    }
    return lambda path, why: problems.extend([(path, said[why])] if why in said else [])
