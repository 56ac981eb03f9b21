"""Manifests for tests: any value that may stand in one, and one without its digest."""

import json
from typing import Any

from hypothesis import strategies as st

from device.contract import bundle as contract

Files = dict[str, bytes]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def body(files: Files) -> dict[str, Any]:
    """The manifest without its own digest."""
    manifest: dict[str, Any] = json.loads(files[contract.MANIFEST])
    del manifest["manifest_sha256"]
    return manifest
