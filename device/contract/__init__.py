"""What workstation and board agree on: photos, preprocessing, class names and the bundle."""

__all__ = [
    "accuracy",
    "arrays",
    "bundle",
    "folders",
    "formats",
    "look",
    "mask",
    "moments",
    "names",
    "orientation",
    "photos",
    "preprocess",
    "provenance",
    "runtimes",
    "statistics",
]
