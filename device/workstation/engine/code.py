"""What work that was begun depends on beside its task and items: the code, and the libraries."""

import hashlib
import sys
from functools import cache
from importlib.metadata import distributions

from device.workstation.engine.cluster import ROOT

STAGES = ("device", "train", "convert")


@cache
def code_key() -> str:
    """Another one after any change of code or of a library: what was begun then begins again."""
    sha256 = hashlib.sha256(sys.version.encode())
    for stage in STAGES:
        for path in sorted((ROOT / stage).rglob("*.py")):
            sha256.update(path.read_bytes())
    for name in sorted(f"{each.name} {each.version}" for each in distributions()):
        sha256.update(name.encode())
    return sha256.hexdigest()[:12]
