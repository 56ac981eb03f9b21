"""TensorFlow says much when it is loaded; here it says nothing that a user could act on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from device.quiet import quiet_native_stderr


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Within, TensorFlow is loaded and converts quietly; afterwards it tells of errors alone."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_native_stderr():
        yield
