"""Unique identifiers (PS3.5 Chapter 9): checking untrusted ones, making new ones."""

from __future__ import annotations

import functools
import re
import uuid
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge

__all__ = [
    "IMPLEMENTATION_CLASS_UID",
    "IMPLEMENTATION_VERSION_NAME",
    "MAX_UID_LENGTH",
    "checked_uid",
    "is_valid_uid",
    "new_uid",
    "parse_uid",
]

MAX_UID_LENGTH: Final = 64
"""PS3.5 9.1: a UID has at most 64 characters."""

_UID_PATTERN: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)

IMPLEMENTATION_CLASS_UID: Final = "2.25.159364018862604867271127317243406413905"
"""Names this implementation in File Meta Information and association requests."""

IMPLEMENTATION_VERSION_NAME: Final = "PACS_SDK_0_1"
"""Its version, at most 16 characters."""


def is_valid_uid(text: str) -> bool:
    """Tell whether the text is digits and dots in a UID's form.

    Leading zeros in a component are forbidden by PS3.5 9.1 but common in the field and
    harmless, so they are accepted.
    """
    return len(text) <= MAX_UID_LENGTH and _has_form_of_uid(text)


@functools.lru_cache(256)
def _has_form_of_uid(text: str) -> bool:
    """Look once at what is asked about at each step of an image's way."""
    return _UID_PATTERN.fullmatch(text) is not None


def checked_uid(text: str, name: str) -> str:
    """Return the UID, or raise ``INVALID_UID`` naming which one it was.

    A UID from the wire names files and rows later, so nothing but digits and dots may
    pass here.
    """
    if not text:
        raise PacsException(ErrorCode.MISSING_REQUIRED_VALUE, f"{name} is missing", attribute=name)
    if not is_valid_uid(text):
        raise PacsException(
            ErrorCode.INVALID_UID,
            f"{name} is not a UID: {text[:80]!r} (digits and dots, at most 64 characters)",
            attribute=name,
        )
    return text


@edge()
def parse_uid(text: str) -> str:
    """Check a UID given from outside, padding removed.

    Returns:
        ``Success`` with the UID, or ``Failure`` with ``INVALID_UID`` or
        ``MISSING_REQUIRED_VALUE``.
    """
    return checked_uid(text.rstrip("\0 "), "the UID")


def new_uid() -> str:
    """Make a new UID under the UUID root ``2.25`` (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"
