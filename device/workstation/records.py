"""Records in the build folder: a frozen dataclass as a JSON file, written whole and read strictly.

Each file holds the schema number of its class. A damaged file, or one from another version of this
project, gives a one-line error that names the file and says how to make it again.
"""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from device.errors import FieldguideError
from device.files import write_text

T = TypeVar("T")

SCHEMA = "schema"


class RecordError(FieldguideError):
    """A file of the build folder is missing, damaged or of another version: make it again."""


@dataclass(frozen=True)
class Record:
    """Base class of records, each stored as one JSON file.

    Fields may be bool, int, float, str, an Enum, a Literal, a dataclass, `tuple[X, ...]`,
    `tuple[X, Y]`, `Mapping[str, X]`, `X | None`, or Any for values that are not checked here. A
    file must hold all fields, even those with a default, and nothing else.
    """

    SCHEMA: ClassVar[int]
    """Increases when a field is added, removed or changes its meaning."""
    MADE_BY: ClassVar[str]
    """The command that makes the file."""

    def text(self) -> str:
        """The file's content: the same record gives the same bytes."""
        return json.dumps({SCHEMA: self.SCHEMA, **asdict(self)}, indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write the file, or leave the old one."""
        write_text(path, self.text())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file back.

        Raises:
            RecordError: if it is missing, damaged, or of another version.
        """
        return cls.from_table(read_table(path, cls.MADE_BY), path)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], path: Path) -> Self:
        """Check the result of `read_table`; `path` is for messages. Raises like `read`."""
        again = f"remove it and run `{cls.MADE_BY}`"
        found = table.get(SCHEMA)
        if found != cls.SCHEMA:
            schema = "no schema" if found is None else f"schema {found}"
            raise RecordError(
                f"{path}: made by another version ({schema}, this one reads {cls.SCHEMA}); {again}"
            )
        try:
            values = {key: value for key, value in table.items() if key != SCHEMA}
            record: Self = _dataclass(cls, values, "")
        except (ValueError, FieldguideError) as error:
            raise RecordError(f"{path}: damaged ({error}); {again}") from error
        return record


def read_table(path: Path, made_by: str) -> dict[str, Any]:
    """An unchecked JSON object, for a file that may hold one of several records.

    Raises:
        RecordError: if the file is missing or does not hold a JSON object.
    """
    try:
        table = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; run `{made_by}` first") from error
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; remove it and run `{made_by}`") from error
    except (ValueError, RecursionError) as error:
        table, reason = None, str(error)
    else:
        reason = "not a JSON object"
    if not isinstance(table, dict):
        raise RecordError(f"{path}: damaged ({reason}); remove it and run `{made_by}`")
    return table


def checked(cls: type[T], value: Any) -> T:
    """A dataclass from a part of a JSON file, checked as strictly as a record.

    Raises:
        ValueError: naming the wrong field.
    """
    part: T = _dataclass(cls, value, "")
    return part


def _dataclass(cls: Any, value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{_shown(name, value)} is not an object")
    prefix = f"{name}." if name else ""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    for missing in (key for key in names if key not in value):
        raise ValueError(f"{prefix}{missing} is missing")
    for unknown in (key for key in value if key not in names):
        raise ValueError(f"{prefix}{unknown} is not known")
    return cls(**{key: _value(hints[key], value[key], f"{prefix}{key}") for key in names})


def _value(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if is_dataclass(hint):
        return _dataclass(hint, value, name)
    if origin in (types.UnionType, typing.Union):
        return _union(arguments, value, name)
    if origin is tuple:
        return _tuple(arguments, value, name)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ValueError(f"{_shown(name, value)} is not an object")
        return {key: _value(arguments[1], item, f"{name}.{key}") for key, item in value.items()}
    if origin is typing.Literal:
        return _one_of(arguments, value, name)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(_one_of([member.value for member in hint], value, name))
    return _scalar((hint,), value, name)


def _union(arms: tuple[Any, ...], value: Any, name: str) -> Any:
    """One of several plain types, or of one type and None."""
    if value is None and types.NoneType in arms:
        return None
    others = tuple(arm for arm in arms if arm is not types.NoneType)
    return _value(others[0], value, name) if len(others) == 1 else _scalar(others, value, name)


def _tuple(hints: tuple[Any, ...], value: Any, name: str) -> Any:
    if not isinstance(value, list):
        raise ValueError(f"{_shown(name, value)} is not a list")
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise ValueError(f"{name} has {len(value)} values instead of {len(hints)}")
    pairs = enumerate(zip(hints, value, strict=True))
    return tuple(_value(hint, item, f"{name}[{i}]") for i, (hint, item) in pairs)


def _one_of(choices: typing.Iterable[Any], value: Any, name: str) -> Any:
    for choice in choices:
        if value == choice and type(value) is type(choice):
            return choice
    raise ValueError(f"{_shown(name, value)} is not known")


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _scalar(hints: tuple[Any, ...], value: Any, name: str) -> Any:
    if type(value) in hints:
        return value
    if float in hints and type(value) is int:
        return float(value)
    raise ValueError(f"{_shown(name, value)} is not {' or '.join(_NAMES[hint] for hint in hints)}")


def _shown(name: str, value: Any) -> str:
    text = json.dumps(value)
    return f"{name}={text}" if len(text) <= 60 else f"{name}={text[:57]}..."
