"""The columns of a Parquet file: which one holds pictures, and which one says what they show.

Files of Hugging Face say it in their metadata; others are told by names and types.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device.workstation.shards.stores import StoreError

PICTURES = ("image", "img", "jpg", "jpeg", "png", "picture", "photo", "bytes", "content")
LABELS = ("label", "labels", "class", "class_name", "cls", "category", "species")
"""Names that columns have, those that are looked for first before the others."""
PATHS = ("path", "file_name", "filename", "name", "key", "__key__")


@dataclass(frozen=True)
class Columns:
    """The columns of a file."""

    pictures: str
    """Of bytes, as Parquet's readers name it: with a dot if it is within a structure."""
    paths: str | None
    """Of the pictures' names."""
    labels: str
    names: tuple[str, ...] = ()
    """Of classes, where labels are numbers."""


def columns_of(schema: Any, shown: str) -> Columns:
    """Find the columns of a file.

    Args:
        schema: pyarrow's.
        shown: the file, for people.

    Raises:
        StoreError: if it cannot be told which they are.
    """
    features = _features(schema.metadata or {})
    pictures = [name for name in _first(PICTURES, schema.names) if _holds_bytes(schema, name)]
    pictures = [name for name in pictures if _kind(features, name) == "Image"] or pictures
    if not pictures:
        raise StoreError(
            f"{shown}: none of its columns ({', '.join(schema.names)}) holds the bytes of pictures"
        )
    label = _label_column(schema, features, shown)
    within = _within(schema.field(pictures[0]).type)
    names = tuple(str(name) for name in features.get(label, {}).get("names") or ())
    paths = next(_first(PATHS, schema.names, others=False), None)
    if "path" in within:
        paths = f"{pictures[0]}.path"
    bytes_of = f"{pictures[0]}.bytes" if within else pictures[0]
    return Columns(bytes_of, paths, label, names)


def _features(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """By column, what Hugging Face notes of it; empty for other files."""
    try:
        found = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {key: each for key, each in found.items() if isinstance(each, dict)}


def _kind(features: Mapping[str, Any], name: str) -> str:
    return str(features.get(name, {}).get("_type", ""))


def _label_column(schema: Any, features: Mapping[str, Any], shown: str) -> str:
    known = [name for name in LABELS if name in schema.names]
    classes = [name for name in schema.names if _kind(features, name) == "ClassLabel"]
    if known or len(classes) == 1:
        return (known or classes)[0]
    raise StoreError(
        f"{shown}: which of its columns ({', '.join(schema.names)}) says what a picture shows? "
        f"Name one {LABELS[0]!r}"
    )


def _first(wanted: Sequence[str], names: Sequence[str], *, others: bool = True) -> Iterator[str]:
    yield from (name for name in wanted if name in names)
    yield from (name for name in names if others and name not in wanted)


def _within(kind: Any) -> tuple[str, ...]:
    """The names of the fields of a structure; none of another type."""
    fields = getattr(kind, "fields", None)
    return tuple(field.name for field in fields) if fields else ()


def _holds_bytes(schema: Any, name: str) -> bool:
    kind = schema.field(name).type
    if "bytes" in _within(kind):
        kind = kind.field("bytes").type
    return "binary" in str(kind)
