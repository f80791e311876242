"""The names that pydicom has for character sets: those of Python encodings."""

from __future__ import annotations

import functools

from pacs_sdk.encoding.charsets.policy import CharacterSets

__all__ = ["pydicom_encodings"]


@functools.lru_cache(maxsize=1024)
def pydicom_encodings(sets: CharacterSets) -> tuple[str, ...]:
    """Return the Python encodings by which pydicom knows character sets."""
    return tuple(one.pydicom_encoding for one in sets)
