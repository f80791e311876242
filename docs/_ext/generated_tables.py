"""Tables of the reference that are made from the code, so they cannot go stale."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import attrs
from sphinx.pycode import ModuleAnalyzer

from pacs_sdk.core import ErrorCategory, ErrorCode
from pacs_sdk.integration.config import ENVIRONMENT_PREFIX, PacsConfig
from pacs_sdk.network.state_table import TABLE, Action, Event, State

__all__ = ["error_table", "settings_table", "state_table"]


def error_table() -> str:
    """Return one Markdown table for each block of error codes."""
    return "\n".join(line for category in ErrorCategory for line in _block(category))


def _block(category: ErrorCategory) -> Iterator[str]:
    first, last = category.value
    title = category.name.replace("_", " ").lower()
    yield f"**{title}** ({first} … {last})\n"
    yield "| code | number | DIMSE status | HTTP status | meaning |"
    yield "|---|---|---|---|---|"
    for code in ErrorCode:
        if code.category is category:
            yield (
                f"| `{code.name}` | {code.number} | {code.dimse_status:04X}H "
                f"| {code.http_status} | {code.meaning} |"
            )
    yield ""


def state_table() -> str:
    """Return PS3.8 Table 9-10 as the engine has it, with its rows, columns and cells named."""
    columns = "|".join(f" Sta{state.value} " for state in State)
    lines = [f"| |{columns}|", "|---" * (len(State) + 1) + "|"]
    for event in Event:
        cells = "|".join(_cell(state, event) for state in State)
        lines.append(f"| Evt{event.value} |{cells}|")
    return "\n".join(
        (
            *lines,
            "\n**Events**\n",
            *(f"{event.value}. {event.meaning}" for event in Event),
            "\n**States**\n",
            *(f"{state.value}. {state.meaning}" for state in State),
            "\n**Actions**\n",
            *(f"- {action.code}: {action.description}" for action in Action),
        )
    )


def _cell(state: State, event: Event) -> str:
    found = TABLE.get((state, event))
    return f" {found.action.code} " if found else " "


def settings_table() -> str:
    """Return every setting of ``PacsConfig``: its names, default and meaning."""
    lines = ["| setting | environment variable | default | meaning |", "|---|---|---|---|"]
    for part, kind in get_type_hints(PacsConfig).items():
        if attrs.has(kind):
            lines += _setting_rows(part, kind)
        else:
            lines += _table_rows(part, get_args(kind)[0])
    return "\n".join(lines)


def _table_rows(part: str, kind: Any) -> Iterator[str]:
    """Give the settings of a list of tables, which can only be written in a file."""
    meaning = _told(PacsConfig, part)
    yield f"| `{part}` | – | none | {meaning} |"
    yield from _setting_rows(f"{part}[]", kind)


def _told(kind: Any, name: str) -> str:
    told = ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
    return " ".join(filter(None, told[kind.__name__, name])).replace("|", "\\|")


def _setting_rows(part: str, kind: Any) -> Iterator[str]:
    types = get_type_hints(kind)
    for field in attrs.fields(kind):
        if not field.init:  # made of others
            continue
        name = f"{part}.{field.name}"
        # One of several tables can only be written in a file.
        path = name.replace(".", "__")
        variable = "–" if "[" in part else f"`{ENVIRONMENT_PREFIX}{path}`".upper()
        meaning = _told(kind, field.name)
        parts = [one for one in get_args(types[field.name]) if attrs.has(one)]
        if parts:
            yield f"| `{name}` | – | none | {meaning} A table: |"
            is_list = get_origin(types[field.name]) is tuple
            yield from _setting_rows(f"{name}[]" if is_list else name, parts[0])
        else:
            yield f"| `{name}` | {variable} | {_default(field)} | {meaning} |"


def _default(field: Any) -> str:
    default = field.default
    if default is attrs.NOTHING:
        return "must be given"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class, whatever its type says
        default = default.factory()
    converter = field.converter
    return _setting(converter(default) if converter is not None else default)


def _setting(value: Any) -> str:
    """Write a default as a TOML file or an environment variable has it."""
    match value:
        case enum.Enum():
            others = [f"`{one.value}`" for one in type(value) if one is not value]
            return f"`{value.value}`; or {', '.join(others)}"
        case bool():
            return f"`{str(value).lower()}`"
        case None:
            return "none"
        case frozenset() | tuple():
            return f"`{','.join(sorted(value))}`" if value else "none"
        case Path() | str() | int() | float():
            return f"`{value}`"
    raise TypeError(f"how is {value!r} written as a setting?")
