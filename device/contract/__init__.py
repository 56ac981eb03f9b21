"""What workstation and board agree on: photos, preprocessing, class names and the bundle."""

__all__ = [
    "arrays",
    "bundle",
    "folders",
    "formats",
    "names",
    "photos",
    "preprocess",
    "provenance",
    "runtimes",
]
