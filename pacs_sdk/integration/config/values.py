"""Settings as they are written, and what is built of them: any nesting of attrs classes."""

from __future__ import annotations

import difflib
import enum
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "ENVIRONMENT_PREFIX",
    "built",
    "environment_values",
    "impossible",
    "merged",
    "toml_values",
]

_Part = TypeVar("_Part", bound=attrs.AttrsInstance)

ENVIRONMENT_PREFIX: Final = "PACS_"
"""Environment variables are ``PACS_<PART>__<FIELD>``, for instance ``PACS_SERVER__PORT``."""

_BETWEEN: Final = "__"
"""Stands between the part and the field in a variable, and between a table and one in it."""

_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

_IN_WORDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number", Path: "a path"}


def toml_values(path: Path | str) -> dict[str, Any]:
    """Read a TOML file, with or without the byte order mark that editors of Windows write.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` naming the file.
    """
    try:
        return tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as exc:
        raise _wrong_file(path, f"cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise _wrong_file(path, f"is not TOML, which is text in UTF-8: {exc}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise _wrong_file(path, f"is not TOML: {exc}") from exc


def _wrong_file(path: Path | str, what: str) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION, f"the configuration file {path} {what}", path=str(path)
    )


def environment_values(
    kind: type[attrs.AttrsInstance], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Take the settings out of environment variables, those of tables within tables too.

    Args:
        kind: What is going to be built of them.
        environment: The variables; the process's own by default.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a variable that would be a setting, had it the
            second underscore: who may call must not be left to the default by a slip.
    """
    slips = dict(_variables_with_one_underscore(kind))
    values: dict[str, Any] = {}
    for name, text in (os.environ if environment is None else environment).items():
        if name in slips and "://" not in text:  # as Kubernetes tells of a service pacs-server
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"the environment variable {name} is not a setting; did you mean {slips[name]}?",
                setting=name,
            )
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().split(_BETWEEN)
        if name.startswith(ENVIRONMENT_PREFIX) and len(path) > 1:
            nested: dict[str, Any] = {path[-1]: text}
            for table in reversed(path[:-1]):
                nested = {table: nested}
            values = merged(values, nested)
    return values


def _variables_with_one_underscore(
    kind: type[attrs.AttrsInstance],
) -> Iterator[tuple[str, str]]:
    for part, kind_of_part in get_type_hints(kind).items():
        if attrs.has(kind_of_part):
            for field in attrs.fields(kind_of_part):
                slip, variable = f"{part}_{field.name}", f"{part}{_BETWEEN}{field.name}"
                yield (
                    f"{ENVIRONMENT_PREFIX}{slip}".upper(),
                    f"{ENVIRONMENT_PREFIX}{variable}".upper(),
                )


def merged(values: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others; tables are joined, anything else is replaced.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a table over what is none.
    """
    joined = dict(values)
    for name, value in layer.items():
        below = joined.get(name)
        if not isinstance(value, Mapping) or below is None:
            joined[name] = value
        elif isinstance(below, Mapping):
            joined[name] = merged(below, value)
        else:
            raise impossible(name, below, "a table of settings")
    return joined


def built(kind: type[_Part], values: Mapping[str, Any], where: str = "") -> _Part:
    """Build an attrs value from a mapping, its parts recursively.

    Args:
        kind: The class of the value.
        values: The settings by name; text is converted to the field's type.
        where: The path of the value within the configuration, with a dot at its end.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` naming the setting.
    """
    types = get_type_hints(kind)
    names = {field.name for field in attrs.fields(kind) if field.init}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        path = f"{where}{name}"
        if name not in names:
            raise _unknown(path, where, name, names)
        kind_of_part = _without_none(types[name])
        if attrs.has(kind_of_part):
            if not isinstance(value, Mapping):
                raise impossible(path, value, "a table of settings")
            arguments[name] = built(kind_of_part, value, f"{path}.")
        elif get_origin(kind_of_part) is tuple and attrs.has(get_args(kind_of_part)[0]):
            arguments[name] = _built_each(get_args(kind_of_part)[0], value, path)
        else:
            arguments[name] = _converted(kind_of_part, value, path)
    needed = {one.name for one in attrs.fields(kind) if one.init and one.default is attrs.NOTHING}
    if not needed <= arguments.keys():
        missing = ", ".join(f"{where}{name}" for name in sorted(needed - arguments.keys()))
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION, f"{missing} must be given", setting=where.rstrip(".")
        )
    try:
        return kind(**arguments)
    except PacsException as exc:
        raise _placed(exc, where) from exc


def _unknown(path: str, where: str, name: str, names: Collection[str]) -> PacsException:
    near = difflib.get_close_matches(name, sorted(names), n=1)
    hint = f"did you mean {where}{near[0]}?" if near else f"known are {', '.join(sorted(names))}"
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION, f"{path} is not a setting; {hint}", setting=path
    )


def _placed(exc: PacsException, where: str) -> PacsException:
    """Say where in the configuration it is that a value cannot be, unless that is said."""
    error, table = exc.error, where.rstrip(".")
    if not table or error.message.startswith(table):
        return exc
    return PacsException(
        error.code, f"{table}: {error.message}", **{"setting": table, **error.details}
    )


def _built_each(kind: type[_Part], values: Any, path: str) -> list[_Part]:
    """Build a value of each of several tables."""
    if not isinstance(values, list | tuple) or not all(isinstance(one, Mapping) for one in values):
        raise impossible(path, values, "a list of tables")
    return [built(kind, one, f"{path}[{number}].") for number, one in enumerate(values)]


def _without_none(kind: Any) -> Any:
    """Take the type of a setting that may be left out."""
    kinds = [one for one in get_args(kind) if one is not type(None)]
    return kinds[0] if get_origin(kind) in (Union, UnionType) and len(kinds) == 1 else kind


def _converted(kind: Any, value: Any, path: str) -> Any:
    if kind is bool:
        known = _BOOLEANS.get(str(value).lower())
        if known is None:
            raise impossible(path, value, "true or false")
        return known
    if get_origin(kind) in (frozenset, tuple):
        return _several(kind, value, path)
    if kind is str and not isinstance(value, str):
        raise PacsException(  # without the value, which may be a password
            ErrorCode.INVALID_CONFIGURATION,
            f"{path} must be text, and is {type(value).__name__}",
            setting=path,
        )
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        if kind is Path and value == "":  # it would be the folder where the program is started
            raise ValueError
        # No shell has replaced ~; a folder of that name is nobody's intention.
        return Path(value).expanduser() if kind is Path else kind(value)
    except (TypeError, ValueError, RuntimeError):  # the last: there is no such user
        raise impossible(path, value, _wanted(kind)) from None


def _several(kind: Any, value: Any, path: str) -> Any:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple | set | frozenset):
        raise impossible(path, value, "a list")
    if not all(isinstance(item, str) for item in items):
        raise impossible(path, value, "a list of texts")
    chosen = [item.strip() for item in items if item.strip()]
    if items and not chosen:  # as who may call, what a template left blank would be everybody
        raise impossible(path, value, "a list with something in it")
    return get_origin(kind)(map(get_args(kind)[0], chosen))


def _wanted(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"one of {', '.join(str(one.value) for one in kind)}"
    return _IN_WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def impossible(path: str, value: object, wanted: str) -> PacsException:
    """Make the error of a setting that cannot be."""
    several = isinstance(value, Mapping | list | tuple)  # there may be a password among them
    found = f"a {type(value).__name__}" if several else repr(value)
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION, f"{path} is {found}, but must be {wanted}", setting=path
    )
