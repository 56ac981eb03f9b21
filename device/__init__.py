"""What goes on the device: preprocessing, bundle, interpreter, frame loop, service.

Each package lists in `__all__` the modules that other packages may import. The modules listed here
are for programs, training and conversion; importing this package loads none of them.
"""

__all__ = [
    "child",
    "commit",
    "console",
    "contract",
    "errors",
    "files",
    "inference",
    "interrupt",
    "quiet",
    "workstation",
]

__version__ = "0.1.0"
