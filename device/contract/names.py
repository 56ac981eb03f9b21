"""The one rule for class names, which are names of folders, on the device and in training.

Names in any script are allowed. Refused are names that a folder cannot have, that hide files or
look like options, and that change the direction of text.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

MAX_NAME_BYTES = 200
"""In UTF-8. File systems allow 255; some that encrypt names allow fewer."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of all text after them; no spelling needs them."""
_JOINING = frozenset("\u200c\u200d")
"""Characters without width that change how letters join, in Persian and Indic scripts."""
_JOINS_NOTHING = re.compile("(?<![^\\0-\\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\\0-\\x7f])")
"""Joiners at either end of the name, or beside a letter that they do not change."""


def name_problem(name: str) -> str:
    """Why a name cannot be a class name, in words that follow "it"; empty if it can."""
    if not name or name != name.strip():
        return "must have some letters, and no spaces around them"
    if name[0] in "._-" or "/" in name or "\\" in name:
        return "must not begin with . _ or -, nor hold a slash"
    if any(c in _TURNING or unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name):
        return "must not hold control characters"
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return "is not UTF-8 text"
    return f"is longer than {MAX_NAME_BYTES} bytes" if size_bytes > MAX_NAME_BYTES else ""


def look_alike_key(name: str) -> str:
    """Equal for names that people, or some file systems, cannot tell apart.

    Such names differ only in case, Unicode composition, kind or number of spaces, dots at the end,
    the width of East Asian letters, or invisible characters.
    """
    before, key = None, name
    # Repeated: what one step removes may expose something that another removes.
    while key != before:
        before = key
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).lower())
        seen = (_in_one_width(c) for c in plain if c in _JOINING or unicodedata.category(c) != "Cf")
        words = " ".join(_JOINS_NOTHING.sub("", "".join(seen)).split())
        key = unicodedata.normalize("NFC", words.rstrip(". "))
    return key


def _in_one_width(letter: str) -> str:
    is_other = unicodedata.decomposition(letter).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", letter) if is_other else letter


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of two or more names that look alike, in order."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[look_alike_key(name)].add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def settled(name: str, known: Iterable[str]) -> str:
    """The spelling that is already in use for a name, or else its composed Unicode form.

    Args:
        name: as a person wrote it.
        known: spellings in use. If `name` itself is among them it wins over its look-alikes.

    Returns:
        The entry of `known` that equals or looks like `name`, else `name` in NFC.
    """
    alike = [other for other in known if look_alike_key(other) == look_alike_key(name)]
    if name in alike:
        return name
    return alike[0] if alike else unicodedata.normalize("NFC", name)
