"""What the documentation names, read out of its Markdown."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.places import ROOT

ASSIGNMENT = re.compile(r"([A-Z][A-Z_0-9]*)=.*", re.S)
SEPARATORS = frozenset({"&&", "||", "|", ";", "then", "`"})
PREFIXES = frozenset({"sudo", "time", "nice", "gmake"})


@dataclass(frozen=True)
class Command:
    """One command of a line: what is set before it, and its words."""

    set: tuple[str, ...]
    words: tuple[str, ...]


@dataclass
class Section:
    """What stands below one heading, up to the next of any level."""

    title: str
    text: str = ""
    codes: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    """Rows of cells, as written; the first row is the head."""


@dataclass
class Page:
    """One Markdown page."""

    path: Path
    """Relative to the repository."""
    sections: list[Section]
    blocks: list[tuple[str, str]]
    """Language (empty if none is named) and text of each block of code."""
    inline: list[str]
    links: list[str]

    @property
    def codes(self) -> list[str]:
        """Everything that stands as code: lines of blocks, and pieces of text."""
        lines = [line for _, block in self.blocks for line in joined(block)]
        return lines + self.inline

    @property
    def anchors(self) -> set[str]:
        """What a link may name behind its #, as GitHub makes it of headings."""
        return {slug(section.title) for section in self.sections}

    def section(self, title: str) -> Section:
        """The section below a heading."""
        return next(section for section in self.sections if section.title == title)


def joined(block: str) -> list[str]:
    """The lines of a block, those that end with a backslash together with the next."""
    return block.replace("\\\n", " ").splitlines()


def slug(title: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", title.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def parse(text: str, path: Path = Path("README.md")) -> Page:
    """Read a page."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    page = Page(path, [Section("")], [], [], [])
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            page.sections.append(Section(tokens[index + 1].content))
        elif token.type in ("fence", "code_block"):
            page.blocks.append((token.info.strip(), token.content))
            page.sections[-1].codes += joined(token.content)
            page.sections[-1].text += token.content
        elif token.type == "table_open":
            page.sections[-1].tables.append([])
        elif token.type == "tr_open":
            page.sections[-1].tables[-1].append([])
        elif token.type == "inline":
            _read_inline(page, tokens[index - 1], token)
    return page


def _read_inline(page: Page, before: Token, token: Token) -> None:
    section = page.sections[-1]
    section.text += token.content + "\n"
    if before.type in ("th_open", "td_open"):
        section.tables[-1][-1].append(token.content)
    for child in token.children or []:
        if child.type == "code_inline":
            page.inline.append(child.content)
            section.codes.append(child.content)
        elif child.type in ("link_open", "image"):
            page.links.append(str(child.attrs.get("href", child.attrs.get("src", ""))))


@cache
def tracked() -> frozenset[str]:
    """Every file that git knows, and their folders, relative to the repository."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]
    folders = {str(parent) for name in files for parent in Path(name).parents}
    return frozenset({*files, *folders})


@cache
def pages() -> tuple[Page, ...]:
    """Every Markdown page of the repository."""
    names = sorted(name for name in tracked() if name.endswith(".md"))
    return tuple(parse((ROOT / name).read_text("utf-8"), Path(name)) for name in names)


def commands(line: str) -> Iterator[Command]:
    """The commands of a line of code."""
    try:
        words = shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:
        words = line.split()
    begun: list[str] = []
    for word in [*words, ";"]:
        if word not in SEPARATORS:
            begun.append(word.removesuffix(";"))
        if word in SEPARATORS or word.endswith(";"):
            if begun:
                yield _command(begun)
            begun = []


def _command(words: list[str]) -> Command:
    count = 0
    while count < len(words) and (ASSIGNMENT.fullmatch(words[count]) or words[count] in PREFIXES):
        count += 1
    # `gmake` alone is the program, and not what stands before one.
    count -= count == len(words) and not ASSIGNMENT.fullmatch(words[-1])
    before = tuple(word for word in words[:count] if word not in PREFIXES)
    return Command(before, tuple(words[count:]))
