"""What the tests of cards share."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's private key; its public half lies beside it."""
    path = tmp_path_factory.mktemp("owner") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path
