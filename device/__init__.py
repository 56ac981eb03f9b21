"""What goes on the device: preprocessing, bundle, interpreter, frame loop, service.

Each package names in `__all__` the modules that others may import. Those of this one are for
programs and for training and conversion; nothing is loaded before it is asked for.
"""

__all__ = [
    "child",
    "commit",
    "console",
    "contract",
    "errors",
    "files",
    "inference",
    "quiet",
    "workstation",
]

__version__ = "0.1.0"
