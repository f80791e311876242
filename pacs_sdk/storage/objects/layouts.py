"""Where an archive puts its objects: the key of an instance, made from its attributes.

::

    uid     study/series/sop.dcm
    date    2024/01/31/study/series/sop.dcm     (``undated/study/…`` without a Study Date)
    flat    a3f/sop.dcm                         (4096 folders, by a hash of the UID)
    {StudyDate}/{PatientID}/{SOPInstanceUID}.dcm    a template: attributes by keyword

Attributes come from whoever sends. Each becomes a name that is safe wherever files and
objects can be, whatever it holds: one that isn't safe as it is is spelled with what is
safe of it and a hash of all of it, so different values don't share a name. Every key
holds the SOP Instance UID by itself, so different instances don't share a key.

The layout says where a new object goes. Objects that are stored keep their keys, which are
in the index; so the layout of an archive may be changed at any time.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.uids import MAX_UID_LENGTH
from pacs_sdk.encoding import INDEX_TAGS, InstanceHeader
from pacs_sdk.storage.objects.backend import (
    DEVICE_NAME,
    MAX_COMPONENT_LENGTH,
    MAX_KEY_COMPONENTS,
    MAX_KEY_LENGTH,
    checked_key,
)
from pacs_sdk.storage.records import InstanceIdentity

__all__ = [
    "DUPLICATE_MARK",
    "Layout",
    "StorageLayout",
    "duplicate_key",
    "is_duplicate_key",
    "safe_name",
]

DUPLICATE_MARK: Final = "dup-"
"""What the name of an object has before its hash if it is kept beside an instance."""

_SUFFIX: Final = ".dcm"
_DUPLICATE: Final = re.compile(rf"\.{DUPLICATE_MARK}[0-9a-f]{{32}}\.dcm", re.ASCII)
_ROOM_FOR_DUPLICATES: Final = len(DUPLICATE_MARK) + 33

_KEPT_CHARACTERS: Final = 40
_HASH_DIGITS: Final = 16
_MAX_NAME: Final = _KEPT_CHARACTERS + 1 + _HASH_DIGITS
"""Characters of a name that is made of an attribute; two have room in a component. The UIDs
of the instance are checked, stay as they are, and may be longer."""

_MAX_COMPONENT: Final = MAX_COMPONENT_LENGTH - 1
"""One character is for what keeps a name apart from those of devices."""

_SAFE: Final = re.compile(rf"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{{0,{_MAX_NAME - 2}}}[A-Za-z0-9_-])?")
_HASHED: Final = re.compile(rf"_[0-9a-f]{{{_HASH_DIGITS}}}\Z")
_UNSAFE_CHARACTER: Final = re.compile(r"[^A-Za-z0-9-]")
_EMPTY: Final = "none"
"""The name of an attribute that is absent or empty."""

_LITERAL: Final = re.compile(r"[A-Za-z0-9._-]*")
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_DATE: Final = re.compile(r"[0-9]{8}", re.ASCII)

_IDENTIFIER: Final = "SOPInstanceUID"


_MakeKey: TypeAlias = Callable[[InstanceIdentity, InstanceHeader], str]


class Layout(enum.StrEnum):
    """The layouts that have a name."""

    UID = "uid"
    """``study/series/sop.dcm``."""
    DATE = "date"
    """The same in folders of year, month and day of the Study Date."""
    FLAT = "flat"
    """Instances only, in 4096 folders by a hash of their UID."""


@attrs.frozen
class StorageLayout:
    """Makes the keys of new objects.

    Args:
        text: ``uid``, ``date``, ``flat``, or a template: components separated by slashes,
            each of letters, digits, ``.``, ``_``, ``-`` and attributes in braces, such as
            ``{PatientID}``. Any attribute of ``INDEX_TAGS`` may be named. The last component
            has ``{SOPInstanceUID}`` and no other attribute; ``.dcm`` is added where it is
            missing.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` where the template names an attribute that
            there isn't, does not tell instances apart, or could make a key that is none.
    """

    text: str = attrs.field(default=Layout.UID.value, converter=str)
    """How it was written."""
    _make: _MakeKey = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Understand the text."""
        object.__setattr__(self, "_make", _NAMED.get(self.text) or _template(self.text))

    def __str__(self) -> str:
        return self.text

    def key_of(self, identity: InstanceIdentity, header: InstanceHeader) -> str:
        """Make the key of an instance's object.

        Args:
            identity: Its UIDs, which are checked.
            header: Its other attributes, which are not.

        Returns:
            A key that every backend takes.
        """
        return self._make(identity, header)


def safe_name(value: str) -> str:
    """Spell a value so that it can be a component of a key, or a part of one.

    Args:
        value: Anything; it may come from a peer.

    Returns:
        At most 57 of the characters ``A-Z a-z 0-9 . _ -``. Different values have different
        names (but for capital letters, on file systems to which these are the same).
    """
    if not value:
        return _EMPTY
    if (
        _SAFE.fullmatch(value) is not None
        and value != _EMPTY
        and _HASHED.search(value) is None
        and DEVICE_NAME.fullmatch(value) is None
    ):
        return value
    spelled = _UNSAFE_CHARACTER.sub("_", value[:_KEPT_CHARACTERS])
    return f"{spelled}_{_digest(value)[:_HASH_DIGITS]}"


def duplicate_key(key: str, content_hash: str) -> str:
    """Name the object that is kept beside another one.

    Args:
        key: The key of the instance that queries find.
        content_hash: The hash of the object that is kept beside it, 32 hexadecimal digits.
    """
    return f"{key.removesuffix(_SUFFIX)}.{DUPLICATE_MARK}{content_hash}{_SUFFIX}"


def is_duplicate_key(key: str) -> bool:
    """Tell whether a key is one of :func:`duplicate_key`; no layout makes such a key."""
    return _DUPLICATE.search(key) is not None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# -- the layouts that have a name ------------------------------------------------------------


def _by_uid(identity: InstanceIdentity, header: InstanceHeader) -> str:
    return identity.storage_key


def _by_date(identity: InstanceIdentity, header: InstanceHeader) -> str:
    # Old devices write 1997.01.31 (ACR-NEMA 2.0), which PS3.5 6.2 asks to be read.
    date = header.text(_STUDY_DATE).replace(".", "")
    folder = f"{date[:4]}/{date[4:6]}/{date[6:]}" if _DATE.fullmatch(date) else "undated"
    return f"{folder}/{_by_uid(identity, header)}"


def _flat(identity: InstanceIdentity, header: InstanceHeader) -> str:
    uid = identity.sop_instance_uid
    return f"{_digest(uid)[:3]}/{uid}.dcm"


_STUDY_DATE: Final = int(DicomTag.of("StudyDate"))
_NAMED: Final[dict[str, _MakeKey]] = {
    Layout.UID.value: _by_uid,
    Layout.DATE.value: _by_date,
    Layout.FLAT.value: _flat,
}

# -- templates -------------------------------------------------------------------------------

_UID_FIELDS: Final[dict[str, Callable[[InstanceIdentity], str]]] = {
    "StudyInstanceUID": lambda identity: identity.study_instance_uid,
    "SeriesInstanceUID": lambda identity: identity.series_instance_uid,
    _IDENTIFIER: lambda identity: identity.sop_instance_uid,
}

_Part: TypeAlias = str | int | Callable[[InstanceIdentity], str]
"""A piece of a component: literal text, the tag of an attribute, or what takes a UID."""


def _template(text: str) -> _MakeKey:
    components = text.split("/")
    if not components[-1].endswith(_SUFFIX):
        components[-1] += _SUFFIX
    if len(components) > MAX_KEY_COMPONENTS:
        raise _unusable(text, f"it has more than {MAX_KEY_COMPONENTS} components")
    parsed = tuple(_parsed(component, text) for component in components)
    if (fields := _FIELD.findall(components[-1])) != [_IDENTIFIER]:
        named = ", ".join(fields) or "none"
        raise _unusable(
            text,
            f"its last component has to have the attribute {{{_IDENTIFIER}}} and no other, for "
            f"that is what tells instances apart; it has {named}",
        )
    _check_worst_case(parsed, text)

    def make(identity: InstanceIdentity, header: InstanceHeader) -> str:
        return "/".join([_component(parts, identity, header) for parts in parsed])

    return make


def _parsed(component: str, text: str) -> tuple[_Part, ...]:
    pieces = _FIELD.split(component)  # literal, keyword, literal, keyword, … literal
    if not all(_LITERAL.fullmatch(literal) for literal in pieces[::2]):
        raise _unusable(
            text, f"{component!r} has other characters than letters, digits, '.', '_' and '-'"
        )
    if any(DUPLICATE_MARK in literal for literal in pieces[::2]):
        raise _unusable(text, f"{DUPLICATE_MARK!r} marks the objects that are kept beside others")
    return tuple(
        _field(piece, text) if number % 2 else piece
        for number, piece in enumerate(pieces)
        if piece or number % 2
    )


def _field(keyword: str, text: str) -> _Part:
    if (of_identity := _UID_FIELDS.get(keyword)) is not None:
        return of_identity
    try:
        tag = int(DicomTag.of(keyword))
    except PacsException:
        raise _unusable(text, f"{{{keyword}}} is no attribute's keyword") from None
    if tag not in INDEX_TAGS:
        raise _unusable(text, f"{{{keyword}}} is none of the attributes that the index keeps")
    return tag


def _component(parts: tuple[_Part, ...], identity: InstanceIdentity, header: InstanceHeader) -> str:
    name = "".join(
        [
            part
            if isinstance(part, str)
            else (safe_name(header.text(part)) if isinstance(part, int) else part(identity))
            for part in parts
        ]
    )
    # Values that are harmless by themselves may make the name of a device together.
    return name if DEVICE_NAME.fullmatch(name) is None else f"_{name}"


def _longest(part: _Part) -> int:
    if isinstance(part, str):
        return len(part)
    return _MAX_NAME if isinstance(part, int) else MAX_UID_LENGTH


def _check_worst_case(parsed: tuple[tuple[_Part, ...], ...], text: str) -> None:
    """Refuse a template that some values would make an impossible key of."""
    longest = [sum(map(_longest, parts)) for parts in parsed]
    longest[-1] += _ROOM_FOR_DUPLICATES
    if max(longest) > _MAX_COMPONENT:
        raise _unusable(
            text,
            f"a component could have {max(longest)} characters, and {_MAX_COMPONENT} "
            f"are the most; an attribute counts {_MAX_NAME}, a UID {MAX_UID_LENGTH}",
        )
    if (whole := sum(longest) + len(longest) - 1) > MAX_KEY_LENGTH:
        raise _unusable(
            text, f"a key could have {whole} characters, and {MAX_KEY_LENGTH} are the most"
        )
    sample = "/".join(
        "".join(part if isinstance(part, str) else "x" for part in parts) for parts in parsed
    )
    try:
        checked_key(sample)
    except PacsException as exc:
        raise _unusable(text, exc.error.message) from None


def _unusable(text: str, reason: str) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION,
        f"the storage layout {text[:200]!r} cannot be used: {reason}",
        layout=text[:200],
    )
