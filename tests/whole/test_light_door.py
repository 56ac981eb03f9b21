"""The tests of the device run where there is no TensorFlow, and nothing of training is there."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.places import ROOT

HEAVY = (
    *("ai_edge_quantizer", "keras", "matplotlib", "scipy", "sklearn", "tensorboard", "tensorflow"),
    *("tflite_micro", "threadpoolctl"),
)
"""What .venv has and .venv-light has not."""
STAGES = ("train", "convert", "tests.train", "tests.convert", "tests.whole")
COLLECT = f"""
import sys
sys.modules.update(dict.fromkeys({HEAVY}))
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "tests/device"]))
"""


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_tests_of_the_device_are_found_without_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_tests_of_the_device_import_neither_training_nor_conversion() -> None:
    files = sorted((ROOT / "tests" / "device").rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            parts = name.split(".")
            above = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
            assert not above & {*STAGES, *HEAVY}, f"{path.relative_to(ROOT)}: {name}"
