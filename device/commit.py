"""The commit of this project that is running."""

import subprocess
from pathlib import Path

UNKNOWN = "unknown"
_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("train/*.py", "convert/*.py", "device/*.py")


def commit() -> str:
    """The commit's hash, with "-dirty" added if files differ or modules are new; or "unknown"."""
    head = _git("describe", "--always", "--dirty", "--exclude=*", "--abbrev=40")
    if not head:
        return UNKNOWN
    new = _git("ls-files", "--others", "--exclude-standard", *_PACKAGES)
    return f"{head.removesuffix('-dirty')}-dirty" if new else head


def _git(*arguments: str) -> str:
    """What git prints for the folder with the packages; empty if it fails."""
    command = ["git", "-C", str(_ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
