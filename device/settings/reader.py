"""Strict reading of settings: a TOML table becomes a frozen dataclass, or one clear line."""

import codecs
import difflib
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from device.errors import ConfigError, SettingsUnreadError

T = TypeVar("T")

MAX_CONFIG_BYTES = 1024 * 1024


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """A dataclass field with a range (both ends allowed) or a list of allowed words.

    Messages never show the value of a secret one; `secrets` lists them.
    """
    limits = {"low": low, "high": high, "choices": choices, "secret": secret}
    return field(default=default, metadata=limits, repr=not secret)


def read_file(cls: type[T], path: Path) -> T:
    """Read a TOML file into a dataclass of sections.

    Raises:
        ConfigError: if it is missing, is not TOML, or has an unknown or impossible setting.
        SettingsUnreadError: if it cannot be read right now.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file; begin with a copy of fieldguide.example.toml"
        ) from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise ConfigError(f"{path}: {error.strerror}; name the settings file") from error
    except OSError as error:
        raise SettingsUnreadError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES:,} bytes")
    try:
        return read(cls, tomllib.loads(_text(data)))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _text(data: bytes) -> str:
    if b"\0" in data or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError("UTF-16, or not text at all: save it as UTF-8")
    try:
        # Windows editors write a byte order mark, which TOML does not allow.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"line {line}: a character that is not UTF-8, as in Latin-1 or Windows-1252 text: "
            "save the file as UTF-8"
        ) from error


def read(cls: type[T], table: Mapping[str, Any], section: str = "") -> T:
    """Read a table into a dataclass; a field that is itself a dataclass is a section.

    Args:
        cls: a frozen dataclass whose fields all have defaults.
        table: keys and values from tomllib.
        section: dotted name of the section, for messages.

    Raises:
        ConfigError: naming the setting, and for an unknown one the most similar known one.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key, value in table.items():
        name = f"{section}.{key}" if section else key
        if key not in known:
            raise ConfigError(_unknown(cls, name, key, list(known)))
        values[key] = _value(hints[key], value, name, known[key].metadata)
    return cls(**values)


def names(cls: Any, section: str = "") -> Iterator[str]:
    """Dotted names of all settings, in order."""
    hints = typing.get_type_hints(cls)
    for f in fields(cls):
        name = f"{section}.{f.name}" if section else f.name
        if is_dataclass(hints[f.name]):
            yield from names(hints[f.name], name)
        else:
            yield name


def secrets(config: Any, section: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values of the secret settings that are set."""
    for f in fields(config):
        name, value = f"{section}.{f.name}" if section else f.name, getattr(config, f.name)
        if is_dataclass(value):
            yield from secrets(value, name)
        elif f.metadata.get("secret") and value != f.default:
            yield name, value


def _value(hint: Any, value: Any, name: str, limits: Mapping[str, Any]) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{name} is a section: write [{name}]")
        return read(typing.cast(Any, hint), value, name)
    if isinstance(hint, types.UnionType):
        # `None` stands for "not set", which TOML cannot write.
        (hint,) = (arm for arm in typing.get_args(hint) if arm is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return _tuple(typing.get_args(hint), value, name, limits)
    return _scalar(hint, value, name, limits)


def _tuple(hints: tuple[Any, ...], value: Any, name: str, limits: Mapping[str, Any]) -> Any:
    if not isinstance(value, list):
        raise ConfigError(f"{_shown(name, value, limits)}: write a list, like [..., ...]")
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(value) != len(hints):
        raise ConfigError(f"{_shown(name, value, limits)}: write {len(hints)} values")
    pairs = enumerate(zip(hints, value, strict=True))
    return tuple(_scalar(hint, item, f"{name}[{i}]", limits) for i, (hint, item) in pairs)


def _scalar(hint: Any, value: Any, name: str, limits: Mapping[str, Any]) -> Any:
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{_shown(name, value, limits)}: write {_WORDS[hint]}")
    low, high, choices = limits.get("low"), limits.get("high"), limits.get("choices")
    # `not >=` instead of `<`, so that NaN is outside every range.
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise ConfigError(f"{_shown(name, value, limits)}: must be {_range(low, high)}")
    if choices and value not in choices:
        raise ConfigError(f"{_shown(name, value, limits)}: choose {', '.join(choices)}")
    return value


_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'text in "quotes"',
}


def _shown(name: str, value: Any, limits: Mapping[str, Any]) -> str:
    if limits.get("secret"):
        return name
    text = repr(value)
    return f"{name}={text}" if len(text) <= 60 else f"{name}={text[:57]}..."


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"{high:g} or less"
    return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"


def _unknown(cls: Any, name: str, key: str, siblings: list[str]) -> str:
    near = difflib.get_close_matches(key, siblings, n=1)
    if near:
        return f"{name}: no such setting; did you mean {near[0]!r}?"
    elsewhere = f"it has {', '.join(siblings)}" if siblings else "it has none"
    where = f"[{name.rpartition('.')[0]}]" if "." in name else "the file"
    return f"{name}: no such setting in {where}; {elsewhere}"
