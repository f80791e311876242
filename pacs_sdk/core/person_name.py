"""Person names: component groups and their components (PS3.5 6.2.1)."""

from __future__ import annotations

from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge

__all__ = ["MAX_GROUP_CHARACTERS", "NameGroup", "PersonName", "person_name"]

MAX_GROUP_CHARACTERS: Final = 64
"""Characters that a component group can have, its carets included (PS3.5 6.2.1.1)."""

_GROUPS: Final = 3
_COMPONENTS: Final = 5


def _component(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    wrong = next((one for one in value if one in "^=\\" or ord(one) < 0x20), None)
    if wrong is not None:
        raise ValueError(f"{attribute.name} cannot hold {wrong!r}, a delimiter or control (PN)")


@attrs.frozen
class NameGroup:
    """A name in one writing: five components, most of them empty.

    Constructing it raises ``ValueError`` for a component with a delimiter, and for more
    than :data:`MAX_GROUP_CHARACTERS` in all.
    """

    family: str = attrs.field(default="", validator=_component)
    """Family name complex: ``van der Berg``."""
    given: str = attrs.field(default="", validator=_component)
    """Given name complex."""
    middle: str = attrs.field(default="", validator=_component)
    """Middle name."""
    prefix: str = attrs.field(default="", validator=_component)
    """``Dr.``"""
    suffix: str = attrs.field(default="", validator=_component)
    """``M.D.``, ``Jr.``"""

    def __attrs_post_init__(self) -> None:
        """Check the length."""
        if len(str(self)) > MAX_GROUP_CHARACTERS:
            raise ValueError(f"a component group has at most {MAX_GROUP_CHARACTERS} characters")

    def __str__(self) -> str:
        return "^".join(attrs.astuple(self)).rstrip("^")


@attrs.frozen
class PersonName:
    """A person's name in up to three writings; ``str()`` gives the value of PN."""

    alphabetic: NameGroup = NameGroup()
    """In characters of a single-byte set."""
    ideographic: NameGroup = NameGroup()
    """In ideographs: kanji, hanja, hanzi."""
    phonetic: NameGroup = NameGroup()
    """As it is spoken: kana, hangul."""

    def __str__(self) -> str:
        groups = (self.alphabetic, self.ideographic, self.phonetic)
        return "=".join(str(one) for one in groups).rstrip("=")


@edge()
def person_name(value: object) -> PersonName:
    """Take a value of PN apart.

    Args:
        value: Its text, or what data sets give: pydicom's ``PersonName``.

    Returns:
        ``Success``, padding around components removed, or ``Failure`` with
        ``VALUE_CONVERSION_FAILED`` for more than three groups or five components, for
        several values, and for groups that are too long.
    """
    groups = str(value).split("=")
    if len(groups) > _GROUPS:
        raise _no_name(f"{len(groups)} component groups, where a name has {_GROUPS}")
    return PersonName(*(_group(one) for one in groups))


def _group(text: str) -> NameGroup:
    components = [one.strip(" \0") for one in text.split("^")]
    if len(components) > _COMPONENTS:
        raise _no_name(f"{len(components)} components, where a group has {_COMPONENTS}")
    try:
        return NameGroup(*components)
    except ValueError as exc:
        raise _no_name(str(exc)) from None


def _no_name(what: str) -> PacsException:
    return PacsException(
        ErrorCode.VALUE_CONVERSION_FAILED, f"the text is no person name (PS3.5 6.2.1): {what}"
    )
