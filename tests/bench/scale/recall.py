"""`python -m tests.bench.scale.recall`: what cells find of the copies that comparing finds.

The photos are crops of real ones, some recompressed, resized or in another light; and pictures of
one camera that never moves, before which everything resembles everything.
"""

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageOps
from threadpoolctl import threadpool_limits

from device.console import guarded
from device.errors import UsageError
from train.data.events import copies, groups
from train.data.events.copies import edited_copies, joined
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS, near_identical
from train.data.looks import normalised

Bytes = npt.NDArray[np.uint8]
Edit = Callable[[Image.Image, np.random.Generator], Image.Image]
NEVER = 10**9
"""So many photos that they are compared each with each."""
RECENT = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale.recall", description=__doc__)
    parser.add_argument("--flowers", type=Path, default=Path("../shared/flowers"))
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--only", choices=("near", "edited"), help="near or edited copies alone")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Compare, and print a line for each set and threshold."""
    sources = list(_sources(options.flowers))
    if not sources:
        raise UsageError(f"{options.flowers}: no photos; give a folder of class folders")
    with threadpool_limits(1, "blas"):
        if options.only != "edited":
            _compare(_cropped(sources, options.photos, NEAR, 16))
        if options.only != "near":
            print(f"edited copies: {_edited(_cropped(sources, options.photos, EDITS, 32))}")
    return 0


def _compare(flowers: Bytes) -> None:
    for name, pixels in (("flowers", flowers), *_cameras(flowers)):
        thumbnails = normalised(pixels)
        for threshold in NEAR_IDENTICAL_CORRELATIONS[:3]:
            print(f"{name:32}{threshold:6}  {_near(thumbnails, threshold)}", flush=True)


def _near(thumbnails: npt.NDArray[np.float32], threshold: float) -> str:
    each = np.arange(len(thumbnails))

    def grouped(many: int) -> tuple[npt.NDArray[np.int64], float]:
        vars(groups)["MANY"], began = many, time.process_time()
        return joined(each, near_identical(thumbnails, threshold)), time.process_time() - began

    (compared, exact_s), (searched, cells_s) = grouped(NEVER), grouped(2)
    differ = int((compared != searched).sum())
    return (
        f"{len(np.unique(compared)):,} groups, {differ} photos in another one by cells; "
        f"{exact_s:.1f} s compared, {cells_s:.1f} s by cells"
    )


def _edited(details: Bytes) -> str:
    each = np.arange(len(details))

    def found(many: int) -> tuple[list[copies.Copy], npt.NDArray[np.int64], float]:
        vars(copies)["MANY"], began = many, time.process_time()
        pairs = edited_copies(details, each)
        ends = np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2).T
        return pairs, joined(each, ends), time.process_time() - began

    (pairs, compared, exact_s), (others, searched, cells_s) = found(NEVER), found(2)
    recall = np.mean([searched[pair.first] == searched[pair.second] for pair in pairs])
    more = np.mean([compared[pair.first] == compared[pair.second] for pair in others])
    return (
        f"{recall:.2%} of {len(pairs):,} pairs by comparing are joined by cells, and {more:.2%} of "
        f"{len(others):,} the other way; {exact_s:.0f} s compared, {cells_s:.0f} s by cells"
    )


def _sources(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(folder.glob("*/*.jpg")):
        with Image.open(path) as picture:
            small = picture.convert("RGB")
        small.thumbnail((160, 160))
        yield small


def _cropped(sources: Sequence[Image.Image], photos: int, edits: Sequence[Edit], px: int) -> Bytes:
    """Crops as uint8 (photos, px, px, 3); a fifth are edits of earlier ones."""
    rng = np.random.default_rng(1)
    recent: list[Image.Image] = []
    made = np.empty((photos, px, px, 3), np.uint8)
    for number in range(photos):
        if recent and rng.random() < 0.2:
            edit = edits[int(rng.integers(len(edits)))]
            picture = edit(recent[int(rng.integers(len(recent)))], rng)
        else:
            picture = _crop(sources[int(rng.integers(len(sources)))], rng)
            recent = [*recent[1 - RECENT :], picture]
        made[number] = np.asarray(picture.resize((px, px), Image.Resampling.BOX))
    return made


def _crop(source: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = rng.uniform(0.35, 1)
    width, height = int(source.width * share), int(source.height * share)
    x = int(rng.integers(source.width - width + 1))
    y = int(rng.integers(source.height - height + 1))
    return source.crop((x, y, x + width, y + height))


def _compressed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=int(rng.integers(30, 80)))
    return Image.open(data).convert("RGB")


def _resized(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = rng.uniform(0.4, 0.9)
    return picture.resize((int(picture.width * share), int(picture.height * share)))


def _trimmed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = rng.uniform(0.02, 0.1)
    x, y = int(share * picture.width), int(share * picture.height)
    return picture.crop((x, y, picture.width - x, picture.height - y))


NEAR: tuple[Edit, ...] = (
    _compressed,
    _resized,
    lambda picture, rng: ImageEnhance.Brightness(picture).enhance(rng.uniform(0.7, 1.3)),
    lambda picture, rng: ImageEnhance.Contrast(picture).enhance(rng.uniform(0.7, 1.3)),
)
EDITS: tuple[Edit, ...] = (
    lambda picture, rng: ImageOps.mirror(picture),
    lambda picture, rng: ImageOps.flip(picture),
    lambda picture, rng: picture.rotate(90, expand=True),
    lambda picture, rng: picture.rotate(float(rng.uniform(2, 8))),
    _trimmed,
    lambda picture, rng: _trimmed(ImageOps.mirror(picture), rng),
)


def _cameras(subjects: Bytes) -> Iterator[tuple[str, Bytes]]:
    """One background with noise, in changing light, and with something faint before it."""
    rng = np.random.default_rng(2)
    ground = subjects[5].astype(np.float32)
    for noise, share in ((8, 0.0), (4, 0.15), (4, 0.3)):
        light = rng.uniform(0.6, 1.2, (len(subjects), 1, 1, 1)).astype(np.float32)
        seen = ground * light + rng.normal(0, noise, subjects.shape).astype(np.float32)
        mixed = (1 - share) * seen + share * subjects
        yield f"one camera, noise {noise}, {share:.0%} else", mixed.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
