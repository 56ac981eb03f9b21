"""Names of signed roles, releases and files, which are parts of addresses and of paths.

A release is called `NAME/NUMBER`, such as `birds/3`; its files are targets below that. What a
name may be is narrow: it is the same in an address, a folder and a shell, and none leaves its
folder. The name `software` is that of the device package itself.
"""

import re

from device.errors import ReleaseError

SOFTWARE = "software"
"""The name of releases of the device package; also that of the role that signs them."""
ROLLOUT_ROLE = "rollout"
ROLLOUT_TARGET = "rollout.json"
RECORD_FILE = "release.json"
"""The file of a release that lists all others."""
WHEELS = f"{SOFTWARE}/wheels"
"""Other packages' wheels are kept once for all releases, below this."""
SIGNED_FIELD = "x-signed-unix-s"
"""A field of any role's metadata: when it was signed, whole seconds. For boards without a clock it
is a moment that is past."""
PACKED = ".xz"
"""Suffix of a target that is compressed."""
MAX_NUMBER = 1_000_000
"""The highest number of a release."""
MAX_FILE_NAME = 200

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_FILE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._+-]{{0,{MAX_FILE_NAME - 1}}}")
_RESERVED = frozenset({ROLLOUT_ROLE, "wheels"})


def is_name(text: object) -> bool:
    """Whether it may name releases or a group: up to 32 of a-z, 0-9 and inner hyphens."""
    whole = isinstance(text, str) and _NAME.fullmatch(text)
    return bool(whole) and text not in _RESERVED


def is_number(value: object) -> bool:
    """Whether it is the number of a release: a whole number, 1..`MAX_NUMBER`."""
    # A bool is an int, but not a number.
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_NUMBER


def is_file_name(text: object) -> bool:
    """Whether it may name a file of a release: a plain name that hides nothing."""
    return isinstance(text, str) and bool(_FILE.fullmatch(text))


def check_name(text: str) -> str:
    """The same text.

    Raises:
        ReleaseError: if it may not name releases or a group.
    """
    if not is_name(text):
        raise ReleaseError(
            f"{text!r} is no name of releases or boards: take up to 32 of a-z, 0-9 and -, "
            "such as birds"
        )
    return text


def role_of(name: str) -> str:
    """The role that signs releases of this name. It has no slash: servers disagree on %2F.

    Raises:
        ReleaseError: if it is no name.
    """
    return SOFTWARE if check_name(name) == SOFTWARE else f"model-{name}"


def release_id(name: str, number: int) -> str:
    """`NAME/NUMBER`.

    Raises:
        ReleaseError: if either is not allowed.
    """
    if not is_number(number):
        raise ReleaseError(f"{number!r} is no number of a release: 1 to {MAX_NUMBER:,}")
    return f"{check_name(name)}/{number}"


def target_of(name: str, number: int, file: str) -> str:
    """The target of a release's file, as it is: not compressed, not shared.

    Raises:
        ReleaseError: if anything is not allowed.
    """
    if not is_file_name(file):
        raise ReleaseError(f"{file!r} cannot be the name of a release's file")
    return f"{release_id(name, number)}/{file}"


def paths_of(name: str) -> list[str]:
    """The patterns of targets that the role of this name may sign.

    Raises:
        ReleaseError: if it is no name.
    """
    return [f"{check_name(name)}/*/*"]
