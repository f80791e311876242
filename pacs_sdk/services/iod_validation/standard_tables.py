"""The tables of PS3.3, as data that come with highdicom: IODs, their modules, their attributes.

highdicom keeps them in a private folder and offers no public way to them, so this module is
the only one that knows where they lie and what shape they have, and it says so in words when
that has changed. Nothing of highdicom is imported: its import takes longer than reading the
tables.
"""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = [
    "AttributeRow",
    "ModuleRow",
    "StandardTables",
    "installed_tables",
    "read_tables",
]

_PACKAGE: Final = "highdicom"
_FOLDER: Final = "_standard"
_IOD_OF_SOP_CLASS: Final = "sop_class_iod_map.json"
_MODULES_OF_IOD: Final = "iod_module_map.json"
_ATTRIBUTES_OF_MODULE: Final = "module_attribute_map.json"
_USAGES: Final = frozenset("MCU")
_TYPES: Final = frozenset(("1", "1C", "2", "2C", "3", "None"))
_MOST_BYTES: Final = 256 * 1024 * 1024
"""The largest table that is read; that of highdicom 0.28 has 23 MB."""


@attrs.frozen
class ModuleRow:
    """A module of an IOD (PS3.3 Annex A, the tables "IOD Modules")."""

    key: str
    """The module's name in lower case, with hyphens: ``general-image``."""
    usage: str
    """``M`` mandatory, ``C`` conditional, ``U`` user option (PS3.3 A.1.3)."""


@attrs.frozen
class AttributeRow:
    """An attribute of a module (PS3.3 Annex C, the tables "Module Attributes")."""

    keyword: str
    """Its keyword."""
    type: str
    """1, 1C, 2, 2C or 3 (PS3.5 7.4); ``None`` where the table gives no type."""
    path: tuple[str, ...]
    """The keywords of the sequences that it lies in, from the outermost."""


@attrs.frozen
class StandardTables:
    """What the standard says about the storage SOP classes."""

    source: str
    """Where the tables come from, with its version: ``highdicom 0.28.2``."""
    iods: dict[str, str]
    """SOP Class UID → IOD."""
    modules: dict[str, tuple[ModuleRow, ...]]
    """IOD → its modules, in the order of the table."""
    attributes: dict[str, tuple[AttributeRow, ...]]
    """Module → its attributes, macros included. Some modules of the newest IODs have none."""


def installed_tables() -> StandardTables:
    """Read the tables of the highdicom that is installed; takes about a second.

    Raises:
        PacsException: ``MISSING_DEPENDENCY`` where there is none, or one with other tables.
    """
    found = importlib.util.find_spec(_PACKAGE)  # looks for it, and doesn't import it
    places = list(found.submodule_search_locations or ()) if found is not None else []
    if not places:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            "validation against the tables of the standard needs highdicom; "
            "run: pip install 'pacs-sdk[validation]'",
        )
    try:
        release = version(_PACKAGE)
    except PackageNotFoundError:
        release = "of unknown version"
    return read_tables(Path(places[0]) / _FOLDER, f"{_PACKAGE} {release}")


def read_tables(folder: Path, source: str) -> StandardTables:
    """Read tables in highdicom's form.

    Args:
        folder: Where the three JSON files lie.
        source: What they are called in reports and errors.

    Raises:
        PacsException: ``MISSING_DEPENDENCY`` if one is absent or has another shape.
    """
    try:
        iods = _object(folder / _IOD_OF_SOP_CLASS)
        modules = _object(folder / _MODULES_OF_IOD)
        attributes = _object(folder / _ATTRIBUTES_OF_MODULE)
        tables = StandardTables(
            source,
            {_text(uid): _text(iod) for uid, iod in iods.items()},
            {_text(iod): tuple(map(_module, rows)) for iod, rows in modules.items()},
            {_text(key): tuple(map(_attribute, rows)) for key, rows in attributes.items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            f"the tables of the standard in {source} are not as expected ({exc!r}); "
            "install a version of highdicom that pacs-sdk[validation] allows",
            source=source,
        ) from exc
    if not (tables.iods and tables.modules and tables.attributes):
        raise PacsException(
            ErrorCode.MISSING_DEPENDENCY,
            f"the tables of the standard in {source} are empty; install highdicom again",
            source=source,
        )
    return tables


def _object(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path.name} has more than {_MOST_BYTES} bytes")
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise TypeError(f"{path.name} is no JSON object")
    return content


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value


def _module(row: Any) -> ModuleRow:
    usage = row["usage"]
    if usage not in _USAGES:
        raise ValueError(f"a module of usage {usage!r:.80}")
    return ModuleRow(_text(row["key"]), usage)


def _attribute(row: Any) -> AttributeRow:
    kind = row["type"]
    if kind not in _TYPES:
        raise ValueError(f"an attribute of type {kind!r:.80}")
    return AttributeRow(_text(row["keyword"]), kind, tuple(row["path"]))
