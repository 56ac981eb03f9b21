"""Silencing TensorFlow, which prints much at loading that a user cannot act on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from device.quiet import quiet_native_stderr


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Load or run TensorFlow silently inside the block; afterwards it reports only errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_native_stderr():
        yield
