"""What workstation and board agree on: photos, preprocessing, class names, bundles, releases."""

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
    "release",
    "runtimes",
    "statistics",
    "thumbnails",
]
