"""Promises of the documentation: what a page names exists, and what it measures can be repeated."""

import fnmatch
import json
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from device.contract import provenance
from device.outputs.mqtt import home_assistant
from device.outputs.mqtt.today import Today
from device.outputs.web import view
from device.outputs.web.visits import SeenVisits
from device.settings.sections import VisitsConfig
from device.visits.days import Days
from tests.support.cli import PROCESS_LIMIT_S
from tests.support.device.observations import Surroundings, sight
from tests.support.device.visits import visit
from tests.support.pages import ASSIGNMENT, Command, Page, commands, pages, parse, tracked
from tests.support.places import ROOT

# A command line that was imported already is run once more, to ask it for its options.
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")

MAX_README_LINES = 200
MAX_EXAMPLE_LINES = 15
PACKAGES = ("train", "convert", "device", "tests")
OF_THE_SHELL = frozenset({"PYTHONPATH"})
OTHERS_NAMES = frozenset({"BROKER", "CLASS", "PREFIX", "TOKEN"})
"""Written in capitals because the reader puts something in their place."""
FIGURE = re.compile(r"\d\s?(%|ms\b|s\b|MiB|MB|dB|points|bytes)")
MEASURES = ("make", "python", ".venv/bin/python")
COMMIT = re.compile(r"\bcommit\s+([0-9a-f]{7,40})\b")
NAMED_COMMITS = re.compile(r"\bcommits?\s+[0-9a-f]{7,40}\b(?:,?\s(?:and\s)?[0-9a-f]{7,40}\b)*")
DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b")


# --- what exists ----------------------------------------------------------------------------------


@cache
def makefiles() -> str:
    names = sorted(n for n in tracked() if n == "Makefile" or n.endswith(".mk"))
    return "\n".join((ROOT / name).read_text("utf-8") for name in names)


@cache
def targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z-]*):.*## ", makefiles(), re.M))


@cache
def variables() -> frozenset[str]:
    return frozenset(re.findall(r"^([A-Z][A-Z_0-9]*) \?=", makefiles(), re.M))


@cache
def constants() -> frozenset[str]:
    sources = (ROOT / name for name in tracked() if name.endswith(".py"))
    return frozenset(
        name
        for source in sources
        for name in re.findall(r"^([A-Z][A-Z_0-9]+)\b", source.read_text("utf-8"), re.M)
    )


@cache
def help_of(module: str, *words: str) -> str:
    """What a command line says of itself; empty if there is no such command."""
    said = StringIO()
    arguments = [module, *words, "--help"]
    with mock.patch.object(sys, "argv", arguments), redirect_stdout(said), redirect_stderr(said):
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as end:
            return said.getvalue() if not end.code else ""
        except ImportError:
            return ""
    return ""


# --- what is missing ------------------------------------------------------------------------------


def missing_links(page: Page) -> Iterator[str]:
    for link in page.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        path = (ROOT / page.path.parent / name) if name else ROOT / page.path
        relative = path.resolve().relative_to(ROOT.resolve()).as_posix()
        if relative not in tracked():
            yield f"link {link}"
        elif anchor and anchor not in _anchors(page, relative):
            yield f"no heading for {link}"


def _anchors(page: Page, name: str) -> set[str]:
    if name == page.path.as_posix():
        return page.anchors
    return next((other.anchors for other in pages() if other.path.as_posix() == name), set())


def missing_commands(page: Page) -> Iterator[str]:
    for line in page.codes:
        for command in commands(line):
            if not command.words or command.words[0] in ("make", "gmake"):
                yield from _missing_of_make(command)
            elif set(_names(command.set)) - OF_THE_SHELL:
                yield f"environment variable in: {line}"
            else:
                yield from _missing_of_program(command.words)


def _names(assignments: tuple[str, ...]) -> list[str]:
    return [word.partition("=")[0] for word in assignments]


def _missing_of_make(command: Command) -> Iterator[str]:
    words = (*command.set, *command.words[1:])
    for word in words:
        if ASSIGNMENT.fullmatch(word):
            name = word.partition("=")[0]
            if name not in variables():
                yield f"make variable {name}"
        elif not word.startswith("-") and word not in targets() and word != "...":
            yield f"make target {word}"


def _missing_of_program(words: tuple[str, ...]) -> Iterator[str]:
    program = Path(words[0]).name
    if program == "fieldguide":
        yield from _missing_of_module("device", words[1:])
    if program.startswith("python") and words[1:2] == ("-m",) and len(words) > 2:
        module, root = words[2], words[2].partition(".")[0]
        if root in PACKAGES:
            yield from _missing_of_module(module, words[3:])


def _missing_of_module(module: str, words: tuple[str, ...]) -> Iterator[str]:
    said, path = help_of(module), list[str]()
    while said and re.search(r"^usage: .*\b(COMMAND|ACTION)\b", said, re.M):
        word = next(iter(words[len(path) :]), "")
        if not word or word.startswith(("-", "...")):
            break
        path.append(word)
        if not re.search(rf"^ {{4}}{re.escape(word)}\b", said, re.M):
            yield f"command: {' '.join(('python -m', module, *path))}"
            return
        said = help_of(module, *path)
    if not said:
        yield f"command: {' '.join(('python -m', module, *path))}"
        return
    for word in words:
        option = word.strip("[]").partition("=")[0]
        if option.startswith("--") and not re.search(rf"{re.escape(option)}\b", said):
            yield f"option {option} of {' '.join(('python -m', module, *path))}"


def missing_files(page: Page) -> Iterator[str]:
    for code in page.codes:
        for word in code.split():
            value = word.partition("=")[2] if ASSIGNMENT.fullmatch(word) else word
            name = value.strip("\"'`()[],;:").removesuffix(".").removesuffix("/")
            first = name.partition("/")[0]
            in_repository = "/" in name and first in (*PACKAGES, ".ci")
            if in_repository and not _is_tracked(name.partition("::")[0]):
                yield f"file {name}"
            is_code = re.fullmatch(r"\w+\.(py|mk)", name) is not None
            if is_code and not any(Path(known).name == name for known in tracked()):
                yield f"file {name}"


def _is_tracked(name: str) -> bool:
    return name in tracked() or ("*" in name and bool(fnmatch.filter(tracked(), name)))


def missing_names(page: Page) -> Iterator[str]:
    known = variables() | constants() | OTHERS_NAMES
    for code in page.inline:
        if re.fullmatch(r"[A-Z][A-Z_0-9]{2,}", code) and code not in known:
            yield f"name {code}"
        section = re.fullmatch(r"\[([a-z.]+)\]", code)
        if section and not _is_setting(section[1]):
            yield f"section {code} of the settings"


def _is_setting(name: str) -> bool:
    found: object = tomllib.loads((ROOT / "device/fieldguide.example.toml").read_text("utf-8"))
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return isinstance(found, dict)


def unproven_figures(page: Page) -> Iterator[str]:
    for section in page.sections:
        cells = [cell for table in section.tables for row in table[1:] for cell in row]
        if page.path.name != "RESULTS.md" and not any(map(FIGURE.search, cells)):
            continue
        if not cells:
            continue
        runs = [c.words[0] for code in section.codes for c in commands(code) if c.words]
        if not any(run in MEASURES for run in runs):
            yield f"figures without a command: {section.title}"
        if not DAY.search(section.text):
            yield f"figures without a date: {section.title}"
        if not COMMIT.search(section.text):
            yield f"figures without a commit: {section.title}"


CHECKS: dict[str, Callable[[Page], Iterator[str]]] = {
    "links": missing_links,
    "commands": missing_commands,
    "files": missing_files,
    "names": missing_names,
}
# What once was is told there.
TODAY = [page for page in pages() if page.path.name != "CHANGELOG.md"]
MEASURED = [page for page in TODAY if page.path.name in ("README.md", "RESULTS.md")]


def _name(value: object) -> str:
    return value.path.as_posix() if isinstance(value, Page) else str(value)


@pytest.mark.parametrize("page", TODAY, ids=_name)
@pytest.mark.parametrize("check", CHECKS)
def test_what_a_page_names_exists(page: Page, check: str) -> None:
    assert list(CHECKS[check](page)) == []


@pytest.mark.parametrize("page", MEASURED, ids=_name)
def test_figures_come_with_command_date_and_commit(page: Page) -> None:
    assert list(unproven_figures(page)) == []


PLANTED = {
    "[the way](train/nowhere.md)": "link train/nowhere.md",
    "[the way](README.md#nowhere)": "no heading for README.md#nowhere",
    "`make trian`": "make target trian",
    "`make EPOCS=9`": "make variable EPOCS",
    "Set `GAT=strict`.": "make variable GAT",
    "text\n\n    sudo make EPOCHS=9 verfy    # a comment": "make target verfy",
    "`python -m device clasify`": "command: python -m device clasify",
    "`python -m device slots remove`": "command: python -m device slots remove",
    "`python -m device doctor --jsn`": "option --jsn of python -m device doctor",
    "`cd x && fieldguide doctor --jsn`": "option --jsn of python -m device doctor",
    "`python -m train.nothing --out x`": "command: python -m train.nothing",
    "`device/nothing.py`": "file device/nothing.py",
    "`nothing.py`": "file nothing.py",
    "`make test PYTEST=tests/nothing`": "file tests/nothing",
    "`MAX_FAILS`": "name MAX_FAILS",
    "`[output.mqt]`": "section [output.mqt] of the settings",
}


@pytest.mark.parametrize(("text", "fault"), PLANTED.items())
def test_a_fault_that_is_planted_is_found(text: str, fault: str) -> None:
    page = parse(text)
    assert [found for check in CHECKS.values() for found in check(page)] == [fault]


@pytest.mark.parametrize(
    ("left_out", "fault"),
    [("`make`", "command"), ("2026-11-26", "date"), ("commit a55caae", "commit")],
)
def test_figures_without_proof_are_found(left_out: str, fault: str) -> None:
    table = "| a | b |\n|---|---|\n| 93.4% | 12 ms |\n"
    text = f"# Speed\n\n`make`, 2026-11-26, commit a55caae\n\n{table}"
    assert list(unproven_figures(parse(text))) == []
    found = list(unproven_figures(parse(text.replace(left_out, ""))))
    assert found == [f"figures without a {fault}: Speed"]


def test_the_commits_that_pages_name_are_in_the_history() -> None:
    """In this branch's own: a commit that was rebased away exists only where it was made."""
    texts = "\n".join((ROOT / page.path).read_text("utf-8") for page in TODAY)
    named = set(re.findall(r"\b[0-9a-f]{7,40}\b", " ".join(NAMED_COMMITS.findall(texts))))
    assert named
    git = ["git", "-C", str(ROOT)]
    shallow = subprocess.check_output([*git, "rev-parse", "--is-shallow-repository"], text=True)
    if shallow.strip() == "true":
        pytest.skip("a shallow clone has no history")
    for commit in named:
        done = subprocess.run([*git, "merge-base", "--is-ancestor", commit, "HEAD"], check=False)
        assert not done.returncode, commit


# --- the first page -------------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= MAX_README_LINES


def test_the_readme_says_early_that_no_board_was_met() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.index("Nothing here has run on a real board yet") < text.index("## ")
    assert "\n### Nothing here has run on a board yet\n" in text


def test_the_example_of_the_readme_runs(
    tiny_bundle: Path, tiny_photos: list[Path], tmp_path: Path
) -> None:
    page = next(page for page in pages() if page.path == Path("README.md"))
    (example,) = (text for language, text in page.blocks if language == "python")
    assert len(example.splitlines()) <= MAX_EXAMPLE_LINES
    (tmp_path / "build" / "samples").mkdir(parents=True)
    (tmp_path / "build" / "bundle").symlink_to(tiny_bundle)
    for photo in tiny_photos:
        name = f"{photo.parent.name}_{photo.stem}.jpg"
        (tmp_path / "build" / "samples" / name).symlink_to(photo)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )
    assert done.stderr == "" and not done.returncode
    said = done.stdout.splitlines()
    assert len(said) == len(tiny_photos)
    known, doubt = r"(red|green|blue), \d+%", "unknown, (unlike the training|cannot be told)"
    assert all(re.match(rf"\S+\.jpg: ({known}|{doubt})", line) for line in said)


def test_no_message_on_a_board_points_to_a_readme() -> None:
    """What goes there has none; deploy/, fleet/ and image/ stay on the workstation."""
    of_device = [n for n in tracked() if n.startswith("device/") and not n.endswith(".md")]
    on_board = [n for n in of_device if (ROOT / n).is_file()]
    at_home = ("device/image/", "device/deploy/", "device/fleet/")
    for name in on_board:
        if not name.startswith(at_home):
            assert b"README" not in (ROOT / name).read_bytes(), name


# --- device/docs/formats.md -----------------------------------------------------------------------

FORMATS = Path("device/docs/formats.md")


def fields_of(title: str) -> list[str]:
    """The fields in the first column of a section's tables."""
    page = next(page for page in pages() if page.path == FORMATS)
    section = page.section(title)
    return [
        n for table in section.tables for row in table[1:] for n in re.findall("`(.+?)`", row[0])
    ]


def test_the_fields_of_json_lines_and_mqtt_are_those_of_the_page(
    surroundings: Surroundings,
) -> None:
    line = list(sight(0).record())
    page = fields_of("JSON lines")
    # The second table is of single pictures.
    assert page[: len(line)] == line
    assert fields_of("Visits") == list(visit().record())
    change = home_assistant.change(sight(0))
    assert set(fields_of("Change")) == set(change)
    assert fields_of("Today") == list(Today(Days(Path("/nowhere"))).record())
    state = home_assistant.state(sight(1), sight(0))
    assert set(fields_of("State")) == set(state) - set(change)
    health = home_assistant.health(surroundings.status(), "00000000", label_is_current=True)
    assert fields_of("Health") == list(health)


def test_the_fields_of_health_are_those_of_the_page(surroundings: Surroundings) -> None:
    told = view.health(surroundings.status(), None)
    assert set(fields_of("Health over HTTP")) == set(told)


def test_the_fields_of_the_page_s_visits_are_those_of_the_page() -> None:
    assert fields_of("Visits over HTTP") == list(SeenVisits(VisitsConfig()).record())


def test_the_fields_of_saved_photos_are_those_of_the_page() -> None:
    exif = Image.Exif()
    exif.load(provenance.Provenance("random", "", {}, "", "garden", "", "").exif("test"))
    assert fields_of("Photos that the device saved") == list(json.loads(exif[0x010E]))


def test_the_fields_of_the_manifest_are_those_of_the_page(tiny_bundle: Path) -> None:
    manifest = json.loads((tiny_bundle / "manifest.json").read_text("utf-8"))
    # Only a bundle with thumbnails has that field.
    assert sorted(fields_of("Manifest")) == sorted([*manifest, "thumbnails"])
