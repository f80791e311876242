"""Section 6: every setting with the value that it has (PS3.2 N.6)."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import attrs

from pacs_sdk.integration.conformance.document import Paragraph, Section, Table
from pacs_sdk.integration.conformance.facts import Facts

__all__ = ["configuration"]

_ELSEWHERE: Final = frozenset(("server.tls", "destinations"))
"""What other sections show."""


def configuration(facts: Facts) -> Section:
    """List the settings of each part; paths and what may hold a password are left out."""
    kinds = get_type_hints(type(facts.config))
    return Section(
        "Configuration",
        (
            Paragraph(
                "Every setting can be changed by whoever runs the system; a change takes effect "
                "with the next start. Paths and secrets are not shown."
            ),
        ),
        tuple(
            Section(
                part.name.replace("_", " ").title(),
                (Table(("Setting", "Value"), _rows(part.name, getattr(facts.config, part.name))),),
            )
            for part in attrs.fields(type(facts.config))
            if attrs.has(kinds[part.name])
        ),
    )


def _rows(part: str, values: Any) -> Iterator[tuple[str, ...]]:
    kinds = get_type_hints(type(values))
    for field in attrs.fields(type(values)):
        name = f"{part}.{field.name}"
        is_path = kinds[field.name] is Path or Path in get_args(kinds[field.name])
        if field.repr is True and not is_path and name not in _ELSEWHERE:
            yield name, _text(getattr(values, field.name))


def _text(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case enum.Enum():
            return str(value.value)
        case frozenset():
            return ", ".join(sorted(map(_text, value))) or "none"
        case tuple():
            return ", ".join(map(_text, value)) or "none"
    if attrs.has(type(value)):
        return f"({'; '.join(_given(value))})"
    return str(value) or "none"


def _given(value: Any) -> Iterator[str]:
    """Write what a value of a list has that is not the default."""
    for field in attrs.fields(type(value)):
        if field.init and field.repr is True and getattr(value, field.name) != field.default:
            yield f"{field.name}: {_text(getattr(value, field.name))}"
