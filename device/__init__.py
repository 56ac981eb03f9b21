"""What goes on the device: preprocessing, bundle, interpreter, frame loop."""

__version__ = "0.1.0"
