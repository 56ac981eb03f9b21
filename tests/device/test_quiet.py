"""Promises of silencing: no thread ends the silence of another, and afterwards all is as before."""

import threading
import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest

from device.quiet import quiet_pillow

WARN = "import warnings\nwarnings.warn('damaged metadata')\n"


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    """What is heard is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def warn_as(module: str) -> None:
    """A warning of a module of that name."""
    exec(WARN, vars(ModuleType(module)))


def test_a_thread_that_leaves_does_not_end_the_silence_of_others() -> None:
    before = list(warnings.filters)
    others, first_left = threading.Barrier(2), threading.Event()

    def first() -> None:
        with quiet_pillow():
            others.wait(10)
            others.wait(10)
        first_left.set()

    thread = threading.Thread(target=first)
    thread.start()
    others.wait(10)
    with quiet_pillow():
        others.wait(10)
        assert first_left.wait(10)
        warn_as("PIL.TiffImagePlugin")
    thread.join()
    assert warnings.filters == before


def test_other_warnings_are_heard() -> None:
    with quiet_pillow(), pytest.raises(UserWarning, match="damaged metadata"):
        warn_as("numpy.core")
